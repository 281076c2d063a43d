//! Which presignatures the nodes say they hold. A node's own word on its own memory: it is told again on each new stream,
//! and what one node has and the other has not is of no use.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_manifest::Group;
use quorate_proto::v1;
use quorate_types::{B256, NodeId, Role, WalletId};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::link::Link;

/// Presignatures remembered of one node: a bound on memory. What is said beyond it is not used.
const MAX_HELD: usize = 1 << 16;

/// Presignatures remembered of one wallet, and read from one frame. A node holds no more of one, and sends no more in one.
const MAX_IDS: usize = 1024;

/// Presignatures remembered as given out. Many times what is ever under way at once.
const MAX_GIVEN: usize = 1 << 14;

/// Faults of a pair's nodes in a row, after which its presignatures are left alone,
const STRIKES: u32 = 3;
/// and for how long. After that, one more is enough.
const QUARANTINE: Duration = Duration::from_secs(10 * 60);

/// The presignatures of the attached nodes.
#[derive(Default)]
pub(crate) struct Pools {
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Default)]
struct Table {
    nodes: HashMap<NodeId, Held>,
    /// The last ones given out, the oldest first. A node that attaches again while one is being used may say once more
    /// that it holds it.
    given: VecDeque<B256>,
    given_ids: HashSet<B256>,
    /// By agent node and service node.
    strikes: HashMap<(NodeId, NodeId), Strikes>,
}

#[derive(Default)]
struct Strikes {
    in_a_row: u32,
    until: Option<Instant>,
}

/// What one node said on its present stream.
struct Held {
    link: Link,
    /// By wallet, in the order of its word.
    wallets: HashMap<WalletId, VecDeque<B256>>,
    len: usize,
}

impl Held {
    fn add(&mut self, wallet: &WalletId, id: B256) {
        let ids = self.wallets.entry(wallet.clone()).or_default();
        if self.len < MAX_HELD && ids.len() < MAX_IDS && !ids.contains(&id) {
            ids.push_back(id);
            self.len = self.len.saturating_add(1);
        }
    }

    fn remove(&mut self, wallet: &WalletId, id: &B256) {
        let Some(ids) = self.wallets.get_mut(wallet) else { return };
        if let Some(at) = ids.iter().position(|held| held == id) {
            ids.remove(at);
            self.len = self.len.saturating_sub(1);
        }
        if ids.is_empty() {
            self.wallets.remove(wallet);
        }
    }
}

impl Pools {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node has a new stream, on which it has said nothing yet.
    pub(crate) fn attached(&self, link: &Link) {
        let held = Held { link: link.clone(), wallets: HashMap::new(), len: 0 };
        self.table().nodes.insert(link.node().clone(), held);
    }

    /// A node's stream ended. What it holds, it will say again.
    pub(crate) fn detached(&self, link: &Link) {
        let nodes = &mut self.table().nodes;
        if nodes.get(link.node()).is_some_and(|held| held.link.is(link)) {
            nodes.remove(link.node());
        }
    }

    /// Takes note of a node's word, where it comes on its present stream.
    pub(crate) fn changed(&self, link: &Link, change: &v1::PoolChange) {
        let Ok(wallet) = change.wallet.parse::<WalletId>() else { return };
        let Table { nodes, given_ids, .. } = &mut *self.table();
        let Some(held) = nodes.get_mut(link.node()).filter(|held| held.link.is(link)) else { return };
        let ids = |ids: &[Vec<u8>]| {
            ids.iter().take(MAX_IDS).filter_map(|id| B256::try_from(id.as_slice()).ok()).collect::<Vec<_>>()
        };
        for id in ids(&change.dropped) {
            held.remove(&wallet, &id);
        }
        for id in ids(&change.added).into_iter().filter(|id| !given_ids.contains(id)) {
            held.add(&wallet, id);
        }
        self.changed.notify_one();
    }

    /// The oldest presignature of the wallet that both its signing nodes hold. Nobody else is given it. None of a pair that
    /// is in quarantine.
    pub(crate) fn take(&self, wallet: &WalletId, group: &Group) -> Option<B256> {
        if self.is_quarantined(group, Instant::now()) {
            return None;
        }
        let Table { nodes, given, given_ids, .. } = &mut *self.table();
        let id = shared(nodes, wallet, group).into_iter().next()?;
        for node in pair(group) {
            if let Some(held) = nodes.get_mut(node) {
                held.remove(wallet, &id);
            }
        }
        if given.len() >= MAX_GIVEN
            && let Some(oldest) = given.pop_front()
        {
            given_ids.remove(&oldest);
        }
        given.push_back(id);
        given_ids.insert(id);
        self.changed.notify_one();
        Some(id)
    }

    /// Takes note of how an online signing ended for the pair: whether one of the two is at fault. Returns whether the pair
    /// is in quarantine for it from now on: each fault costs a presignature, and is found again in the next.
    pub(crate) fn ended(&self, group: &Group, at_fault: bool, now: Instant) -> bool {
        let strikes = &mut self.table().strikes;
        if !at_fault {
            strikes.remove(&key(group));
            return false;
        }
        let Strikes { in_a_row, until } = strikes.entry(key(group)).or_default();
        *in_a_row = in_a_row.saturating_add(1);
        if *in_a_row < STRIKES {
            return false;
        }
        *until = Some(now + QUARANTINE);
        true
    }

    /// Whether the pair's presignatures are left alone.
    pub(crate) fn is_quarantined(&self, group: &Group, now: Instant) -> bool {
        let table = self.table();
        table.strikes.get(&key(group)).and_then(|strikes| strikes.until).is_some_and(|until| now < until)
    }

    /// How many presignatures of the wallet both its signing nodes hold.
    pub(crate) fn ready(&self, wallet: &WalletId, group: &Group) -> usize {
        shared(&self.table().nodes, wallet, group).len()
    }

    /// Returns when something may have changed.
    pub(crate) async fn change(&self) {
        self.changed.notified().await;
    }

    /// Has whoever waits for a change look again.
    pub(crate) fn nudge(&self) {
        self.changed.notify_one();
    }
}

fn key(group: &Group) -> (NodeId, NodeId) {
    let [agent, service] = pair(group);
    (agent.clone(), service.clone())
}

fn pair(group: &Group) -> [&NodeId; 2] {
    [group.of(Role::Agent), group.of(Role::Service)]
}

fn shared(nodes: &HashMap<NodeId, Held>, wallet: &WalletId, group: &Group) -> Vec<B256> {
    let of = |node: &NodeId| nodes.get(node).and_then(|held| held.wallets.get(wallet));
    let [Some(agent), Some(service)] = pair(group).map(of) else { return Vec::new() };
    let service: HashSet<_> = service.iter().collect();
    agent.iter().filter(|id| service.contains(id)).copied().collect()
}
