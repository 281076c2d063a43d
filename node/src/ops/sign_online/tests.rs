//! The real path on a disk that fails at every step, and contributions that come late.

mod approvals;
mod denied;
mod grant;
mod holds;
mod intent;
mod schedules;
mod session;

use quorate_audit::entries;
use quorate_manifest::SignedDocument;
use quorate_mpc::{Party, Presignature, SigningShare, fixtures, generate_presignature};
use quorate_session::{KeyStatement, NodeKey, Opening, Terms, WalletTerms};
use quorate_store::{Aftermath, FailingStore, MemStore, Read, Store, update};
use quorate_types::{BootId, NodeId, PartyIndex};
use rand_core::OsRng;

use super::*;
use crate::place::presign_terms;
use crate::pool::Boots;
use crate::testing::{Cluster, NODES, payment, shares};

const BOOT: BootId = BootId::from_bytes([7; 16]);

/// Agent node and service node of a wallet `w`, on disks that fail on command.
struct Rig {
    cluster: Arc<Cluster>,
    memory: [MemStore; 2],
    disks: [Arc<FailingStore>; 2],
    nodes: [Arc<Node>; 2],
    shares: Arc<[SigningShare; 2]>,
}

impl Rig {
    fn new() -> Self {
        Self::of(WalletTerms::default(), |cluster| cluster.policy("w", 1, "1.00"))
    }

    fn of(terms: WalletTerms, policy: impl Fn(&Cluster) -> SignedDocument) -> Self {
        let cluster = Arc::new(Cluster::new());
        let memory = [(); 2].map(|()| MemStore::new());
        let disks = memory.each_ref().map(|disk| Arc::new(FailingStore::new(Arc::new(disk.clone()))));
        let [agent, service, _] = shares();
        let open = |role: Role, core: quorate_mpc::CoreShare| {
            let node = node(&cluster, role, &disks[usize::from(role.index())]);
            let statement = KeyStatement { terms, ..cluster.statement("w", &core) };
            let record = cluster.record(role, &statement);
            let aux = fixtures::group_aux(role.index()).unwrap();
            let kept = update(&*node.store, |txn| {
                node.vault.keep_aux(txn, &record.group, &aux)?;
                node.vault.keep_share(txn, &record, &core)?;
                node.vault.activate(txn, &record.wallet, record.public_key)
            });
            assert!(kept.is_ok());
            node.documents.put_unguarded(&policy(&cluster)).unwrap();
            (node, core.with_aux(&aux.with_tables().unwrap()).unwrap())
        };
        let (agent, service) = (open(Role::Agent, agent), open(Role::Service, service));
        let shares = Arc::new([agent.1, service.1]);
        Self { nodes: [agent.0, service.0], shares, cluster, memory, disks }
    }

    /// The same wallet in a world of its own, which begins as this one is now.
    fn fork(&self) -> Self {
        let memory = self.memory.each_ref().map(MemStore::fork);
        let disks = memory.each_ref().map(|disk| Arc::new(FailingStore::new(Arc::new(disk.clone()))));
        let nodes = [Role::Agent, Role::Service]
            .map(|role| node(&self.cluster, role, &disks[usize::from(role.index())]));
        Self { cluster: Arc::clone(&self.cluster), memory, disks, nodes, shares: Arc::clone(&self.shares) }
    }

    /// A presignature, made for real, in the pools of both nodes.
    fn presign(&self) -> B256 {
        let terms = self.terms();
        let (eid, last_words) = self.last_words(&terms);
        self.stock(&terms, (eid, last_words), self.halves(eid))
    }

    fn terms(&self) -> Terms {
        presign_terms(&self.nodes[0], &"w".parse().unwrap()).ok().unwrap()
    }

    fn halves(&self, eid: [u8; 32]) -> Vec<Presignature> {
        let run = |me: u16, wire| async move {
            let party = Party { eid: &eid, me, participants: &[0, 1] };
            generate_presignature(party, &self.shares[usize::from(me)], wire).await
        };
        let halves = fixtures::run(&[0, 1], |transit| vec![transit], run);
        halves.into_iter().map(|half| half.ok().unwrap()).collect()
    }

    fn stock(
        &self,
        terms: &Terms,
        (eid, last_words): ([u8; 32], [LastWord; 2]),
        halves: Vec<Presignature>,
    ) -> B256 {
        let id = B256::from(eid);
        for ((node, half), last_word) in self.nodes.iter().zip(halves).zip(last_words) {
            let peer = NODES[1 - usize::from(node.role.index())].parse().unwrap();
            let boots = Boots { own: BOOT, peer, theirs: BOOT };
            let binding = Binding::of(terms).unwrap();
            node.pool.put(id, Ready::new((binding, boots), "coordinator-1", (half, last_word)));
        }
        id
    }

