use std::sync::Arc;

use quorate_intent::{AssetId, decode};
use quorate_lapse::{Block, GRACE_S, Lapse};
use quorate_ledger::{Before, charge, spent};
use quorate_manifest::sign;
use quorate_policy::{Decision, Facts, evaluate};
use quorate_session::WalletTerms;
use quorate_store::Store;
use quorate_types::{Address, Clock, Payload, U256};
use rand_core::OsRng;
use ssh_key::{Algorithm, PrivateKey};

use super::*;
use crate::testing::{Cluster, memory, person, shares, wallet};

fn usdc() -> Address {
    "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap()
}
/// The first second at which the authorization can no longer be used.
const ENDS_S: u64 = 60;
const OVER_MS: u64 = (ENDS_S + GRACE_S) * 1000;
const DELAY_S: u32 = 3600;

struct Rig {
    cluster: Cluster,
    /// Another operator.
    second: PrivateKey,
    store: Arc<dyn Store>,
    node: Arc<Node>,
    payload: String,
}

/// A service node that was charged 1 USDC of a cap of 1, for an authorization that ends at [`ENDS_S`].
fn rig(loosening_delay_s: Option<u32>) -> Rig {
    let mut cluster = Cluster::new();
    let second = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
    cluster.draft.operators.push(person("otto", &second));
    let store = memory();
    let node = cluster.node(Role::Service, &store);
    let [_, share, _] = shares();
    let terms = WalletTerms { loosening_delay_s, ..WalletTerms::default() };
    let statement = quorate_session::KeyStatement { terms, ..cluster.statement("w", &share) };
    let record = cluster.record(Role::Service, &statement);
    let kept = update(&*node.store, |txn| {
        node.vault.keep_share(txn, &record, &share)?;
        node.vault.activate(txn, &record.wallet, record.public_key)
    });
    assert!(kept.is_ok());
    let lines = "  max_authorization_lifetime_s: 100000\n  cumulative: [{asset: USDC, chain: base-sepolia, max: \"1\", per: wallet, \
                 window: {rolling_s: 2678400}}]\n";
    let policy = node.documents.put_unguarded(&cluster.policy_with(("w", 1), "1.00", lines)).unwrap();
    let address = record.public_key.address();
    let payload = authorization(address);
    let intent = decode(&Payload::TypedData(payload.clone())).unwrap().intent;
    let hash = Payload::TypedData(payload.clone()).hash();
    let (charged, synced) = update(&*node.store, |txn| {
        let before = Before::payload(txn, hash, intent.once());
        let (w, now) = (wallet("w"), cluster.clock.now());
        match evaluate(Some(&policy), &Facts::of(&w, &record.agent, address, &intent, now), &before)? {
            Decision::Allow(approval) => charge(txn, approval, hash),
            Decision::Deny(denial) => panic!("{denial:?}"),
        }
    })
    .unwrap();
    charged.confirm(&synced);
    Rig { cluster, second, store, node, payload }
}

fn authorization(from: Address) -> String {
    let fields = |names: &[(&str, &str)]| -> Vec<_> {
        names.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect()
    };
    json!({
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
            "from": from.to_string(),
            "to": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
            "value": "1000000",
            "validAfter": "0",
            "validBefore": ENDS_S.to_string(),
            "nonce": B256::repeat_byte(7).to_string(),
        },
    })
    .to_string()
}

impl Rig {
    fn said(&self) -> Lapse {
        Lapse {
            cluster: "dev".parse().unwrap(),
            wallet: wallet("w"),
            typed_data: self.payload.clone(),
            block: Block { number: 7, hash: B256::repeat_byte(1), time_s: ENDS_S },
            reason: "a test".to_owned(),
        }
    }

    fn signed(&self, said: &Lapse, by: &[&PrivateKey]) -> v1::SignedDocument {
        let body = said.to_yaml().unwrap().into_bytes();
        let signatures = by.iter().map(|key| sign(&body, Namespace::Lapse, key).unwrap()).collect();
        v1::SignedDocument { body, signatures }
    }

