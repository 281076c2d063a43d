//! A coordinator over a store in memory, with a group, a wallet whose key the test holds, and a policy.

use std::sync::Arc;

use k256::ecdsa::SigningKey;
use quorate_ledger::{Entry, IdempotencyKey};
use quorate_manifest::{
    CoordinatorDraft, GroupDraft, ManifestDraft, Namespace, NodeDraft, PersonDraft, PersonKey, Pinned,
    SignedDocument, sign,
};
use quorate_policy::SignedPolicy;
use quorate_proto::v1;
use quorate_session::{KeyStatement, NodeKey, SignedStatement, Statement, WalletTerms};
use quorate_store::{FailingStore, MemStore, Read, update};
use quorate_transport::{PeerRole, SpiffeId};
use quorate_types::{Address, B256, Bytes, ManualClock, NodeId, Payload, PublicKey, Role, WalletId};
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

use crate::access::Caller;
use crate::config::{Deadlines, PoolsConfig};
use crate::coordinator::Coordinator;
use crate::db::Db;
use crate::gate::Request;
use crate::ops::sign::sign as sign_op;
use crate::pin::{pin, record_of};
use crate::records::{Born, GroupRecord, PolicyRecord, WalletRecord, put};
use crate::signings::Answer;

pub(super) const PAYEE: Address = Address::repeat_byte(0x11);
pub(super) const STRANGER: Address = Address::repeat_byte(0x22);
/// 0.001 of the native coin, inside the policy's 0.01.
pub(super) const SMALL: u64 = 1_000_000_000_000_000;
pub(super) const LARGE: u64 = 20_000_000_000_000_000;
pub(super) const START: u64 = 1_800_000_000_000;
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

pub(super) struct Rig {
    pub(super) core: Arc<Coordinator>,
    pub(super) store: Arc<FailingStore>,
    pub(super) clock: ManualClock,
}

pub(super) fn node(role: Role) -> NodeId {
    format!("{role}-1").parse().unwrap()
}

pub(super) fn node_key(role: Role) -> NodeKey {
    NodeKey::from_bytes([10 + u8::try_from(role.index()).unwrap(); 32].into())
}

/// The key a real wallet would have in shares.
pub(super) fn wallet_key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

pub(super) fn operator() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[42; 32]))
}

/// Another operator.
fn second() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[43; 32]))
}

/// An approver.
pub(super) fn anne() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[44; 32]))
}

fn second_key() -> PersonKey {
    PersonKey::try_from(second().public_key()).unwrap()
}

pub(super) fn root() -> PersonKey {
    PersonKey::try_from(operator().public_key()).unwrap()
}

pub(super) fn manifest(version: u64) -> SignedDocument {
    let person = PersonDraft { name: "olga".to_owned(), key: root().to_string() };
    let draft = ManifestDraft {
        version,
        nodes: Role::ALL.map(node_draft).to_vec(),
        groups: vec![GroupDraft {
            id: "g".to_owned(),
            agent: "agent-1".to_owned(),
            service: "service-1".to_owned(),
            cold: "cold-1".to_owned(),
        }],
        approvers: vec![PersonDraft {
            name: "anne".to_owned(),
            key: PersonKey::try_from(anne().public_key()).unwrap().to_string(),
        }],
        recovery: vec![RECIPIENT.to_owned()],
        coordinators: vec![CoordinatorDraft { id: "coordinator-1".to_owned() }],
        ..ManifestDraft::new(
            "demo",
            vec![person, PersonDraft { name: "otto".to_owned(), key: second_key().to_string() }],
        )
    };
    signed(draft.to_yaml().unwrap(), Namespace::Manifest)
}

fn node_draft(role: Role) -> NodeDraft {
    let key = node_key(role).public().to_string();
    NodeDraft { id: node(role).to_string(), role: role.to_string(), key }
}

pub(super) fn signed(body: String, namespace: Namespace) -> SignedDocument {
    let signature = sign(body.as_bytes(), namespace, &operator()).unwrap();
    SignedDocument { body: body.into_bytes(), signatures: vec![signature] }
}

pub(super) fn policy(version: u64, max: &str) -> SignedDocument {
    policy_with(version, max, "")
}

/// With more lines of rules.
pub(super) fn policy_with(version: u64, max: &str, lines: &str) -> SignedDocument {
    let payee = PAYEE.to_checksum(None);
    let body = format!(
        "policy: quorate/v1\ncluster: demo\nwallet: w\nversion: {version}\nrules:\n  chains: [base-sepolia]\n  \
         per_transaction: [{{asset: native, chain: base-sepolia, max: \"{max}\"}}]\n  \
         max_fee: [{{chain: base-sepolia, max: \"0.01\"}}]\n  \
         recipients: [{{address: \"{payee}\", label: shop}}]\n{lines}"
    );
    signed(body, Namespace::Policy)
}

