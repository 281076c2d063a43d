//! A cluster on paper for unit tests: an operator, three node keys, documents, shares, and nodes over any store.

use std::sync::Arc;

use quorate_approval::ApprovalRequest;
use quorate_audit::{Event, Quota, tree};
use quorate_failpoint::Failpoints;
use quorate_manifest::{
    CoordinatorDraft, GroupDraft, ManifestDraft, Namespace, NodeDraft, PersonDraft, SignedDocument, sign,
};
use quorate_mpc::{CoreShare, Moduli, Party, fixtures, generate_key};
use quorate_policy::SignedPolicy;
use quorate_proto::v1;
use quorate_session::{Cosignature, KeyStatement, NodeKey, Note, SignedStatement, Statement, WalletTerms};
use quorate_store::{MemStore, Store, Txn, Writer, update};
use quorate_types::{BootId, ManualClock, NodeId, Role, WalletId};
use rand_core::OsRng;
use ssh_key::{Algorithm, PrivateKey};

use crate::cold::Cold;
use crate::config::PresignaturesConfig;
use crate::documents::{Documents, DocumentsError, Expected, Offered, Put};
use crate::fatal::{Fatal, Watched};
use crate::maths::Maths;
use crate::node::Node;
use crate::own_log::{self, OwnLog};
use crate::pool::Pool;
use crate::primes::PrimesPool;
use crate::restored::Restored;
use crate::vault::{Vault, WalletRecord};

pub(crate) const NODES: [&str; 3] = ["agent-1", "service-1", "cold-1"];

pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemStore::new())
}

