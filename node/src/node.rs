//! What every part of a running node shares.

use std::sync::Arc;

use quorate_audit::Quota;
use quorate_failpoint::Failpoints;
use quorate_mpc::Moduli;
use quorate_session::NodeKey;
use quorate_store::{Store, Writer};
use quorate_types::{BootId, Clock, ClusterId, NodeId, Role, WalletId};

use crate::cold::Cold;
use crate::documents::Documents;
use crate::fatal::Fatal;
use crate::maths::Maths;
use crate::own_log::OwnLog;
use crate::pool::Pool;
use crate::primes::PrimesPool;
use crate::restored::Restored;
use crate::vault::Vault;

/// One signer node. It holds one share of each of its wallets and talks only through streams it opened itself.
pub(crate) struct Node {
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// This node's name.
    pub(crate) me: NodeId,
    /// Its role, which is its party index.
    pub(crate) role: Role,
    /// Drawn at start: what lives in memory is bound to it.
    pub(crate) boot: BootId,
    /// Its identity key.
    pub(crate) key: Arc<NodeKey>,
    /// Its clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// Its store. A failed sync in it stops the node, whoever saw it.
    pub(crate) store: Arc<dyn Store>,
    /// Writes to it, what comes together in one commit.
    pub(crate) writer: Writer,
    /// The manifest and the policies in force.
    pub(crate) documents: Documents,
    /// What a restore from a backup still forbids.
    pub(crate) restored: Restored,
    /// What others vouch for of its log.
    pub(crate) own_log: OwnLog,
    /// How much is written down of what comes to nothing.
    pub(crate) attempts: Quota<Option<WalletId>>,
    /// How many holds of late ended by a no.
    pub(crate) ended_holds: Quota<WalletId>,
    /// Shares and auxiliary info.
    pub(crate) vault: Vault,
    /// Where a cold node's shares go.
    pub(crate) cold: Cold,
    /// Safe primes, found ahead of time.
    pub(crate) primes: PrimesPool,
    /// The threads protocols run on.
    pub(crate) maths: Maths,
    /// The threads presigning runs on, behind everything else.
    pub(crate) background: Maths,
    /// Presignatures that wait for their use.
    pub(crate) pool: Pool,
    /// Which moduli are accepted.
    pub(crate) moduli: Moduli,
    /// What stops the node.
    pub(crate) fatal: Fatal,
    /// Where a test has it die.
    pub(crate) failpoints: Failpoints,
}

impl Node {
    /// Stops the process: what it believes of its disk is no longer true.
    pub(crate) fn stop(&self, reason: &str) {
        self.fatal.stop(reason);
    }
}
