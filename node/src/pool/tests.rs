use super::*;

use quorate_mpc::{Party, Presignature, fixtures, generate_presignature};
use quorate_session::{LastWord, NodeKey, Opening, Terms};
use quorate_store::update;
use quorate_types::Role;
use rand_core::OsRng;

use crate::place::presign_terms;
use crate::testing::{Cluster, NODES, memory, shares};

const OWN: BootId = BootId::from_bytes([7; 16]);
const THEIRS: BootId = BootId::from_bytes([8; 16]);
const COORDINATOR: &str = "coordinator-1";

/// What the service node of a cluster on paper presigns for wallet `w` under, and the shares to do it with.
struct Rig {
    cluster: Cluster,
    terms: Terms,
    shares: [quorate_mpc::SigningShare; 2],
}

impl Rig {
    fn new() -> Self {
        let cluster = Cluster::new();
        let node = cluster.node(Role::Service, &memory());
        let [agent, service, _] = shares();
        let record = cluster.record(Role::Service, &cluster.statement("w", &service));
        let aux = fixtures::group_aux(1).unwrap();
        let kept = update(&*node.store, |txn| {
            node.vault.keep_aux(txn, &record.group, &aux)?;
            node.vault.keep_share(txn, &record, &service)?;
            node.vault.activate(txn, &record.wallet, record.public_key)
        });
        assert!(kept.is_ok());
        let terms = presign_terms(&node, &record.wallet).ok().unwrap();
        let agent = agent.with_aux(&fixtures::group_aux(0).unwrap().with_tables().unwrap()).unwrap();
        let service = service.with_aux(&aux.with_tables().unwrap()).unwrap();
        Self { cluster, terms, shares: [agent, service] }
    }

    fn binding(&self) -> Binding {
        Binding::of(&self.terms).unwrap()
    }

    /// The service node's halves, really made.
    fn ready(&self) -> (B256, Ready) {
        let boots = Boots { own: OWN, peer: NODES[0].parse().unwrap(), theirs: THEIRS };
        let (eid, last_word) = self.last_word();
        let presignature = self.presignature(eid);
        (eid.into(), Ready::new((self.binding(), boots), COORDINATOR, (presignature, last_word)))
    }

    fn last_word(&self) -> ([u8; 32], LastWord) {
        let open = |me: u16| {
            let key: &Arc<NodeKey> = &self.cluster.keys[usize::from(me)];
            Opening::new(self.terms.clone(), me, &OWN.into(), Arc::clone(key), &mut OsRng).unwrap()
        };
        let (agent, service) = (open(0), open(1));
        let opens = [agent.signed_open().to_vec(), service.signed_open().to_vec()];
        let key = |id: &NodeId| {
            let index = NODES.iter().position(|node| *node == id.as_str())?;
            Some(self.cluster.keys[index].public())
        };
        let channel = service.agree(&opens, key, [0].into_iter().collect()).unwrap();
        (*channel.eid().as_bytes(), channel.into_last_word(0, 1).unwrap())
    }

    fn presignature(&self, eid: [u8; 32]) -> Presignature {
        let run = |me: u16, wire| async move {
            let party = Party { eid: &eid, me, participants: &[0, 1] };
            generate_presignature(party, &self.shares[usize::from(me)], wire).await
        };
        fixtures::run(&[0, 1], |transit| vec![transit], run).pop().unwrap().ok().unwrap()
    }
}

fn pool() -> Pool {
    Pool::new(&PresignaturesConfig::default(), 1)
}

#[test]
fn a_presignature_is_for_what_it_was_made_for_and_for_the_run_it_was_made_in() {
    let (rig, pool) = (Rig::new(), pool());
    let (id, ready) = rig.ready();
    pool.put(id, ready);
    type Change = fn(&mut Terms);
    let changes: [(&str, Change); 5] = [
        ("wallet", |terms| terms.wallet = Some("v".parse().unwrap())),
        ("epoch", |terms| terms.epoch = 1),
        ("aux hash", |terms| terms.aux_hash = Some(B256::ZERO)),
        ("group", |terms| terms.group = "h".parse().unwrap()),
        ("participants", |terms| terms.participants.reverse()),
    ];
    for (field, change) in changes {
        let mut terms = rig.terms.clone();
        change(&mut terms);
        assert!(pool.take(&id, &Binding::of(&terms).unwrap(), OWN).is_none(), "another {field}");
    }
    // Under another policy or manifest it is the same presignature.
    let mut terms = rig.terms.clone();
    (terms.policy_hash, terms.manifest_hash) = (Some(B256::ZERO), B256::ZERO);
    assert!(pool.take(&id, &Binding::of(&terms).unwrap(), OWN).is_some());
    assert!(pool.take(&id, &rig.binding(), OWN).is_none(), "taken");

    let (id, ready) = rig.ready();
    pool.put(id, ready);
    assert!(pool.take(&id, &rig.binding(), THEIRS).is_none(), "of another run of this node");
}

#[test]
fn a_peers_restart_and_another_coordinator_leave_nothing() {
    let (rig, pool) = (Rig::new(), pool());
    let early = pool.listen(COORDINATOR);
    let (id, ready) = rig.ready();
    pool.put(id, ready);
    let entry = |came: bool| News::from([(("w".parse().unwrap(), id), came)]);
    assert_eq!(early.take(), entry(true));
    assert_eq!(pool.listen(COORDINATOR).take(), entry(true), "who comes later is told what is there");
    assert!(pool.listen("coordinator-2").take().is_empty(), "which might use it at the same time");
    let peer = |index: usize| NODES[index].parse().unwrap();
    pool.peer_booted(&peer(0), THEIRS);
    pool.peer_booted(&peer(2), OWN);
    assert!(early.take().is_empty());
    pool.peer_booted(&peer(0), BootId::from_bytes([9; 16]));
    assert_eq!(early.take(), entry(false));
    assert!(pool.listen(COORDINATOR).take().is_empty());
}

#[test]
fn leave_to_presign_is_bounded() {
    let pool = pool();
    let leaves: Vec<_> = (0..SESSIONS_PER_THREAD).map(|_| pool.leave_to_presign().unwrap()).collect();
    assert!(pool.leave_to_presign().is_none());
    drop(leaves);
    assert!(pool.leave_to_presign().is_some());
}

#[test]
fn an_entry_takes_no_more_than_is_reckoned() {
    // Beside the type itself: two scalars and two pairs of points, names and ids, and its places on the shelves.
    assert!(size_of::<Ready>() + 600 + 2 * size_of::<B256>() <= ENTRY_BYTES, "{}", size_of::<Ready>());
}