/// Everything its members know.
pub(crate) struct Cluster {
    pub(crate) operator: PrivateKey,
    /// Anne's.
    pub(crate) approver: PrivateKey,
    pub(crate) keys: [Arc<NodeKey>; 3],
    pub(crate) custodian: age::x25519::Identity,
    pub(crate) draft: ManifestDraft,
    /// What all its nodes go by.
    pub(crate) clock: ManualClock,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let [operator, approver] =
            [(); 2].map(|()| PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap());
        let keys = [(); 3].map(|()| Arc::new(NodeKey::generate(&mut OsRng)));
        let custodian = age::x25519::Identity::generate();
        let node = |role: Role| NodeDraft {
            id: NODES[usize::from(role.index())].to_owned(),
            role: role.to_string(),
            key: keys[usize::from(role.index())].public().to_string(),
        };
        let [agent, service, cold] = NODES.map(str::to_owned);
        let draft = ManifestDraft {
            dev: true,
            nodes: Role::ALL.map(node).to_vec(),
            groups: vec![GroupDraft { id: "g".to_owned(), agent, service, cold }],
            approvers: vec![person("anne", &approver)],
            recovery: vec![custodian.to_public().to_string()],
            coordinators: vec![CoordinatorDraft { id: "coordinator-1".to_owned() }],
            ..ManifestDraft::new("dev", vec![person("olga", &operator)])
        };
        Self { operator, approver, keys, custodian, draft, clock: ManualClock::at(1_000) }
    }

    /// The draft with a change, signed by the operator.
    pub(crate) fn manifest(&self, version: u64, change: impl FnOnce(&mut ManifestDraft)) -> SignedDocument {
        let mut draft = self.draft.clone();
        draft.version = version;
        change(&mut draft);
        self.sign(draft.to_yaml().unwrap(), Namespace::Manifest)
    }

    pub(crate) fn policy(&self, wallet: &str, version: u64, max: &str) -> SignedDocument {
        self.policy_with((wallet, version), max, "")
    }

    /// With more lines of rules.
    pub(crate) fn policy_with(
        &self,
        (wallet, version): (&str, u64),
        max: &str,
        lines: &str,
    ) -> SignedDocument {
        let body = format!(
            "policy: quorate/v1\ncluster: dev\nwallet: {wallet}\nversion: {version}\nrules:\n  chains: [base-sepolia]\n  \
             per_transaction: [{{asset: USDC, chain: base-sepolia, max: \"{max}\"}}]\n  \
             max_fee: [{{chain: base-sepolia, max: \"0.001\"}}]\n  \
             recipients: [{{address: \"0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf\", label: shop}}]\n{lines}"
        );
        self.sign(body, Namespace::Policy)
    }

    /// A policy that allows raw digests at once, and nothing else.
    pub(crate) fn raw_policy(&self, wallet: &str, version: u64) -> SignedDocument {
        let body = format!(
            "policy: quorate/v1\ncluster: dev\nwallet: {wallet}\nversion: {version}\nrules:\n  raw_digest: {{tier: instant}}\n"
        );
        self.sign(body, Namespace::Policy)
    }

    /// An order about wallet `w`.
    pub(crate) fn freeze(&self, sequence: u64, action: &str) -> SignedDocument {
        self.order("scope: wallet\ntarget: w", sequence, action)
    }

    /// An order about anything.
    pub(crate) fn order(&self, scope: &str, sequence: u64, action: &str) -> SignedDocument {
        let body = format!(
            "freeze: quorate/v1\ncluster: dev\nsequence: {sequence}\n{scope}\naction: {action}\nreason: a test\n"
        );
        self.sign(body, Namespace::Freeze)
    }

    /// Anne's yes to just this.
    pub(crate) fn approve(&self, asked: &ApprovalRequest) -> v1::SignedDocument {
        let body = asked.to_yaml().unwrap().into_bytes();
        let signatures = vec![sign(&body, Namespace::Approval, &self.approver).unwrap()];
        v1::SignedDocument { body, signatures }
    }

    fn sign(&self, body: String, namespace: Namespace) -> SignedDocument {
        let signature = sign(body.as_bytes(), namespace, &self.operator).unwrap();
        SignedDocument { body: body.into_bytes(), signatures: vec![signature] }
    }

    pub(crate) fn expected(&self, role: Role) -> Expected {
        let index = usize::from(role.index());
        Expected {
            cluster: "dev".parse().unwrap(),
            me: NODES[index].parse().unwrap(),
            role,
            key: self.keys[index].public(),
            dev: true,
        }
    }

    pub(crate) fn offer(&self, document: SignedDocument) -> Offered {
        let root = self.operator.public_key().to_openssh().unwrap();
        Offered { document: Ok(document), roots: vec![root.parse().unwrap()] }
    }

    pub(crate) fn documents(
        &self,
        role: Role,
        store: &Arc<dyn Store>,
        document: SignedDocument,
    ) -> Result<Documents, DocumentsError> {
        let clock = Arc::new(self.clock.clone());
        Documents::open(Arc::clone(store), clock, self.expected(role), self.offer(document))
    }

    /// A node over `store`, as it would be after a start.
    pub(crate) fn node(&self, role: Role, store: &Arc<dyn Store>) -> Arc<Node> {
        let fatal = Fatal::default();
        let store: Arc<dyn Store> = Arc::new(Watched::new(Arc::clone(store), fatal.clone()));
        let Expected { cluster, me, .. } = self.expected(role);
        Arc::new(Node {
            cluster,
            me,
            role,
            boot: BootId::from_bytes([7; 16]),
            key: Arc::clone(&self.keys[usize::from(role.index())]),
            clock: Arc::new(self.clock.clone()),
            documents: self.documents(role, &store, self.manifest(1, |_| {})).unwrap(),
            restored: Restored::load(Arc::clone(&store)).unwrap(),
            own_log: OwnLog::load(&*store).unwrap(),
            attempts: Quota::default(),
            ended_holds: Quota::default(),
            vault: Vault::new(Arc::clone(&store), role, Moduli::Dev),
            cold: Cold::new(None),
            primes: PrimesPool::dev(role.index()),
            maths: Maths::new(1).unwrap(),
            background: Maths::background(1).unwrap(),
            pool: Pool::new(&PresignaturesConfig::default(), 1),
            moduli: Moduli::Dev,
            writer: Writer::new(Arc::clone(&store)).unwrap(),
            store,
            fatal,
            failpoints: Failpoints::new(),
        })
    }

    /// What `role`'s node would state about a wallet with that share.
    pub(crate) fn statement(&self, wallet: &str, share: &CoreShare) -> KeyStatement {
        KeyStatement {
            cluster: "dev".parse().unwrap(),
            group: "g".parse().unwrap(),
            wallet: wallet.parse().unwrap(),
            agent: "bot".parse().unwrap(),
            terms: WalletTerms::default(),
            epoch: 0,
            public_key: share.public_key().unwrap(),
            nodes: NODES.map(|id| id.parse().unwrap()).to_vec(),
            eid: [9; 32],
        }
    }

    pub(crate) fn signed(&self, role: Role, statement: &KeyStatement) -> SignedStatement {
        let index = usize::from(role.index());
        let me: NodeId = NODES[index].parse().unwrap();
        statement.sign(&me, &self.keys[index]).unwrap()
    }

    pub(crate) fn record(&self, role: Role, statement: &KeyStatement) -> WalletRecord {
        WalletRecord::pending(statement.clone(), &self.signed(role, statement))
    }
}

