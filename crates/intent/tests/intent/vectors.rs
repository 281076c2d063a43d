//! Digests published elsewhere, or settled on chain.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use quorate_intent::{Action, Asset, AuthorizationKind, Decoded, TypedData, decode};
use quorate_types::{Address, B256, Bytes, Payload, PublicKey, U256};
use serde_json::{Value, json};

use crate::words::*;

fn recover(digest: B256, signature: &str) -> Address {
    let bytes = hex::decode(signature).unwrap();
    let signature = Signature::from_slice(&bytes[..64]).unwrap();
    let id = RecoveryId::from_byte(bytes[64] - 27).unwrap();
    let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, id).unwrap();
    PublicKey::from(k256::PublicKey::from(key)).address()
}

fn digest(decoded: &Decoded) -> String {
    hex::encode(decoded.digest.digest())
}

fn typed_data(decoded: &Decoded) -> &TypedData {
    let Action::TypedData(data) = &decoded.intent.action else { panic!("{:?}", decoded.intent) };
    data
}

#[test]
fn x402_specification_payment() {
    let domain = json!({"name": "USDC", "version": "2", "chainId": 84532, "verifyingContract": SEPOLIA_USDC});
    let decoded = read(&payment(domain));
    assert_eq!(digest(&decoded), "f256992871671abcb27ff92885a7afa46218724e5fc0bac35d050115aa1d22e6");
    let preimage = hex::encode(decoded.digest.read().unwrap().preimage());
    assert_eq!(&preimage[..4], "1901");
    assert_eq!(&preimage[4..68], "71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818");
    assert_eq!(&preimage[68..], "49ad644555c7bdf3ea4fc022a4940ae5589b230b1dde0065c5504fa19bbe39a4");

    let signature = "2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c";
    assert_eq!(Some(recover(decoded.digest.digest(), signature)), decoded.intent.signer);
    assert_eq!(decoded.intent.signer, Some(address(PAYER)));
    assert_eq!(decoded.intent.recipient(), Some(address(PAYEE)));
    assert_eq!(decoded.intent.chain, Some(84532));
    assert_eq!(decoded.intent.validity.not_before_s, Some(1740672090));
    assert_eq!(decoded.intent.validity.not_after_s, Some(1740672153));
    let charges = decoded.intent.charges().unwrap();
    assert_eq!(charges.len(), 1);
    assert_eq!(charges[0].amount, U256::from(10_000));
    assert_eq!(charges[0].asset.asset, Asset::Token(address(SEPOLIA_USDC)));
    let Action::TokenTransfer { authorization: Some(authorization), .. } = decoded.intent.action else {
        panic!()
    };
    assert_eq!(authorization.kind, AuthorizationKind::Transfer);
    assert_eq!(authorization.nonce, NONCE.parse::<B256>().unwrap());
}

#[test]
fn payment_settled_on_base() {
    let mut data = payment(usdc());
    data["message"] = json!({
        "from": "0x9d24d267cf8d9a8b9ed104b4856cde8830c266ef",
        "to": "0xb73d8bc93b791510c4733c5c5ac2015a3c2930ec",
        "value": "22000", "validAfter": "0", "validBefore": "1791120073",
        "nonce": "0x84428e7eae7b08cac1ec9186e338e14fa5056d9f62bb9d92e1ea927370b8e779",
    });
    let decoded = read(&data);
    assert_eq!(digest(&decoded), "12fedf9dd2fbf9be56cffd125cd082bc4da832b52d13ed2cd1b3cb0719d65ec0");
    let signature = "b909a9345301f4942d14fc97f72306b8ae6e4077431cb8e950194196101b34582f9cf1604c72db4a5a87ade62949449a2eff957f1d58a11954438dac229aa16f1c";
    assert_eq!(Some(recover(decoded.digest.digest(), signature)), decoded.intent.signer);
}

