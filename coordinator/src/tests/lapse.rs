//! An authorization that ended unused: the service node is asked first, and what it does is done here too.

use quorate_intent::AssetId;
use quorate_lapse::{Block, GRACE_S, Lapse};
use quorate_ledger::{State, spent};
use quorate_manifest::{Namespace, SignedDocument};
use quorate_store::update;
use quorate_transport::PeerRole;
use quorate_types::{Address, B256, Clock, Payload, PublicKey, Role};

use super::fake::Does;
use super::rig::{
    PAYEE, Rig, START, caller, denial_of, policy_record, signature_of, signed, wallet, wallet_key,
};
use crate::error::OpError;
use crate::ops::apply_lapse::{Applied, apply_lapse};
use crate::records::put;

fn usdc() -> Address {
    "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap()
}
/// The first second at which an authorization of these tests can no longer be used.
const ENDS_S: u64 = START / 1000 + 60;
const OVER_MS: u64 = (ENDS_S + GRACE_S) * 1000;

/// May authorize 1.5 USDC in a month.
fn rig() -> Rig {
    let rig = Rig::new();
    let payee = PAYEE.to_checksum(None);
    let body = format!(
        "policy: quorate/v1\ncluster: demo\nwallet: w\nversion: 2\nrules:\n  chains: [base-sepolia]\n  \
         per_transaction: [{{asset: USDC, chain: base-sepolia, max: \"1\"}}]\n  max_authorization_lifetime_s: 100000\n  \
         recipients: [{{address: \"{payee}\", label: shop}}]\n  \
         cumulative: [{{asset: USDC, chain: base-sepolia, max: \"1.5\", per: wallet, window: {{rolling_s: 2678400}}}}]\n"
    );
    let record = policy_record(signed(body, Namespace::Policy));
    let _synced = update(rig.store.as_ref(), |txn| put(txn, &record)).unwrap();
    rig
}

/// An EIP-3009 authorization of 1 USDC.
fn authorization(nonce: u8, ends_s: u64) -> String {
    let fields = |names: &[(&str, &str)]| -> Vec<_> {
        names.iter().map(|(name, kind)| serde_json::json!({ "name": name, "type": kind })).collect()
    };
    let from = PublicKey::from(k256::PublicKey::from(wallet_key().verifying_key())).address();
    serde_json::json!({
        "types": {
            "EIP712Domain": fields(&[
                ("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address"),
            ]),
            "TransferWithAuthorization": fields(&[
                ("from", "address"), ("to", "address"), ("value", "uint256"), ("validAfter", "uint256"),
                ("validBefore", "uint256"), ("nonce", "bytes32"),
            ]),
        },
        "primaryType": "TransferWithAuthorization",
        "domain": { "name": "USDC", "version": "2", "chainId": 84532, "verifyingContract": usdc().to_string() },
        "message": {
            "from": from.to_string(), "to": PAYEE.to_string(), "value": "1000000", "validAfter": "0",
            "validBefore": ends_s.to_string(), "nonce": B256::repeat_byte(nonce).to_string(),
        },
    })
    .to_string()
}

fn payload(nonce: u8) -> Payload {
    Payload::TypedData(authorization(nonce, ENDS_S))
}

fn lapse_of(nonce: u8) -> SignedDocument {
    let said = Lapse {
        cluster: "demo".parse().unwrap(),
        wallet: wallet(),
        typed_data: authorization(nonce, ENDS_S),
        block: Block { number: 7, hash: B256::ZERO, time_s: ENDS_S },
        reason: "a test".to_owned(),
    };
    signed(said.to_yaml().unwrap(), Namespace::Lapse)
}

async fn apply(rig: &Rig, document: SignedDocument) -> Result<Applied, OpError> {
    apply_lapse(&rig.core, caller(PeerRole::Operator), document).await
}

fn counts(rig: &Rig) -> u64 {
    spent(rig.store.as_ref(), &wallet(), &AssetId::token(84532, usdc()), 0).unwrap().to::<u64>()
}

#[tokio::test]
async fn a_full_cap_is_free_again_for_what_ended_unused() {
    let rig = rig();
    let (agent, service) = rig.attach_signers(&[], &[]);
    signature_of(&rig.sign("a", payload(1)).await.unwrap());
    assert_eq!(denial_of(&rig.sign("b", payload(2)).await.unwrap()).failures[0].rule, "cumulative");
    rig.clock.advance(OVER_MS - START - 1);
    let early = apply(&rig, lapse_of(1)).await.unwrap_err();
    assert!(matches!(&early, OpError::Conflict { reason, .. } if reason.starts_with("too early")), "{early}");
    assert_eq!(service.documents(), Vec::<String>::new(), "no node is asked too early");
    rig.clock.advance(1);

    let applied = apply(&rig, lapse_of(1)).await.unwrap();
    assert_eq!((applied.node.as_str(), applied.node_given_back, applied.waits_until), ("service-1", 1, 0));
    assert_eq!(applied.given_back.iter().map(|back| back.counted_at).collect::<Vec<_>>(), [START]);
    assert_eq!((counts(&rig), rig.last().kind.as_str()), (0, "spend.lapsed"));
    let written = rig.audit();
    let again = apply(&rig, lapse_of(1)).await.unwrap();
    assert_eq!((again.node_given_back, again.given_back), (0, vec![]));
    assert_eq!(rig.audit(), written, "nothing is written down twice");
    assert_eq!((service.documents().len(), agent.documents().len()), (2, 0));

    let now_s = rig.clock.now() / 1000;
    let next = Payload::TypedData(authorization(2, now_s + 60));
    signature_of(&rig.sign("c", next).await.unwrap());
    signature_of(&rig.sign("a", payload(1)).await.unwrap());
    assert_eq!(counts(&rig), 1_000_000);
}