impl Documents {
    /// Puts a policy in force for a wallet that was created without a delay.
    pub(crate) fn put_unguarded(
        &self,
        document: &SignedDocument,
    ) -> Result<Arc<SignedPolicy>, DocumentsError> {
        match self.put_policy(document, |_| Ok::<_, DocumentsError>(None))? {
            Put::InForce(policy) => Ok(policy),
            Put::Waits { .. } => panic!("it waits"),
        }
    }
}

/// EIP-1559, unsigned: Base Sepolia, 1.00 USDC to the address the test policies name, with fees of no account. The nonce is
/// 0 to 127.
pub(crate) fn payment(nonce: u8) -> v1::Payload {
    let unsigned = hex::decode(concat!(
        "02f86783014a3480010182fde8",
        "94036cbd53842c5426634e7929541ec2318f3dcf7e80b844",
        "a9059cbb0000000000000000000000007e5f4552091a69125d5dfcb7b8c2659029395bdf",
        "00000000000000000000000000000000000000000000000000000000000f4240c0",
    ));
    let mut unsigned = unsigned.unwrap();
    if nonce > 0 {
        unsigned[7] = nonce;
    }
    v1::Payload { kind: Some(v1::payload::Kind::Transaction(unsigned)) }
}

pub(crate) fn person(name: &str, key: &PrivateKey) -> PersonDraft {
    PersonDraft { name: name.to_owned(), key: key.public_key().to_openssh().unwrap() }
}

/// A fresh key in three shares.
pub(crate) fn shares() -> [CoreShare; 3] {
    let run = |me, wire| async move {
        generate_key(Party { eid: &[1; 32], me, participants: &[0, 1, 2] }, wire).await
    };
    let made = fixtures::run(&[0, 1, 2], |transit| vec![transit], run);
    let shares: Vec<_> = made.into_iter().map(|share| share.ok().unwrap()).collect();
    shares.try_into().ok().unwrap()
}

pub(crate) fn wallet(id: &str) -> WalletId {
    id.parse().unwrap()
}

/// Appends entries to a node's log, and takes them into its tree.
pub(crate) fn log_more(node: &Node, entries: u64, what: &str) {
    for n in 0..entries {
        let event = Event::new("sign.contributed").field("n", n).field("what", what);
        let append = |txn: &mut dyn Txn| quorate_audit::append(txn, node.clock.now(), &event);
        let (receipt, durable) = update(&*node.store, append).unwrap();
        receipt.confirm(&durable);
    }
    let (_, _synced) = update(&*node.store, |txn| tree::grow(txn, 10_000)).unwrap();
}

/// What an honest coordinator shows a witness of a node's own log.
pub(crate) fn shown_log(owner: &Node, from: u64) -> v1::Cosign {
    let v1::NodeLog { note, proof, head, head_proof, .. } =
        own_log::show(owner, &v1::AskLog { from, size: 0 });
    v1::Cosign { checkpoint: note, from, proof, head, head_proof }
}

/// What an honest coordinator brings back.
pub(crate) fn cosigned_log(shown: &v1::Cosign, by: &Node, said: &v1::Cosigned) -> v1::LogNote {
    assert_eq!(said.refused, "");
    let mut note = Note::parse(&shown.checkpoint).unwrap();
    let signature = said.signature.as_slice().try_into().unwrap();
    let cosignature = Cosignature { timestamp_s: said.timestamp_s, signature };
    note.push(&by.cluster, (&by.me, &by.key.public()), cosignature);
    v1::LogNote { note: note.to_string() }
}