#[test]
fn mail_of_eip_712() {
    let domain = json!({
        "name": "Ether Mail", "version": "1", "chainId": 1,
        "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
    });
    let mut data = typed(
        domain,
        "Mail",
        "Person from,Person to,string contents",
        json!({
            "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
            "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
            "contents": "Hello, Bob!",
        }),
    );
    data["types"]["Person"] = fields("string name,address wallet");
    let decoded = read(&data);
    assert_eq!(digest(&decoded), "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
    let mail = typed_data(&decoded);
    assert_eq!(
        hex::encode(mail.type_hash),
        "a0cedeb2dc280ba39b857546d74f5549c3a1d7bdc2dd96bf881f76108e23dac2"
    );
    assert_eq!(
        hex::encode(mail.struct_hash),
        "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    );
    assert_eq!(decoded.intent.charges().unwrap(), []);
    assert_eq!(decoded.intent.recipient(), None);
}

#[test]
fn v2_payment_on_base() {
    let mut data = payment(usdc());
    data["message"]["from"] = json!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    data["message"]["nonce"] = json!(format!("0x{}", "11".repeat(32)));
    assert_eq!(digest(&read(&data)), "5c3a4e11336bffeff64507df6d88587ce91b21933179b884aa587b6bb1497d44");
}

const PERMIT2: &str = "0x000000000022D473030F116dDEE9F6B43aC78BA3";

fn permit2(chain: u64) -> Value {
    let domain = json!({"name": "Permit2", "chainId": chain, "verifyingContract": PERMIT2});
    let mut data = typed(
        domain,
        "PermitWitnessTransferFrom",
        "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Witness witness",
        json!({
            "permitted": {"token": SEPOLIA_USDC, "amount": "10000"},
            "spender": "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
            "nonce": "33247007178036348590600198031289925668252061821958005840077069883511451257277",
            "deadline": "1740672154",
            "witness": {"to": PAYEE, "validAfter": "1740672089"},
        }),
    );
    data["types"]["EIP712Domain"] = fields("string name,uint256 chainId,address verifyingContract");
    data["types"]["TokenPermissions"] = fields("address token,uint256 amount");
    data["types"]["Witness"] = fields("address to,uint256 validAfter");
    data
}

#[test]
fn v5_exact_permit2() {
    let decoded = read(&permit2(84532));
    assert_eq!(digest(&decoded), "21528e1468aac114016416353e2309329f217dc180b21baa1d81cde941095685");
    let data = typed_data(&decoded);
    assert_eq!(
        hex::encode(data.type_hash),
        "ebc156cd23678a74c94df13d772ef5478420637f0c94bd10d509e1dc98f521c7"
    );
    let amount = data.message.field("permitted").and_then(|permitted| permitted.field("amount")).unwrap();
    assert_eq!(amount.as_uint(), Some(U256::from(10_000)));
    assert_eq!(
        data.message.field("witness").unwrap().field("to").unwrap().as_address(),
        Some(address(PAYEE))
    );
}

#[test]
fn permit2_separators() {
    for (chain, separator) in [
        (1, "866a5aba21966af95d6c7ab78eb2b2fc913915c28be3b9aa07cc04ff903e3f28"),
        (8453, "3b6f35e4fce979ef8eac3bcdc8c3fc38fe7911bb0c69c8fe72bf1fd1a17e6f07"),
        (84532, "010f27a92fb9a32622f44f001dc4d15706a85b33499cfc2ce9033113ab26592c"),
        (10, "3c1b4b0682de90d9bc6435f35e24487dca850cf87201701cc3d3ebacf9cbd92d"),
        (137, "f033048cb2764f596bc4d98e089fa38bb84b4be3d5da2e77f9bfac0e4d6c68ca"),
        (42161, "8a6e6e19bdfb3db3409910416b47c2f8fc28b49488d6555c7fceaa4479135bc3"),
        (43114, "9af1d8185d41d30789e7ea3232bfa189680da8b3a4851663719b75da9b1c13c4"),
    ] {
        assert_eq!(hex::encode(typed_data(&read(&permit2(chain))).separator), separator, "{chain}");
    }
}

#[test]
fn v9_message() {
    let decoded = decode(&Payload::Message(Bytes::from_static(b"hello x402"))).unwrap();
    assert_eq!(digest(&decoded), "ab7ed205423220f3507d992f147b2a8af277158df548f42a781a9aeac4af4032");
}

#[test]
fn v14_batch_voucher() {
    let domain = json!({
        "name": "x402 Batch Settlement", "version": "1", "chainId": 84532,
        "verifyingContract": "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003",
    });
    let decoded = read(&typed(
        domain,
        "Voucher",
        "bytes32 channelId,uint128 maxClaimableAmount",
        json!({
            "channelId": "0x75cae6224fe626f13d8190cf4d95e1ab9b0aa1ab958a5d8e23ba1ebc7f0faf34",
            "maxClaimableAmount": 5000,
        }),
    ));
    assert_eq!(digest(&decoded), "d9fe136d90698841d5dfb7b8534aca73af34dd7aab91795ddebd67adea75fc86");
    assert_eq!(
        hex::encode(typed_data(&decoded).type_hash),
        "1e1bd6ff84c3e0d9029a292b212e039c0ca97ec497c55191a4a5874294609a69"
    );
}

#[test]
fn v16_offer() {
    let message = json!({
        "version": 1, "resourceUrl": "https://api.example.com/premium-data", "scheme": "exact",
        "network": "eip155:8453", "asset": BASE_USDC, "payTo": PAYEE, "amount": "10000", "validUntil": 0,
    });
    let types = "uint256 version,string resourceUrl,string scheme,string network,string asset,\
                 string payTo,string amount,uint256 validUntil";
    let mut data =
        typed(json!({"name": "x402 offer", "version": "1", "chainId": 1}), "Offer", types, message);
    data["types"]["EIP712Domain"] = fields("string name,string version,uint256 chainId");
    let decoded = read(&data);
    assert_eq!(digest(&decoded), "45b4bea31011e79ce91c9674aa51889dcd7a86245754a098c26e3b1e66e54223");
    assert_eq!(decoded.intent.chain, Some(1));
}
