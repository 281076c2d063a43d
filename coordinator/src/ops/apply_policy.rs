//! Putting a policy in force: written down first, then given to the nodes that decide by it. One that loosens a guarded
//! wallet's is written down as waiting, and given to the nodes so that their time begins.

use quorate_audit::{Event, PendingReceipt};
use quorate_manifest::{Pinned, SignedDocument};
use quorate_policy::{Loosening, PolicyError, SignedPolicy, Succession, succession};
use quorate_store::Txn;
use quorate_types::{B256, Role, UnixMillis};
use serde_json::json;

use super::get_policy::{Standing, get_policy};
use crate::access::Caller;
use crate::coordinator::{Change, Coordinator};
use crate::error::OpError;
use crate::policies;
use crate::push::Push;
use crate::records::{PolicyRecord, Record, WaitingRecord, WalletRecord, get, put};

/// The nodes that evaluate policies.
pub(crate) const DECIDERS: [Role; 2] = [Role::Agent, Role::Service];

/// What was written down, and where its nodes are found.
struct Written {
    wallet: WalletRecord,
    waiting: Option<WaitingRecord>,
    receipt: PendingReceipt,
}

/// Puts a signed policy in force, or lets it wait, and says which nodes have it.
///
/// # Errors
/// A conflict where a node refuses it. It is in force here all the same, and offered again when that node attaches: the
/// wallet signs only once both nodes hold the same policy.
pub(crate) async fn apply_policy(
    core: &Coordinator,
    caller: Caller,
    document: SignedDocument,
) -> Result<Standing, OpError> {
    let pinned = core.pinned.load_full();
    let policy = SignedPolicy::verify(&document, pinned.manifest())
        .map_err(|error| OpError::invalid("policy", error))?;
    let wallet = policy.wallet().clone();
    let _alone = core.changes.lock(&Change::Policy(wallet.clone())).await;
    let record =
        PolicyRecord { wallet: wallet.clone(), version: policy.version(), hash: policy.hash(), document };
    let (written, freezes, now) = (record.clone(), core.freezes.load_full(), core.clock.now());
    let write = core.db.update(move |txn| {
        let key = written.wallet.as_str().as_bytes();
        let wallet = get::<WalletRecord>(txn, key)?;
        let wallet = wallet.ok_or_else(|| OpError::not_found("wallet", &written.wallet))?;
        let standing = freezes.standing(&wallet.wallet, &wallet.agent);
        Offer { policy, record: written, caller, now, standing }.write(txn, wallet, &pinned)
    });
    let (written, synced) = write.await?;
    written.receipt.confirm(&synced);
    let links = core.attached(&core.group(&written.wallet.group)?, &DECIDERS);
    let push = if written.waiting.is_some() { Push::next_policy(&record) } else { Push::policy(&record) };
    push.deliver(&links, core.deadlines.policy()).await?;
    get_policy(core, wallet).await
}

/// A policy that was brought, and all its place is decided by.
struct Offer {
    policy: SignedPolicy,
    record: PolicyRecord,
    caller: Caller,
    now: UnixMillis,
    /// The freeze orders that count for the wallet.
    standing: B256,
}

impl Offer {
    fn write(self, txn: &mut dyn Txn, wallet: WalletRecord, pinned: &Pinned) -> Result<Written, OpError> {
        let conflict = |error: PolicyError| OpError::conflict("policy", error);
        self.policy.policy().suits(&wallet.terms).map_err(conflict)?;
        let present = policies::in_force(txn, &wallet.wallet)?;
        if let Some(present) = &present {
            self.policy.supersedes(present).map_err(conflict)?;
        }
        let noted = get::<WaitingRecord>(txn, &wallet.key())?;
        let again = noted.as_ref().is_some_and(|noted| noted.policy.hash == self.record.hash);
        if let Some(noted) = &noted {
            let next = policies::restore(&wallet.wallet, &noted.policy)?;
            self.policy.supersedes(&next).map_err(conflict)?;
            if again && noted.standing != self.standing {
                let reason = "a freeze order came while it waited, which ended it: sign a higher version";
                return Err(OpError::conflict("policy", reason));
            }
        }
        let loosening = Loosening::of(&wallet.terms);
        if loosening.is_some() && wallet.born.is_none() {
            let reason = "its key generation is not complete: its nodes take no policy yet";
            return Err(OpError::conflict("wallet", reason));
        }
        let how = succession(loosening, present.as_ref(), (&self.policy, pinned.manifest()));
        let waiting = match (how.map_err(conflict)?, loosening) {
            (Succession::Late(_), Some(_)) if again => noted,
            (Succession::Late(fields), Some(loosening)) => Some(self.waits(txn, &fields, loosening)?),
            _ => {
                put(txn, &self.record)?;
                txn.delete(WaitingRecord::TABLE, &wallet.key())?;
                None
            }
        };
        let event = event(&self.caller.0.to_string(), &self.record, waiting.as_ref());
        let receipt = quorate_audit::append(txn, self.now, &event)?;
        Ok(Written { wallet, waiting, receipt })
    }

    fn waits(
        &self,
        txn: &mut dyn Txn,
        fields: &[&'static str],
        loosening: Loosening,
    ) -> Result<WaitingRecord, OpError> {
        let waiting = WaitingRecord {
            policy: self.record.clone(),
            caller: self.caller.0.to_string(),
            loosens: fields.iter().map(|field| (*field).to_owned()).collect(),
            until: loosening.until(self.now),
            standing: self.standing,
        };
        put(txn, &waiting)?;
        Ok(waiting)
    }
}

/// A policy in force, or one that waits.
pub(crate) fn event(caller: &str, record: &PolicyRecord, waiting: Option<&WaitingRecord>) -> Event {
    let event = Event::new(if waiting.is_some() { "policy.waiting" } else { "policy.applied" })
        .wallet(&record.wallet)
        .field("caller", json!(caller))
        .field("version", json!(record.version))
        .field("hash", json!(record.hash));
    match waiting {
        Some(waiting) => {
            event.field("loosens", json!(waiting.loosens)).field("until_ms", json!(waiting.until))
        }
        None => event,
    }
}