    fn last_words(&self, terms: &Terms) -> ([u8; 32], [LastWord; 2]) {
        let open = |me: PartyIndex| {
            let key: &Arc<NodeKey> = &self.cluster.keys[usize::from(me)];
            Opening::new(terms.clone(), me, &BOOT.into(), Arc::clone(key), &mut OsRng).unwrap()
        };
        let openings = [open(0), open(1)];
        let opens = openings.each_ref().map(|opening| opening.signed_open().to_vec());
        let key = |id: &NodeId| {
            let index = NODES.iter().position(|node| *node == id.as_str())?;
            Some(self.cluster.keys[index].public())
        };
        let channels = openings.map(|opening| opening.agree(&opens, key, [0].into_iter().collect()).unwrap());
        let eid = *channels[0].eid().as_bytes();
        (eid, channels.map(|channel| channel.into_last_word(0, 1).unwrap()))
    }

    /// Asks a node, and says also whether it may have contributed.
    async fn ask(&self, role: Role, start: v1::StartOnline) -> (Result<Outcome, SessionError>, bool) {
        let mut link = Link::to_nobody();
        let outcome = run(&self.nodes[usize::from(role.index())], start, &mut link).await;
        (outcome, link.released())
    }

    fn start(&self, id: B256, nonce: u8, contribution: &[u8]) -> v1::StartOnline {
        self.start_with(id, payment(nonce), contribution)
    }

    fn start_with(&self, id: B256, payload: v1::Payload, contribution: &[u8]) -> v1::StartOnline {
        online(id, self.request(payload), contribution)
    }

    /// What an honest coordinator shows of a request that nobody has to sign.
    fn request(&self, payload: v1::Payload) -> v1::StartSign {
        let policy = self.nodes[0].documents.policy(&"w".parse().unwrap()).unwrap();
        v1::StartSign {
            wallet: "w".to_owned(),
            payload: Some(payload),
            policy_hash: policy.hash().to_vec(),
            idempotency_key: "k".to_owned(),
            agent: None,
            approval: None,
        }
    }

    async fn contribution(&self, id: B256) -> Vec<u8> {
        contributed(self.ask(Role::Agent, self.start(id, 1, &[])).await.0)
    }

    /// The node's process was killed and is started again.
    fn restart(&mut self, role: Role) {
        let at = usize::from(role.index());
        self.disks[at] = Arc::new(self.disks[at].restart());
        self.nodes[at] = node(&self.cluster, role, &self.disks[at]);
    }

    fn charged(&self) -> (bool, usize) {
        let store: &dyn Read = self.disks[1].as_ref();
        let Ok(payload) = quorate_proto::payload_from_pb(Some(payment(1))) else { panic!() };
        let charged = quorate_ledger::charged(store, &"w".parse().unwrap(), payload.hash()).unwrap();
        let told = entries(store, 1, usize::MAX).unwrap();
        (charged.is_some(), told.iter().filter(|entry| entry.kind == "sign.contributed").count())
    }
}

fn node(cluster: &Cluster, role: Role, disk: &Arc<FailingStore>) -> Arc<Node> {
    let disk: Arc<dyn Store> = disk.clone();
    cluster.node(role, &disk)
}

fn online(id: B256, request: v1::StartSign, contribution: &[u8]) -> v1::StartOnline {
    let (presignature, contribution) = (id.to_vec(), contribution.to_vec());
    v1::StartOnline { presignature, request: Some(request), contribution }
}

fn contributed(outcome: Result<Outcome, SessionError>) -> Vec<u8> {
    match outcome {
        Ok(Outcome::Contributed(sealed)) => sealed,
        Ok(other) => panic!("{other:?}"),
        Err(error) => panic!("{error}"),
    }
}

fn signature(outcome: Result<Outcome, SessionError>) -> Vec<u8> {
    match outcome {
        Ok(Outcome::Signed(signed)) => signed.signature,
        Ok(other) => panic!("{other:?}"),
        Err(error) => panic!("{error}"),
    }
}

fn refused((outcome, released): (Result<Outcome, SessionError>, bool)) -> &'static str {
    assert!(!released);
    match outcome {
        Err(SessionError::Caller { field, .. }) => field,
        Err(other) => panic!("{other}"),
        Ok(other) => panic!("{other:?}"),
    }
}

/// The sync fails, and the write is on disk or is not. Nothing left the node: after a restart it gives the answer that was
/// on disk, or none, and never another one.
#[tokio::test]
async fn the_agent_node_killed_at_its_sync_contributes_to_one_digest_at_most() {
    for aftermath in [Aftermath::Kept, Aftermath::Lost] {
        let mut rig = Rig::new();
        let id = rig.presign();
        rig.disks[0].fail_commit_after(0, aftermath);
        let (outcome, released) = rig.ask(Role::Agent, rig.start(id, 1, &[])).await;
        assert!(matches!(outcome, Err(SessionError::Fatal(_))));
        assert!(released, "nobody knows what is on disk");
        assert!(rig.nodes[0].fatal.reason().is_some(), "the process ends");
        for start in [rig.start(id, 1, &[]), rig.start(id, 2, &[])] {
            assert!(rig.ask(Role::Agent, start).await.0.is_err(), "and says nothing more until then");
        }
        rig.restart(Role::Agent);
        assert_eq!(refused(rig.ask(Role::Agent, rig.start(id, 2, &[])).await), "presignature");
        let same = rig.ask(Role::Agent, rig.start(id, 1, &[])).await;
        match aftermath {
            Aftermath::Lost => assert_eq!(refused(same), "presignature"),
            Aftermath::Kept => {
                let sealed = contributed(same.0);
                signature(rig.ask(Role::Service, rig.start(id, 1, &sealed)).await.0);
            }
        }
    }
}

