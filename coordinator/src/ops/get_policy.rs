//! A wallet's policy, and the nodes that hold it.

use quorate_types::{NodeId, WalletId};

use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::link::{Reply, Subject};
use crate::ops::apply_policy::DECIDERS;
use crate::records::{PolicyRecord, WalletRecord, get};

/// The latest policy of a wallet. Listed are the attached nodes that said they have it in force.
pub(crate) async fn get_policy(
    core: &Coordinator,
    wallet: WalletId,
) -> Result<(PolicyRecord, Vec<NodeId>), OpError> {
    let name = wallet.clone();
    let read = core.db.read(move |read| {
        let key = name.as_str().as_bytes();
        let wallet = get::<WalletRecord>(read, key)?.ok_or_else(|| OpError::not_found("wallet", &name))?;
        let policy = get::<PolicyRecord>(read, key)?;
        Ok((wallet, policy.ok_or_else(|| OpError::not_found("policy of wallet", &name))?))
    });
    let (record, policy) = read.await?;
    let links = core.attached(&core.group(&record.group)?, &DECIDERS);
    let subject = Subject::Policy(wallet);
    let has_it = links.iter().filter(|link| link.standing(&subject, policy.hash) == Reply::InForce);
    let nodes = has_it.map(|link| link.node().clone()).collect();
    Ok((policy, nodes))
}