#[tokio::test]
async fn nothing_comes_back_here_that_the_service_node_does_not_give_back() {
    let rig = rig();
    let (_agent, _service) = rig.attach_signers(&[], &[]);
    signature_of(&rig.sign("a", payload(1)).await.unwrap());
    rig.clock.advance(OVER_MS - START);
    let _refuses = rig.attach_refusing(Role::Service, &[], "not mine");
    let refused = apply(&rig, lapse_of(1)).await.unwrap_err();
    assert!(matches!(&refused, OpError::Conflict { reason, .. } if reason.contains("refuses it: not mine")));
    let gone = self::rig();
    gone.clock.advance(OVER_MS - START);
    assert!(matches!(apply(&gone, lapse_of(1)).await, Err(OpError::Unavailable { .. })));
    assert_eq!(counts(&rig), 1_000_000);

    let unsigned = SignedDocument { signatures: Vec::new(), ..lapse_of(1) };
    let mut changed = lapse_of(1);
    changed.body = lapse_of(2).body;
    for bad in [unsigned, changed, signed("x".to_owned(), Namespace::Lapse)] {
        assert!(matches!(apply(&rig, bad).await, Err(OpError::Invalid { .. })));
    }
    assert_eq!(counts(&rig), 1_000_000);
}

/// However often it is asked for, the log says once that it waits, and nothing comes back here before it does there.
#[tokio::test]
async fn people_are_told_once_of_what_waits() {
    let rig = rig();
    let (_agent, service) = rig.attach_signers(&[], &[]);
    signature_of(&rig.sign("a", payload(1)).await.unwrap());
    rig.clock.advance(OVER_MS - START);
    let until = OVER_MS + 1000;
    service.waits_with_a_lapse(until);
    for _ in 0..3 {
        let applied = apply(&rig, lapse_of(1)).await.unwrap();
        assert_eq!((applied.waits_until, applied.node_given_back, applied.given_back), (until, 0, vec![]));
    }
    let told = || rig.audit().iter().filter(|kind| *kind == "lapse.waiting").count();
    assert_eq!((told(), counts(&rig)), (1, 1_000_000));
    // The node began anew.
    service.waits_with_a_lapse(until + 1);
    apply(&rig, lapse_of(1)).await.unwrap();
    assert_eq!(told(), 2);
    service.waits_with_a_lapse(0);
    let applied = apply(&rig, lapse_of(1)).await.unwrap();
    assert_eq!((applied.given_back.len(), counts(&rig)), (1, 0));
    assert_eq!(rig.last().kind, "spend.lapsed");
}

#[tokio::test]
async fn what_was_never_signed_is_not_found() {
    let rig = rig();
    let (_agent, _service) = rig.attach_signers(&[], &[]);
    signature_of(&rig.sign("a", payload(1)).await.unwrap());
    rig.clock.advance(OVER_MS - START);
    apply(&rig, lapse_of(1)).await.unwrap();
    // From here on the scripted node says that it has nothing to give back.
    let error = apply(&rig, lapse_of(2)).await.unwrap_err();
    assert!(matches!(&error, OpError::NotFound { what: "a signature over", .. }), "{error}");
}

/// A node that fails after it was asked leaves the spend standing, and nobody ever knows. That it ended unused is proof enough.
#[tokio::test]
async fn a_reservation_whose_end_nobody_knows_comes_back() {
    let rig = rig();
    let (_agent, _service) = rig.attach_signers(&[], &[Does::Vanishes, Does::Vanishes]);
    assert!(rig.sign("a", payload(1)).await.is_err());
    assert_eq!((rig.entry("a").unwrap().state, counts(&rig)), (State::Releasing, 1_000_000));
    rig.clock.advance(OVER_MS - START);
    let (_agent, _service) = rig.attach_signers(&[], &[]);
    let applied = apply(&rig, lapse_of(1)).await.unwrap();
    assert_eq!((applied.given_back.len(), counts(&rig)), (1, 0));
    let entry = rig.entry("a").unwrap();
    assert_eq!((entry.state, entry.charges.len()), (State::Releasing, 0));
    // Asked again it is over, and denied; the next in line has its place.
    let denied = denial_of(&rig.sign("a", payload(1)).await.unwrap());
    assert_eq!(denied.failures[0].rule, "max_authorization_lifetime_s");
    let next = Payload::TypedData(authorization(2, rig.clock.now() / 1000 + 60));
    signature_of(&rig.sign("b", next).await.unwrap());
}
