//! What loosens a policy, once it has waited: shown to the nodes again, which put it in force where their own time is over,
//! and in force here only when both have done so.

use std::sync::Arc;
use std::time::Duration;

use quorate_types::{UnixMillis, WalletId};
use tokio_util::sync::CancellationToken;

use crate::coordinator::{Change, Coordinator};
use crate::error::OpError;
use crate::link::{Link, Reply, Subject};
use crate::ops::apply_policy::{DECIDERS, event};
use crate::push::Push;
use crate::records::{PolicyRecord, Record, WaitingRecord, WalletRecord, get, page, put};

/// How often what waits is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Looks after what waits until `stop`.
pub(crate) async fn run(core: Arc<Coordinator>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = tick(&core).await {
            tracing::error!(%error, "policies that wait could not be looked at");
        }
    }
}

/// One look.
///
/// # Errors
/// Where the store cannot be read or written.
pub(crate) async fn tick(core: &Coordinator) -> Result<(), OpError> {
    let waiting = core.db.read(|read| page::<WaitingRecord>(read, &[], usize::MAX)).await?;
    metrics::gauge!("quorate_policies_waiting").set(waiting.len() as f64);
    let now = core.clock.now();
    for waiting in waiting.into_iter().filter(|waiting| waiting.until <= now) {
        promote(core, waiting.policy.wallet).await?;
    }
    remind(core, now).await
}

/// Puts a policy in force that has waited, where both nodes have.
async fn promote(core: &Coordinator, wallet: WalletId) -> Result<(), OpError> {
    let _alone = core.changes.lock(&Change::Policy(wallet.clone())).await;
    let key = wallet.as_str().as_bytes().to_vec();
    let read =
        core.db.read(move |read| Ok(get::<WalletRecord>(read, &key)?.zip(get::<WaitingRecord>(read, &key)?)));
    let Some((wallet, waiting)) = read.await? else { return Ok(()) };
    let now = core.clock.now();
    let cancelled = core.freezes.load().standing(&wallet.wallet, &wallet.agent) != waiting.standing;
    let links = core.attached(&core.group(&wallet.group)?, &DECIDERS);
    // One of both alone would leave the wallet without a policy that both hold.
    let subject = Subject::NextPolicy(wallet.wallet.clone());
    let ready =
        |link: &Link| !matches!(link.standing(&subject, waiting.policy.hash), Reply::Waits(t) if t > now);
    if cancelled || waiting.until > now || links.len() < DECIDERS.len() || !links.iter().all(ready) {
        return Ok(());
    }
    let said = Push::next_policy(&waiting.policy).replies(&links, core.deadlines.policy()).await;
    if said.len() < DECIDERS.len() || said.iter().any(|(_, reply)| *reply != Reply::InForce) {
        tracing::debug!(wallet = %wallet.wallet, ?said, "a policy still waits");
        return Ok(());
    }
    let policy = waiting.policy.clone();
    let write = core.db.update(move |txn| {
        put(txn, &waiting.policy)?;
        txn.delete(WaitingRecord::TABLE, &waiting.key())?;
        Ok(quorate_audit::append(txn, now, &event(&waiting.caller, &waiting.policy, None))?)
    });
    let (receipt, synced) = write.await?;
    receipt.confirm(&synced);
    tracing::info!(wallet = %policy.wallet, version = policy.version, "a policy that waited is in force");
    Push::policy(&policy).replies(&links, core.deadlines.policy()).await;
    Ok(())
}

/// Shows nodes again what is in force here and waited there, as on a node that saw no earlier version.
async fn remind(core: &Coordinator, now: UnixMillis) -> Result<(), OpError> {
    for link in core.nodes.all() {
        for wallet in link.due(now) {
            let key = wallet.as_str().as_bytes().to_vec();
            if let Some(policy) = core.db.read(move |read| get::<PolicyRecord>(read, &key)).await? {
                Push::policy(&policy).send(&link).await;
            }
        }
    }
    Ok(())
}
