//! What every operation shares.

use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwap;
use quorate_freeze::FrozenSet;
use quorate_manifest::{Group, Pinned};
use quorate_types::{Clock, GroupId, NodeId, Role};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alerts::Outbox;
use crate::config::{Deadlines, PoolsConfig};
use crate::db::Db;
use crate::demand::Demand;
use crate::error::OpError;
use crate::feed::Feeds;
use crate::gate::Gate;
use crate::keyed_locks::KeyedLocks;
use crate::link::Link;
use crate::nodes::Nodes;
use crate::pools::Pools;
use crate::presence::Presence;
use crate::relay::{Relay, Seat};
use crate::signings::Signings;

/// Followers at once, all together and of one caller. Nobody who follows requests takes the place of somebody who follows the
/// log.
const MAX_LOG_FEEDS: (usize, usize) = (16, 8);
const MAX_SIGNING_FEEDS: (usize, usize) = (256, 128);

/// What people signed that the coordinator goes by from its start: the manifest and the freeze orders.
pub(crate) type Documents = (Pinned, FrozenSet);

/// The coordinator's parts.
pub(crate) struct Coordinator {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) deadlines: Deadlines,
    pub(crate) pools_config: PoolsConfig,
    pub(crate) db: Db,
    pub(crate) pinned: Arc<ArcSwap<Pinned>>,
    pub(crate) freezes: Arc<ArcSwap<FrozenSet>>,
    pub(crate) nodes: Nodes,
    pub(crate) relay: Relay,
    pub(crate) pools: Pools,
    pub(crate) demand: Demand,
    pub(crate) gate: Gate,
    pub(crate) signings: Signings,
    /// One change at a time to a wallet, its policy, what it spent in vain, a group, the manifest, the freeze orders or the record of ceremonies.
    pub(crate) changes: KeyedLocks<Change>,
    /// Which nodes are away.
    pub(crate) presence: Presence,
    /// Alerts that are to be sent.
    pub(crate) outbox: Outbox,
    /// Those who follow the log, and those who follow a request.
    pub(crate) log_feeds: Feeds,
    pub(crate) signing_feeds: Feeds,
    /// Cancelled when it is to stop.
    pub(crate) stopping: CancellationToken,
    /// Work that goes on whether or not its caller still listens.
    pub(crate) tasks: TaskTracker,
}

/// What is being changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    Wallet(quorate_types::WalletId),
    Policy(quorate_types::WalletId),
    Lapse(quorate_types::WalletId),
    Group(GroupId),
    Manifest,
    Freezes,
    Ceremonies,
}

impl Coordinator {
    pub(crate) fn new(
        db: Db,
        (pinned, frozen): Documents,
        clock: Arc<dyn Clock>,
        (deadlines, pools_config): (Deadlines, PoolsConfig),
    ) -> Arc<Self> {
        let pinned = Arc::new(ArcSwap::from_pointee(pinned));
        let freezes = Arc::new(ArcSwap::from_pointee(frozen));
        Arc::new(Self {
            gate: Gate::new(pinned.clone(), db.clone(), clock.clone(), freezes.clone()),
            freezes,
            clock,
            deadlines,
            pools_config,
            db,
            pinned,
            nodes: Nodes::default(),
            relay: Relay::default(),
            pools: Pools::default(),
            demand: Demand::default(),
            signings: Signings::default(),
            changes: KeyedLocks::default(),
            presence: Presence::default(),
            outbox: Outbox::default(),
            log_feeds: Feeds::new(MAX_LOG_FEEDS.0, MAX_LOG_FEEDS.1),
            signing_feeds: Feeds::new(MAX_SIGNING_FEEDS.0, MAX_SIGNING_FEEDS.1),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// A group of the manifest.
    pub(crate) fn group(&self, id: &GroupId) -> Result<Group, OpError> {
        let pinned = self.pinned.load();
        pinned.manifest().group(id).cloned().ok_or_else(|| OpError::not_found("group", id))
    }

    /// The seats of these roles of a group, or the nodes that are not attached.
    pub(crate) fn seats(&self, group: &Group, roles: &[Role]) -> Result<Vec<Seat>, OpError> {
        let nodes: Vec<NodeId> = roles.iter().map(|role| group.of(*role).clone()).collect();
        let links = self.nodes.links(&nodes).map_err(OpError::not_attached)?;
        Ok(roles.iter().zip(links).map(|(role, link)| Seat { index: role.index(), link }).collect())
    }

    /// A place at each of these nodes in which to sign one request, once there is one: more than a node takes at once wait
    /// here. Nodes are waited for in one order, so that nobody waits in a circle.
    ///
    /// # Errors
    /// The nodes that are not attached; [`OpError::Unavailable`] where one is busy until the deadline.
    pub(crate) async fn signing_places(
        &self,
        group: &Group,
        roles: &[Role],
        deadline: Instant,
    ) -> Result<Vec<OwnedSemaphorePermit>, OpError> {
        let mut places = Vec::new();
        for (Seat { link, .. }, role) in self.seats(group, roles)?.into_iter().zip(roles) {
            let busy = || OpError::Unavailable {
                reason: format!("node {} is busy with other requests", link.node()),
                nodes: vec![link.node().clone()],
            };
            match timeout_at(deadline, link.signing_place(*role)).await {
                Ok(Ok(place)) => places.push(place),
                Ok(Err(_)) | Err(_) => return Err(busy()),
            }
        }
        Ok(places)
    }

    /// The ways to those of a group's nodes that are attached.
    pub(crate) fn attached(&self, group: &Group, roles: &[Role]) -> Vec<Link> {
        roles.iter().filter_map(|role| self.nodes.link(group.of(*role))).collect()
    }

    /// Runs an operation to its end, even where its caller hangs up half way.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, OpError>> + Send + 'static,
    ) -> Result<T, OpError> {
        let done = self.tasks.spawn(work).await;
        done.map_err(|error| OpError::defect(format!("an operation died: {error}")))?
    }
}