/// A policy that both operators signed.
pub(super) fn policy_of_both(version: u64, max: &str) -> SignedDocument {
    let mut document = policy(version, max);
    document.signatures.push(sign(&document.body, Namespace::Policy, &second()).unwrap());
    document
}

/// A policy that allows raw digests at once, and nothing else.
pub(super) fn raw_policy(version: u64) -> SignedDocument {
    let body = format!(
        "policy: quorate/v1\ncluster: demo\nwallet: w\nversion: {version}\nrules:\n  raw_digest: {{tier: instant}}\n"
    );
    signed(body, Namespace::Policy)
}

pub(super) fn policy_record(document: SignedDocument) -> PolicyRecord {
    let manifest = Pinned::enrol(&manifest(1), &[root()]).unwrap();
    let policy = SignedPolicy::verify(&document, manifest.manifest()).unwrap();
    PolicyRecord { wallet: policy.wallet().clone(), version: policy.version(), hash: policy.hash(), document }
}

pub(super) fn key_statement(wallet: &str) -> KeyStatement {
    KeyStatement {
        cluster: "demo".parse().unwrap(),
        group: "g".parse().unwrap(),
        wallet: wallet.parse().unwrap(),
        agent: "bot".parse().unwrap(),
        terms: WalletTerms::default(),
        epoch: 0,
        public_key: PublicKey::from(k256::PublicKey::from(wallet_key().verifying_key())),
        nodes: Role::ALL.map(node).to_vec(),
        eid: [3; 32],
    }
}

pub(super) fn attest(statement: &KeyStatement, role: Role) -> SignedStatement {
    statement.sign(&node(role), &node_key(role)).unwrap()
}

fn wallet_record() -> WalletRecord {
    let statement = key_statement("w");
    let attestations = Role::ALL.map(|role| attest(&statement, role)).to_vec();
    WalletRecord {
        wallet: statement.wallet.clone(),
        agent: statement.agent.clone(),
        terms: statement.terms,
        group: statement.group.clone(),
        created_at: START,
        born: Some(Born::new(&statement, attestations)),
    }
}

pub(super) fn group_record() -> GroupRecord {
    let nodes = Role::ALL.map(node).to_vec();
    GroupRecord { group: "g".parse().unwrap(), nodes, aux_hash: B256::repeat_byte(5), enrolled_at: START }
}

pub(super) const DEADLINES: Deadlines =
    Deadlines { sign_ms: 5_000, keygen_ms: 5_000, enrol_ms: 5_000, policy_ms: 300 };

impl Rig {
    /// Manifest version 1, group `g` enrolled, wallet `w` active, policy version 1.
    pub(super) fn new() -> Self {
        Self::with(DEADLINES)
    }

    pub(super) fn with(deadlines: Deadlines) -> Self {
        let rig = Self::bare(deadlines);
        let _synced = update(rig.store.as_ref(), |txn| {
            put(txn, &group_record())?;
            put(txn, &wallet_record())?;
            put(txn, &policy_record(policy(1, "0.01")))
        })
        .unwrap();
        rig
    }

    /// The same, with a wallet that was created with a delay for what loosens its policy.
    pub(super) fn guarded(loosening_delay_s: u32) -> Self {
        let rig = Self::new();
        let terms = WalletTerms { loosening_delay_s: Some(loosening_delay_s), ..WalletTerms::default() };
        let wallet = WalletRecord { terms, ..wallet_record() };
        let _synced = update(rig.store.as_ref(), |txn| put(txn, &wallet)).unwrap();
        rig
    }

    /// The same, with a wallet that was created to sign raw digests, and a policy for them.
    pub(super) fn for_raw_digests() -> Self {
        let rig = Self::new();
        let terms = WalletTerms { raw_digest: true, ..WalletTerms::default() };
        let _synced = update(rig.store.as_ref(), |txn| {
            put(txn, &WalletRecord { terms, ..wallet_record() })?;
            put(txn, &policy_record(raw_policy(1)))
        })
        .unwrap();
        rig
    }

