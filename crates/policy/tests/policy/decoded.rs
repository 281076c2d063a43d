//! From the bytes of a payload to the decision.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Bytes, TxKind, hex};
use quorate_intent::decode;
use quorate_types::{Payload, U256};

use crate::rig::{
    BASE_SEPOLIA, NOW_S, PAYER, POLICY, SHOP, STRANGER, address, allows, codes, decide, failures, usdc,
};

fn payment(to: &str, amount: u64, gas_price: u128) -> Payload {
    let mut data = hex!("a9059cbb").to_vec();
    data.extend_from_slice(address(to).into_word().as_slice());
    data.extend_from_slice(&U256::from(amount).to_be_bytes::<32>());
    let transaction = TxEip1559 {
        chain_id: BASE_SEPOLIA,
        nonce: 7,
        gas_limit: 60_000,
        max_fee_per_gas: gas_price,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(usdc(BASE_SEPOLIA)),
        value: U256::ZERO,
        access_list: Default::default(),
        input: Bytes::from(data),
    };
    Payload::Transaction(transaction.encoded_for_signing().into())
}

fn x402(from: &str, to: &str, value: u64, valid_before: u64) -> Payload {
    let usdc = usdc(BASE_SEPOLIA);
    Payload::TypedData(format!(
        r#"{{"types":{{"EIP712Domain":[{{"name":"name","type":"string"}},{{"name":"version","type":"string"}},
        {{"name":"chainId","type":"uint256"}},{{"name":"verifyingContract","type":"address"}}],
        "TransferWithAuthorization":[{{"name":"from","type":"address"}},{{"name":"to","type":"address"}},
        {{"name":"value","type":"uint256"}},{{"name":"validAfter","type":"uint256"}},
        {{"name":"validBefore","type":"uint256"}},{{"name":"nonce","type":"bytes32"}}]}},
        "primaryType":"TransferWithAuthorization",
        "domain":{{"name":"USDC","version":"2","chainId":{BASE_SEPOLIA},"verifyingContract":"{usdc}"}},
        "message":{{"from":"{from}","to":"{to}","value":"{value}","validAfter":"0","validBefore":"{valid_before}",
        "nonce":"0x{}"}}}}"#,
        "ab".repeat(32)
    ))
}

#[test]
fn a_payment_inside_the_policy_is_allowed_and_one_outside_is_told_why() {
    let intent = |payload: &Payload| decode(payload).unwrap().intent;
    assert!(allows(POLICY, &intent(&payment(SHOP, 25_000_000, 10_000_000_000))));
    assert_eq!(codes(&intent(&payment(SHOP, 25_000_001, 10_000_000_000))), ["per_transaction"]);
    assert_eq!(codes(&intent(&payment(STRANGER, 1, 10_000_000_000))), ["recipients"]);
    // 60,000 gas at 40 gwei may burn 0.0024 ETH.
    let failures = failures(decide(POLICY, &intent(&payment(SHOP, 1, 40_000_000_000))));
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].rule.as_str(), failures[0].limit.as_str()), ("max_fee", "0.002 ETH"));
    assert_eq!(failures[0].requested, "0.0024 ETH on base-sepolia");
}

#[test]
fn an_x402_payment_is_judged_alike() {
    let intent = |payload: &Payload| decode(payload).unwrap().intent;
    assert!(allows(POLICY, &intent(&x402(PAYER, SHOP, 10_000, NOW_S + 60))));
    assert!(allows(POLICY, &intent(&x402(PAYER, SHOP, 10_000, NOW_S + 3600))));
    let codes = |payload: Payload| codes(&intent(&payload));
    assert_eq!(codes(x402(PAYER, SHOP, 10_000, NOW_S + 3601)), ["max_authorization_lifetime_s"]);
    assert_eq!(codes(x402(PAYER, SHOP, 10_000, NOW_S)), ["max_authorization_lifetime_s"]);
    assert_eq!(codes(x402(STRANGER, SHOP, 10_000, NOW_S + 60)), ["signer_mismatch"]);
    assert_eq!(codes(x402(PAYER, STRANGER, 10_000, NOW_S + 60)), ["recipients"]);
    assert_eq!(codes(x402(PAYER, SHOP, 25_000_001, NOW_S + 60)), ["per_transaction"]);
}
