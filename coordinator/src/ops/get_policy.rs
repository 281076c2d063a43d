//! A wallet's policy, the one that waits to take its place, and the nodes that hold them.

use quorate_proto::v1;
use quorate_types::{NodeId, UnixMillis, WalletId};

use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::link::{Link, Reply, Subject};
use crate::ops::apply_policy::DECIDERS;
use crate::records::{PolicyRecord, WaitingRecord, WalletRecord, get};
use crate::wire::document_to_pb;

/// Where a wallet's policies stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) wallet: WalletId,
    pub(crate) in_force: Option<PolicyRecord>,
    /// The attached nodes that said they have it in force.
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) waiting: Option<Waiting>,
}

/// A policy that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) record: WaitingRecord,
    /// The latest of all whose word is known.
    pub(crate) until: UnixMillis,
    /// The attached nodes that noted it.
    pub(crate) nodes: Vec<NodeId>,
    /// A freeze order came meanwhile.
    pub(crate) cancelled: bool,
}

/// The policies of a wallet.
pub(crate) async fn get_policy(core: &Coordinator, wallet: WalletId) -> Result<Standing, OpError> {
    let name = wallet.clone();
    let read = core.db.read(move |read| {
        let key = name.as_str().as_bytes();
        let wallet = get::<WalletRecord>(read, key)?.ok_or_else(|| OpError::not_found("wallet", &name))?;
        let (policy, waiting) = (get::<PolicyRecord>(read, key)?, get::<WaitingRecord>(read, key)?);
        if policy.is_none() && waiting.is_none() {
            return Err(OpError::not_found("policy of wallet", &name));
        }
        Ok((wallet, policy, waiting))
    });
    let (record, in_force, waiting) = read.await?;
    let links = core.attached(&core.group(&record.group)?, &DECIDERS);
    let subject = Subject::Policy(wallet.clone());
    let has_it = |link: &&Link| {
        in_force.as_ref().is_some_and(|policy| link.standing(&subject, policy.hash) == Reply::InForce)
    };
    let nodes = links.iter().filter(has_it).map(|link| link.node().clone()).collect();
    let standing = core.freezes.load().standing(&record.wallet, &record.agent);
    let waiting = waiting.map(|waiting| Waiting::told(waiting, &links, standing));
    Ok(Standing { wallet, in_force, nodes, waiting })
}

impl Waiting {
    fn told(record: WaitingRecord, links: &[Link], standing: quorate_types::B256) -> Self {
        let subject = Subject::NextPolicy(record.policy.wallet.clone());
        let (mut until, mut nodes) = (record.until, Vec::new());
        for link in links {
            match link.standing(&subject, record.policy.hash) {
                Reply::Waits(theirs) => until = until.max(theirs),
                Reply::InForce => {}
                Reply::Refused(_) | Reply::Silent => continue,
            }
            nodes.push(link.node().clone());
        }
        let cancelled = record.standing != standing;
        Self { record, until, nodes, cancelled }
    }
}

impl From<Standing> for v1::PolicyInForce {
    fn from(standing: Standing) -> Self {
        let policy = standing.in_force.as_ref();
        let names = |nodes: &[NodeId]| nodes.iter().map(NodeId::to_string).collect();
        Self {
            wallet: standing.wallet.to_string(),
            version: policy.map_or(0, |policy| policy.version),
            hash: policy.map(|policy| policy.hash.to_vec()).unwrap_or_default(),
            document: policy.map(|policy| document_to_pb(&policy.document)),
            nodes: names(&standing.nodes),
            waiting: standing.waiting.map(|waiting| v1::PolicyWaiting {
                version: waiting.record.policy.version,
                hash: waiting.record.policy.hash.to_vec(),
                document: Some(document_to_pb(&waiting.record.policy.document)),
                until_ms: waiting.until,
                nodes: names(&waiting.nodes),
                loosens: waiting.record.loosens,
                cancelled: waiting.cancelled,
            }),
        }
    }
}