    /// Only the manifest.
    pub(super) fn bare(deadlines: Deadlines) -> Self {
        let store = Arc::new(FailingStore::new(Arc::new(MemStore::new())));
        let clock = ManualClock::at(START);
        let pinned = pin(store.as_ref(), &manifest(1), &[root()], START).unwrap();
        let frozen = crate::freezes::load(store.as_ref()).unwrap();
        let core = Coordinator::new(
            Db::new(store.clone()).unwrap(),
            (pinned, frozen),
            Arc::new(clock.clone()),
            (deadlines, PoolsConfig::default()),
        );
        Self { core, store, clock }
    }

    /// The same coordinator after its process was killed and started again.
    pub(super) fn restarted(&self) -> Self {
        let store = Arc::new(self.store.restart());
        let pinned = pin(store.as_ref(), &manifest(1), &[root()], START).unwrap();
        let clock = self.clock.clone();
        let frozen = crate::freezes::load(store.as_ref()).unwrap();
        let core = Coordinator::new(
            Db::new(store.clone()).unwrap(),
            (pinned, frozen),
            Arc::new(clock.clone()),
            (DEADLINES, PoolsConfig::default()),
        );
        Self { core, store, clock }
    }

    pub(super) async fn sign(&self, key: &str, payload: Payload) -> Answer {
        sign_op(&self.core, caller(PeerRole::Gateway), request(key, payload)).await
    }

    pub(super) fn entry(&self, key: &str) -> Option<Entry> {
        let key: IdempotencyKey = key.parse().unwrap();
        quorate_ledger::lookup(self.store.as_ref(), &wallet(), &key).unwrap()
    }

    /// The last entry of the audit log.
    pub(super) fn last(&self) -> quorate_audit::Entry {
        quorate_audit::entries(self.store.as_ref(), 1, usize::MAX).unwrap().pop().unwrap()
    }

    /// The kinds of everything in the audit log, which must verify.
    pub(super) fn audit(&self) -> Vec<String> {
        let read: &dyn Read = self.store.as_ref();
        quorate_audit::verify(read).unwrap();
        let entries = quorate_audit::entries(read, 1, usize::MAX).unwrap();
        entries.into_iter().map(|entry| entry.kind).collect()
    }

    pub(super) fn manifest_record(&self) -> crate::records::ManifestRecord {
        record_of(&self.core.pinned.load())
    }
}

pub(super) fn wallet() -> WalletId {
    "w".parse().unwrap()
}

pub(super) fn caller(role: PeerRole) -> Caller {
    Caller(SpiffeId::new("demo".parse().unwrap(), role, "someone").unwrap())
}

pub(super) fn request(key: &str, payload: Payload) -> Request {
    Request {
        wallet: wallet(),
        key: key.parse().unwrap(),
        payload_hash: payload.hash(),
        payload,
        agent: None,
        metadata: [("order".to_owned(), "17".to_owned())].into(),
    }
}

/// An EIP-1559 transfer of the native coin on Base Sepolia, as it is hashed for signing.
pub(super) fn payment(value: u64, to: Address) -> Payload {
    let number = |n: u64| {
        let bytes = n.to_be_bytes();
        let digits = &bytes[usize::try_from(n.leading_zeros() / 8).unwrap()..];
        string(digits)
    };
    let fields = [
        number(84532),
        number(0),
        number(1_000_000),
        number(1_000_000_000),
        number(21_000),
        string(to.as_slice()),
        number(value),
        string(&[]),
        vec![0xc0],
    ]
    .concat();
    let length = u8::try_from(fields.len()).unwrap();
    assert!(length < 56, "a short list");
    Payload::Transaction(Bytes::from([&[2, 0xc0 + length], fields.as_slice()].concat()))
}

/// The RLP of a string shorter than 56 bytes.
fn string(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [single] if *single < 0x80 => vec![*single],
        _ => [&[0x80 + u8::try_from(bytes.len()).unwrap()], bytes].concat(),
    }
}

pub(super) fn signature_of(answer: &v1::SignResponse) -> v1::Signed {
    match &answer.outcome {
        Some(v1::sign_response::Outcome::Signed(signed)) => signed.clone(),
        other => panic!("not signed: {other:?}"),
    }
}

pub(super) fn waiting_of(answer: &v1::SignResponse) -> v1::Waiting {
    match &answer.outcome {
        Some(v1::sign_response::Outcome::Waiting(waiting)) => waiting.clone(),
        other => panic!("does not wait: {other:?}"),
    }
}

pub(super) fn denial_of(answer: &v1::SignResponse) -> v1::Denial {
    match &answer.outcome {
        Some(v1::sign_response::Outcome::Denied(denial)) => denial.clone(),
        other => panic!("not denied: {other:?}"),
    }
}
