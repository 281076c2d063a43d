//! Transactions: agreement with the second encoder, and every refusal.

use quorate_intent::{Action, DecodeError, Decoded, TOKENS, TransactionError, decode};
use quorate_types::{Address, Payload, U256};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::encoder::{Plain, keccak, random_bytes};
use crate::tokens::{APPROVE, TRANSFER, TRANSFER_FROM, arguments};

pub(crate) fn plain() -> Plain {
    Plain {
        ty: 2,
        chain: 8453,
        nonce: 7,
        tip: 1,
        price: 1_000_000_000,
        gas: 21_000,
        to: vec![0x22; 20],
        value: U256::from(5),
        data: vec![],
        access: vec![],
    }
}

pub(crate) fn try_read(bytes: Vec<u8>) -> Result<Decoded, DecodeError> {
    decode(&Payload::Transaction(bytes.into()))
}

pub(crate) fn refused(bytes: Vec<u8>) -> TransactionError {
    match try_read(bytes) {
        Err(DecodeError::Transaction(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// What the calldata should turn into, read here by hand.
fn check_action(plain: &Plain, decoded: &Decoded) {
    let to = Address::from_slice(&plain.to);
    let token = TOKENS.iter().any(|token| token.chain == plain.chain && token.address == to);
    let word = |i: usize| &plain.data[4 + 32 * i..36 + 32 * i];
    let account = |i| Address::from_slice(&word(i)[12..]);
    let number = |i| U256::from_be_slice(word(i));
    let selector = plain.data.first_chunk().copied();
    let expected = match (token, selector) {
        (true, Some(TRANSFER)) => {
            Action::TokenTransfer { token: to, recipient: account(0), amount: number(1), authorization: None }
        }
        (true, Some(APPROVE)) => Action::TokenApprove { token: to, spender: account(0), amount: number(1) },
        (true, Some(TRANSFER_FROM)) => Action::TokenTransferFrom {
            token: to,
            owner: account(0),
            recipient: account(1),
            amount: number(2),
        },
        (false, None) if plain.data.is_empty() => Action::NativeTransfer { recipient: to },
        _ => Action::ContractCall { to, selector, data: plain.data.clone().into() },
    };
    assert_eq!(decoded.intent.action, expected);
}

fn aim_at_a_token(plain: &mut Plain, rng: &mut StdRng) {
    let token = &TOKENS[rng.gen_range(0..TOKENS.len())];
    (plain.chain, plain.to, plain.value) = (token.chain, token.address.to_vec(), U256::ZERO);
    let (selector, words) = [(TRANSFER, 1), (APPROVE, 1), (TRANSFER_FROM, 2)][rng.gen_range(0..3)];
    let accounts: Vec<_> = (0..words).map(|_| random_bytes(rng, 20)).collect();
    let amount = U256::from_be_slice(&random_bytes(rng, 32)) >> rng.gen_range(0..256);
    if rng.gen_bool(0.8) {
        plain.data = arguments(selector, &accounts, amount);
    }
}

#[test]
fn ten_thousand_agree_with_the_second_encoder() {
    let mut rng = StdRng::seed_from_u64(1559);
    for _ in 0..10_000 {
        let mut plain = Plain::random(&mut rng);
        if rng.gen_bool(0.3) {
            aim_at_a_token(&mut plain, &mut rng);
        }
        let bytes = plain.encode();
        let decoded = try_read(bytes.clone()).unwrap_or_else(|error| panic!("{error} {plain:?}"));
        assert_eq!(decoded.digest.digest().0, keccak(&bytes));
        assert_eq!(decoded.digest.read().unwrap().preimage(), bytes);
        assert_eq!(decoded.intent.chain, Some(plain.chain));
        assert_eq!(decoded.intent.native_value, plain.value);
        assert_eq!(decoded.intent.max_native_fee, U256::from(plain.price) * U256::from(plain.gas));
        let terms = decoded.intent.transaction.unwrap();
        assert_eq!((terms.nonce, terms.gas_limit), (plain.nonce, plain.gas));
        assert_eq!(terms.max_fee_per_gas, U256::from(plain.price));
        assert_eq!(decoded.intent.signer, None);
        check_action(&plain, &decoded);
        assert_eq!(Plain::parse(&bytes), Some(plain));
    }
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    let at = rng.gen_range(0..bytes.len());
    match rng.gen_range(0..5) {
        0 => bytes[at] ^= 1 << rng.gen_range(0..8),
        1 => bytes[at] = rng.r#gen(),
        2 => bytes.truncate(at),
        3 => bytes.extend(random_bytes(rng, 3)),
        _ => bytes.insert(at, rng.r#gen()),
    }
}

#[test]
fn a_mutated_transaction_is_refused_or_means_exactly_its_bytes() {
    let mut rng = StdRng::seed_from_u64(2930);
    let mut read = 0;
    for _ in 0..20_000 {
        let mut plain = Plain::random(&mut rng);
        if rng.gen_bool(0.3) {
            aim_at_a_token(&mut plain, &mut rng);
        }
        let mut bytes = plain.encode();
        mutate(&mut bytes, &mut rng);
        let Ok(decoded) = try_read(bytes.clone()) else { continue };
        read += 1;
        let again = Plain::parse(&bytes).unwrap();
        assert_eq!(again.encode(), bytes);
        assert_eq!(decoded.intent.chain, Some(again.chain));
        assert_eq!(decoded.intent.native_value, again.value);
        check_action(&again, &decoded);
    }
    assert!(read > 1000, "mutations should also hit plain fields: {read}");
}

#[test]
fn types_without_rules_are_refused_by_name() {
    assert_eq!(refused(vec![]), TransactionError::Empty);
    for (ty, name) in [(3, "EIP-4844 blobs"), (4, "EIP-7702 delegation")] {
        let mut bytes = plain().encode();
        bytes[0] = ty;
        assert_eq!(refused(bytes), TransactionError::UnsupportedType { ty, name });
    }
    for ty in [0, 5, 6, 0x19, 0x7f, 0x80, 0xbf] {
        let mut bytes = plain().encode();
        bytes[0] = ty;
        assert_eq!(refused(bytes), TransactionError::UnknownType(ty));
    }
}

#[test]
fn only_the_whole_canonical_encoding_is_read() {
    for ty in 0..3 {
        let bytes = Plain { ty, tip: 1_000_000_000, ..plain() }.encode();
        assert!(try_read(bytes.clone()).is_ok());
        for len in 1..bytes.len() {
            assert_eq!(refused(bytes[..len].to_vec()), TransactionError::Malformed, "type {ty}, {len} bytes");
        }
        for tail in [vec![0], vec![0x80], vec![0x80; 3], bytes.clone()] {
            let long = [bytes.clone(), tail].concat();
            assert!(matches!(refused(long), TransactionError::TrailingBytes(_)));
        }
    }
}

#[test]
fn non_canonical_rlp_is_refused() {
    // A long-form header where the short one does, and a byte wrapped in a string header.
    let bytes = plain().encode();
    let long_header = [&[2, 0xf8, bytes[1] - 0xc0], &bytes[2..]].concat();
    assert!(matches!(refused(long_header), TransactionError::Malformed | TransactionError::NotCanonical));
    // chain 8453 takes 3 bytes after the header; then the nonce, 7.
    assert_eq!(bytes[5], 7);
    let wrapped = [&[2, bytes[1] + 1], &bytes[2..5], &[0x81, 7], &bytes[6..]].concat();
    assert!(matches!(refused(wrapped), TransactionError::Malformed | TransactionError::NotCanonical));
    let zero_led = [&[2, bytes[1] + 2], &bytes[2..5], &[0x82, 0, 7], &bytes[6..]].concat();
    assert!(matches!(refused(zero_led), TransactionError::Malformed | TransactionError::NotCanonical));
}

#[test]
fn legacy_needs_its_chain_and_no_signature() {
    let legacy = |fields: usize, tail: [u64; 3]| {
        let mut stream = rlp::RlpStream::new_list(fields);
        stream.append(&1u8).append(&2u8).append(&21_000u64).append(&vec![0x22; 20]).append(&5u8).append(&"");
        for field in tail.iter().take(fields - 6) {
            stream.append(field);
        }
        stream.out().to_vec()
    };
    assert!(try_read(legacy(9, [1, 0, 0])).is_ok());
    assert_eq!(refused(legacy(6, [0; 3])), TransactionError::NoChainId);
    assert_eq!(refused(legacy(9, [0; 3])), TransactionError::ZeroChainId);
    // Signed: v, r, s in the place of chain id, 0, 0.
    assert_eq!(refused(legacy(9, [37, 1, 1])), TransactionError::NotCanonical);
    assert_eq!(refused(legacy(7, [1, 0, 0])), TransactionError::Malformed);
    assert_eq!(refused(legacy(8, [1, 0, 0])), TransactionError::Malformed);
}

#[test]
fn chain_recipient_and_fees_are_checked() {
    let change = |change: fn(&mut Plain)| {
        let mut plain = plain();
        change(&mut plain);
        refused(plain.encode())
    };
    assert_eq!(change(|p| p.chain = 0), TransactionError::ZeroChainId);
    assert_eq!(change(|p| p.to.clear()), TransactionError::ContractCreation);
    assert_eq!(change(|p| p.tip = p.price + 1), TransactionError::PriorityAboveMaxFee);
    assert_eq!(change(|p| p.value = U256::MAX), TransactionError::CostOverflow);
    assert_eq!(change(|p| p.to.push(1)), TransactionError::Malformed);
    let len = 1026;
    let error = TransactionError::AccessListTooLong { len, max: 1024 };
    assert_eq!(change(|p| p.access = vec![(vec![1; 20], vec![vec![2; 32]; 512]); 2]), error);
    let fits = Plain { access: vec![(vec![1; 20], vec![vec![2; 32]; 511]); 2], ..plain() };
    assert!(try_read(fits.encode()).is_ok());
}

#[test]
fn amounts_reach_the_end_of_256_bits() {
    let free = Plain { value: U256::MAX, gas: 0, ..plain() };
    let decoded = try_read(free.encode()).unwrap();
    assert_eq!(decoded.intent.charges().unwrap()[0].amount, U256::MAX);
    let dear = Plain { price: u128::MAX, gas: u64::MAX, ..plain() };
    let fee = U256::from(u128::MAX) * U256::from(u64::MAX);
    assert_eq!(try_read(dear.encode()).unwrap().intent.max_native_fee, fee);
    let edge = Plain { value: U256::MAX - fee, ..dear.clone() };
    assert!(try_read(edge.encode()).is_ok());
    let over = Plain { value: U256::MAX - fee + U256::from(1), ..dear };
    assert_eq!(refused(over.encode()), TransactionError::CostOverflow);
}

#[test]
fn size_is_limited() {
    let len = Payload::MAX_BYTES + 1;
    for payload in [
        Payload::Transaction(vec![2; len].into()),
        Payload::Message(vec![2; len].into()),
        Payload::TypedData(" ".repeat(len)),
    ] {
        assert_eq!(decode(&payload), Err(DecodeError::TooLarge { len }));
    }
    assert!(decode(&Payload::Message(vec![2; Payload::MAX_BYTES].into())).is_ok());
}