    fn by_one(&self) -> v1::SignedDocument {
        self.signed(&self.said(), &[&self.cluster.operator])
    }

    fn by_both(&self) -> v1::SignedDocument {
        self.signed(&self.said(), &[&self.cluster.operator, &self.second])
    }

    fn spent(&self) -> u64 {
        spent(&*self.node.store, &wallet("w"), &AssetId::token(84532, usdc()), 0).unwrap().to::<u64>()
    }

    /// What the node says, as (given back, waits until, why refused).
    fn shown(&self, document: v1::SignedDocument) -> (u32, u64, String) {
        let ack = run(&self.node, document);
        (ack.given_back, ack.waits_until_ms, ack.refused)
    }

    fn refused(&self, document: v1::SignedDocument, why: &str) {
        let (given_back, waits, refused) = self.shown(document);
        assert!(refused.contains(why) && (given_back, waits) == (0, 0), "{why}: {refused}");
        assert_eq!(self.spent(), 1_000_000, "{why}");
    }

    fn written(&self, kind: &str) -> usize {
        let entries = quorate_audit::entries(&*self.node.store, 1, usize::MAX).unwrap();
        entries.iter().filter(|entry| entry.kind == kind).count()
    }

    fn at(&self, now_ms: u64) {
        self.cluster.clock.advance(now_ms - self.cluster.clock.now());
    }
}

const BACK: (u32, u64, String) = (1, 0, String::new());
const ALREADY: (u32, u64, String) = (0, 0, String::new());

#[test]
fn a_spend_comes_back_once_and_the_log_says_on_whose_word() {
    let rig = rig(None);
    rig.at(OVER_MS - 1);
    rig.refused(rig.by_one(), &format!("too early: not before {OVER_MS} ms"));
    rig.at(OVER_MS);
    assert_eq!(rig.shown(rig.by_one()), BACK);
    assert_eq!(rig.spent(), 0);
    for again in [rig.by_one(), rig.by_both()] {
        assert_eq!(rig.shown(again), ALREADY);
    }
    assert_eq!(rig.written("spend.lapsed"), 1);
    let entries = quorate_audit::entries(&*rig.node.store, 1, usize::MAX).unwrap();
    let entry = entries.into_iter().find(|entry| entry.kind == "spend.lapsed").unwrap();
    assert_eq!(
        (&entry.fields["signed_by"][0], &entry.fields["block"]["number"]),
        (&"olga".into(), &7.into())
    );
    assert_eq!(entry.fields["returned"][0]["amount"], "1000000");
}

/// Whoever holds the coordinator can show what it likes.
#[test]
fn nothing_but_the_quorum_s_word_on_just_this_gives_back() {
    let rig = rig(None);
    rig.at(OVER_MS);
    let stranger = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
    rig.refused(rig.signed(&rig.said(), &[]), "signers must agree");
    rig.refused(rig.signed(&rig.said(), &[&stranger]), "signatures[0]");
    rig.refused(rig.signed(&rig.said(), &[&rig.cluster.approver]), "signatures[0]");
    let as_freeze = rig.by_one();
    let signature = sign(&as_freeze.body, Namespace::Freeze, &rig.cluster.operator).unwrap();
    rig.refused(v1::SignedDocument { signatures: vec![signature], ..as_freeze }, "signatures[0]");

    let block = rig.said().block;
    let changed: [(Lapse, &str); 4] = [
        (Lapse { cluster: "other".parse().unwrap(), ..rig.said() }, "cluster: the lapse is for other"),
        (Lapse { wallet: wallet("v"), ..rig.said() }, "wallet v is not active here"),
        (Lapse { block: Block { time_s: OVER_MS / 1000 + 1, ..block }, ..rig.said() }, "in the future"),
        (Lapse { typed_data: authorization(Address::ZERO), ..rig.said() }, "is for 0x00000000"),
    ];
    for (said, why) in changed {
        // Unsigned changes first, then what the operator would have signed.
        let body = said.to_yaml().unwrap().into_bytes();
        rig.refused(v1::SignedDocument { body, ..rig.by_one() }, "signatures[0]");
        rig.refused(rig.signed(&said, &[&rig.cluster.operator]), why);
    }
    // Signed, of this wallet, over, and never charged.
    let other = rig.payload.replace("1000000", "1000001");
    assert_ne!(other, rig.payload);
    let never = rig.signed(&Lapse { typed_data: other, ..rig.said() }, &[&rig.cluster.operator]);
    assert_eq!(rig.shown(never), ALREADY);
    assert_eq!((rig.spent(), rig.written("spend.lapsed")), (1_000_000, 0));

    let agent = rig.cluster.node(Role::Agent, &memory());
    assert!(run(&agent, rig.by_one()).refused.contains("only a service node"));
}

