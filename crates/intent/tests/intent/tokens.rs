//! ERC-20 calldata, and what must never pass for it.

use quorate_intent::{Action, AssetId, Charge, TOKENS, TransactionError};
use quorate_types::{Address, U256};

use crate::encoder::Plain;
use crate::transactions::{plain, refused, try_read};
use crate::words::*;

pub(crate) const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];
pub(crate) const APPROVE: [u8; 4] = [0x09, 0x5e, 0xa7, 0xb3];
pub(crate) const TRANSFER_FROM: [u8; 4] = [0x23, 0xb8, 0x72, 0xdd];

/// ABI encoding of addresses and an amount, by hand.
pub(crate) fn arguments(selector: [u8; 4], accounts: &[Vec<u8>], amount: U256) -> Vec<u8> {
    let mut data = selector.to_vec();
    for account in accounts {
        data.extend([0; 12]);
        data.extend(account);
    }
    data.extend(amount.to_be_bytes::<32>());
    data
}

fn to_usdc(data: Vec<u8>) -> Plain {
    Plain { to: address(BASE_USDC).to_vec(), value: U256::ZERO, data, ..plain() }
}

fn accounts(count: u8) -> Vec<Vec<u8>> {
    (1..=count).map(|byte| vec![byte; 20]).collect()
}

#[test]
fn known_calls_say_what_they_move() {
    for amount in [U256::ZERO, U256::from(1), U256::MAX] {
        let charge = Charge { asset: AssetId::token(8453, address(BASE_USDC)), amount };
        let (first, second) = (Address::repeat_byte(1), Address::repeat_byte(2));
        for (selector, count, recipient, spender) in [
            (TRANSFER, 1, Some(first), None),
            (APPROVE, 1, None, Some(first)),
            (TRANSFER_FROM, 2, Some(second), None),
        ] {
            let data = arguments(selector, &accounts(count), amount);
            let intent = try_read(to_usdc(data).encode()).unwrap().intent;
            assert_eq!(intent.charges().unwrap(), [charge]);
            assert_eq!(intent.recipient(), recipient);
            assert_eq!(intent.spender(), spender);
        }
    }
}

#[test]
fn summaries_are_plain() {
    let data = arguments(TRANSFER, &accounts(1), U256::from(1_250_000));
    let summary = try_read(to_usdc(data).encode()).unwrap().intent.summary();
    assert_eq!(summary, "send 1.25 USDC to 0x0101010101010101010101010101010101010101 on base");
    let summary = try_read(plain().encode()).unwrap().intent.summary();
    assert_eq!(
        summary,
        "send 0.000000000000000005 native coin to 0x2222222222222222222222222222222222222222 on base"
    );
    let call = Plain { data: vec![1, 2, 3, 4], chain: 5, ..plain() };
    let summary = try_read(call.encode()).unwrap().intent.summary();
    assert_eq!(
        summary,
        "call 0x2222222222222222222222222222222222222222 selector 0x01020304 with 0.000000000000000005 native coin on chain 5"
    );
}

#[test]
fn malformed_arguments_are_refused() {
    for (function, selector, count) in
        [("transfer", TRANSFER, 1), ("approve", APPROVE, 1), ("transferFrom", TRANSFER_FROM, 2)]
    {
        let good = arguments(selector, &accounts(count), U256::from(9));
        for len in 4..good.len() {
            let reason = "not exactly its arguments";
            let error = refused(to_usdc(good[..len].to_vec()).encode());
            assert_eq!(error, TransactionError::Calldata { function, reason }, "{len}");
        }
        for tail in [1, 31, 32, 64] {
            let long = [good.clone(), vec![0; tail]].concat();
            assert!(matches!(refused(to_usdc(long).encode()), TransactionError::Calldata { .. }));
        }
        for account in 0..usize::from(count) {
            for byte in 0..12 {
                let mut dirty = good.clone();
                dirty[4 + 32 * account + byte] = 1;
                let reason = "the 12 bytes before an address are not zero";
                let error = refused(to_usdc(dirty).encode());
                assert_eq!(error, TransactionError::Calldata { function, reason });
            }
        }
    }
}

#[test]
fn unknown_calls_are_calls_never_transfers_of_nothing() {
    let selectors = [
        [0x39, 0x50, 0x93, 0x51], // increaseAllowance
        [0xd5, 0x05, 0xac, 0xcf], // permit
        [0xe3, 0xee, 0x16, 0x0e], // transferWithAuthorization
        [0xef, 0x55, 0xbe, 0xc6], // receiveWithAuthorization
        [0xa2, 0x2c, 0xb4, 0x65], // setApprovalForAll
        [0xac, 0x96, 0x50, 0xd8], // multicall
        [0, 0, 0, 0],
        [0xa9, 0x05, 0x9c, 0xbc],
    ];
    for token in &TOKENS {
        for selector in selectors {
            let data = arguments(selector, &accounts(1), U256::from(9));
            let call = Plain { chain: token.chain, to: token.address.to_vec(), ..to_usdc(data.clone()) };
            let intent = try_read(call.encode()).unwrap().intent;
            let to = token.address;
            assert_eq!(
                intent.action,
                Action::ContractCall { to, selector: Some(selector), data: data.into() }
            );
            assert_eq!(intent.charges().unwrap(), []);
            assert_eq!(intent.recipient(), None);
        }
    }
    for len in 0..4 {
        let intent = try_read(to_usdc(TRANSFER[..len].to_vec()).encode()).unwrap().intent;
        assert!(matches!(intent.action, Action::ContractCall { selector: None, .. }), "{len}");
    }
}

#[test]
fn calldata_of_a_transfer_means_nothing_elsewhere() {
    let data = arguments(TRANSFER, &accounts(1), U256::from(9));
    let stranger = Plain { to: vec![9; 20], ..to_usdc(data.clone()) };
    let other_chain = Plain { chain: 1, ..to_usdc(data) };
    for plain in [stranger, other_chain] {
        let intent = try_read(plain.encode()).unwrap().intent;
        assert!(matches!(intent.action, Action::ContractCall { selector: Some(TRANSFER), .. }));
    }
}

#[test]
fn a_call_with_value_is_charged_for_it() {
    let call = Plain { data: vec![1, 2, 3, 4], ..plain() };
    let intent = try_read(call.encode()).unwrap().intent;
    assert_eq!(intent.charges().unwrap(), [Charge { asset: AssetId::native(8453), amount: U256::from(5) }]);
    assert_eq!(intent.recipient(), Some(Address::repeat_byte(0x22)));
}

#[test]
fn tokens_take_no_native_coin() {
    for data in [vec![], vec![1], arguments(TRANSFER, &accounts(1), U256::from(9)), vec![1, 2, 3, 4]] {
        let paid = Plain { value: U256::from(1), ..to_usdc(data) };
        assert_eq!(refused(paid.encode()), TransactionError::ValueToToken("USDC"));
    }
}