/// The same of the service node: slot, charge and log are there together or not at all.
#[tokio::test]
async fn the_service_node_killed_at_its_sync_signs_one_digest_at_most() {
    for aftermath in [Aftermath::Kept, Aftermath::Lost] {
        let mut rig = Rig::new();
        let id = rig.presign();
        let sealed = rig.contribution(id).await;
        rig.disks[1].fail_commit_after(0, aftermath);
        let (outcome, released) = rig.ask(Role::Service, rig.start(id, 1, &sealed)).await;
        assert!(matches!(outcome, Err(SessionError::Fatal(_))) && released);
        rig.restart(Role::Service);
        let kept = aftermath == Aftermath::Kept;
        assert_eq!(rig.charged(), (kept, usize::from(kept)), "{aftermath:?}");
        assert_eq!(refused(rig.ask(Role::Service, rig.start(id, 2, &sealed)).await), "presignature");
        let same = rig.ask(Role::Service, rig.start(id, 1, &sealed)).await;
        if kept {
            let first = signature(same.0);
            assert_eq!(signature(rig.ask(Role::Service, rig.start(id, 1, &sealed)).await.0), first);
        } else {
            assert_eq!(refused(same), "presignature");
        }
        assert_eq!(rig.charged(), (kept, usize::from(kept)), "once");
    }
}

/// What cannot be written is refused before anything is made of it: a transaction that ends in an error leaves nothing, and
/// the presignature is gone for good.
#[tokio::test]
async fn a_transaction_that_is_given_up_uses_the_presignature_up_and_charges_nothing() {
    let rig = Rig::new();
    let (id, other) = (rig.presign(), rig.presign());
    let sealed = rig.contribution(other).await;
    assert_eq!(refused(rig.ask(Role::Service, rig.start(id, 1, &sealed)).await), "contribution");
    assert_eq!(rig.charged(), (false, 0));
    let right = rig.contribution(id).await;
    assert_eq!(refused(rig.ask(Role::Service, rig.start(id, 1, &right)).await), "presignature");
    assert_eq!(rig.charged(), (false, 0));
}

#[tokio::test]
async fn a_contribution_is_taken_for_a_minute() {
    for (age, taken) in [(FRESH_MS, true), (FRESH_MS + 1, false)] {
        let rig = Rig::new();
        let id = rig.presign();
        let sealed = rig.contribution(id).await;
        rig.cluster.clock.advance(age);
        let answer = rig.ask(Role::Service, rig.start(id, 1, &sealed)).await;
        if taken {
            signature(answer.0);
        } else {
            assert_eq!(refused(answer), "presignature", "another one may do");
        }
        assert_eq!(rig.charged().0, taken);
    }
}

fn raw_digest() -> v1::Payload {
    v1::Payload { kind: Some(v1::payload::Kind::RawDigest(vec![7; 32])) }
}

/// Whoever chooses a raw digest may know the nonce points of presignatures. Each node refuses for itself to make one for
/// such a wallet and to use one for such a digest, although its policy allows the digest.
#[tokio::test]
async fn a_wallet_for_raw_digests_has_no_presignatures() {
    let terms = WalletTerms { raw_digest: true, ..WalletTerms::default() };
    let rig = Rig::of(terms, |cluster| cluster.raw_policy("w", 1));
    for (role, node) in [Role::Agent, Role::Service].into_iter().zip(&rig.nodes) {
        let start = rig.start_with(B256::repeat_byte(9), raw_digest(), b"sealed");
        let judged = Request::read(node, start.request.clone().unwrap());
        assert!(judged.is_ok(), "in a session of its own it may be signed");
        assert_eq!(refused(rig.ask(role, start).await), "payload");
        let Err(SessionError::Caller { field, reason }) = presign_terms(node, &"w".parse().unwrap()) else {
            panic!("it would presign")
        };
        assert_eq!(field, "wallet");
        assert!(reason.contains("never with a presignature"), "{reason}");
    }
}

/// Nor is there a way through an ordinary wallet's pool, whose presignature is left as it was.
#[tokio::test]
async fn an_ordinary_wallet_signs_no_raw_digest() {
    let rig = Rig::new();
    let id = rig.presign();
    for role in [Role::Agent, Role::Service] {
        let (outcome, released) = rig.ask(role, rig.start_with(id, raw_digest(), &[])).await;
        let Err(SessionError::Denied(denial)) = outcome else { panic!("not denied") };
        let rules: Vec<_> = denial.failures.iter().map(|failure| failure.rule.as_str()).collect();
        assert_eq!((rules, released), (vec!["raw_digest"], false));
    }
    let sealed = rig.contribution(id).await;
    signature(rig.ask(Role::Service, rig.start(id, 1, &sealed)).await.0);
}