#[test]
fn of_a_wallet_with_a_delay_it_takes_two_operators_and_as_long_as_a_looser_policy() {
    let mut rig = rig(Some(DELAY_S));
    rig.at(OVER_MS);
    rig.refused(rig.by_one(), "1 of the 2 operators");
    let until = OVER_MS + u64::from(DELAY_S) * 1000;
    let waits = (0, until, String::new());
    assert_eq!(rig.shown(rig.by_both()), waits);
    rig.at(until - 1);
    assert_eq!(rig.shown(rig.by_both()), waits);
    // Its time is on its own disk.
    rig.node = rig.cluster.node(Role::Service, &rig.store);
    assert_eq!(rig.shown(rig.by_both()), waits);
    assert_eq!((rig.spent(), rig.written("lapse.waiting")), (1_000_000, 1));
    rig.at(until);
    rig.refused(rig.by_one(), "1 of the 2 operators");
    assert_eq!(rig.shown(rig.by_both()), BACK);
    assert_eq!((rig.spent(), rig.shown(rig.by_both())), (0, ALREADY));
}

#[test]
fn a_freeze_order_about_the_wallet_stops_what_waits_for_good() {
    let rig = rig(Some(DELAY_S));
    let delay_ms = u64::from(DELAY_S) * 1000;
    rig.at(OVER_MS);
    assert_eq!(rig.shown(rig.by_both()).1, OVER_MS + delay_ms);
    rig.at(OVER_MS + delay_ms);
    rig.node.documents.put_freeze(&rig.cluster.freeze(1, "freeze")).unwrap();
    rig.refused(rig.by_both(), "a freeze order about the wallet came since");
    rig.node.documents.put_freeze(&rig.cluster.freeze(2, "unfreeze")).unwrap();
    rig.at(OVER_MS + 2 * delay_ms);
    rig.refused(rig.by_both(), "a freeze order about the wallet came since");
    // Whoever signed it looks again, and signs another.
    let block = Block { number: 8, ..rig.said().block };
    let anew = rig.signed(&Lapse { block, ..rig.said() }, &[&rig.cluster.operator, &rig.second]);
    assert_eq!(rig.shown(anew.clone()).1, OVER_MS + 3 * delay_ms);
    rig.refused(rig.by_both(), "a freeze order about the wallet came since");
    rig.node.documents.put_freeze(&rig.cluster.freeze(3, "freeze")).unwrap();
    rig.at(OVER_MS + 3 * delay_ms);
    rig.refused(anew, "a freeze order about the wallet came since");
    let block = Block { number: 9, ..rig.said().block };
    let last = rig.signed(&Lapse { block, ..rig.said() }, &[&rig.cluster.operator, &rig.second]);
    assert_eq!(rig.shown(last.clone()).1, OVER_MS + 4 * delay_ms);
    rig.at(OVER_MS + 4 * delay_ms);
    assert_eq!(rig.shown(last), BACK, "frozen, it may come back: it signs nothing");
    let mut left = 0;
    let count = &mut |_: &[u8], _: &[u8]| {
        left += 1;
        ControlFlow::Continue(())
    };
    rig.node.store.scan(WAITING, &[], &[], count).unwrap();
    assert_eq!(left, 0, "nothing waits any more");
    assert_eq!(U256::from(rig.spent()), U256::ZERO);
}
