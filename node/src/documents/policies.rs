//! Policies: the one in force for a wallet, the one that waits to take its place, and that versions only go up.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use quorate_audit::Event;
use quorate_manifest::{Namespace, SignedDocument};
use quorate_policy::{Loosening, Policy, SignedPolicy, Succession, succession};
use quorate_session::WalletTerms;
use quorate_store::{Store, Txn, update};
use quorate_types::{AgentId, B256, Role, UnixMillis, WalletId};

use super::record::Record;
use super::waiting::{self, Waiting};
use super::{Documents, DocumentsError};

/// Wallet to the policy last put in force.
const TABLE: &str = "documents.policy";
const KIND: &str = "policy";

/// Wallets a node keeps a policy of.
pub(super) const MAX_POLICIES: usize = 100_000;

/// What is known of a wallet's policies. One of both is there.
#[derive(Default)]
pub(super) struct Held {
    last: Option<Last>,
    waiting: Option<Waiting>,
}

/// The policy last put in force.
struct Last {
    version: u64,
    hash: B256,
    /// None where this version of the software refuses it: the wallet is then denied everything, and only a later
    /// version of the policy helps.
    in_force: Option<Arc<SignedPolicy>>,
}

impl Held {
    pub(super) fn in_force(&self) -> Option<Arc<SignedPolicy>> {
        self.last.as_ref().and_then(|last| last.in_force.clone())
    }

    /// The highest version seen.
    fn highest(&self) -> Option<(u64, B256)> {
        let waiting = self.waiting.as_ref().map(|waiting| (waiting.version, waiting.hash));
        waiting.or_else(|| self.last.as_ref().map(|last| (last.version, last.hash)))
    }
}

/// What is known of a wallet that a policy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) terms: WalletTerms,
    /// Freezing its agent freezes it too.
    pub(crate) agent: AgentId,
}

/// A wallet that was created with a delay for what loosens its policy.
struct Guarded {
    loosening: Loosening,
    agent: AgentId,
}

impl Guarded {
    fn of(created: Created) -> Option<Self> {
        Some(Self { loosening: Loosening::of(&created.terms)?, agent: created.agent })
    }
}

/// What became of a policy.
#[derive(Debug)]
pub(crate) enum Put {
    InForce(Arc<SignedPolicy>),
    /// It loosens the one in force. Shown again from then on, it takes its place.
    Waits {
        policy: Arc<SignedPolicy>,
        until: UnixMillis,
    },
}

/// Reads every policy back. An operator who has left since signed it all the same.
pub(super) fn load(store: &dyn Store) -> Result<HashMap<WalletId, Held>, DocumentsError> {
    let mut policies: HashMap<WalletId, Held> = HashMap::new();
    each(store, TABLE, |wallet, value| {
        let last = Some(read(&wallet, value)?);
        policies.entry(wallet).or_default().last = last;
        Ok(())
    })?;
    each(store, waiting::TABLE, |wallet, value| {
        policies.entry(wallet).or_default().waiting = Some(Waiting::read(value)?);
        Ok(())
    })?;
    Ok(policies)
}

fn each(
    store: &dyn Store,
    table: &str,
    mut take: impl FnMut(WalletId, &[u8]) -> Result<(), DocumentsError>,
) -> Result<(), DocumentsError> {
    let mut outcome = Ok(());
    store.scan(table, &[], &[], &mut |key, value| {
        let name = std::str::from_utf8(key).ok().and_then(|name| name.parse::<WalletId>().ok());
        outcome = name.ok_or(DocumentsError::Malformed(KIND)).and_then(|wallet| take(wallet, value));
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome
}

fn read(wallet: &WalletId, value: &[u8]) -> Result<Last, DocumentsError> {
    let record = Record::decode(value, KIND)?;
    let in_force = match SignedPolicy::restore(&record.document, record.hash) {
        Ok(policy) if policy.wallet() == wallet => Some(Arc::new(policy)),
        Ok(_) => return Err(DocumentsError::Malformed(KIND)),
        Err(reason) => {
            tracing::warn!(%wallet, %reason, "policy out of force: everything is denied until a later one is signed");
            None
        }
    };
    Ok(Last { version: record.version, hash: record.hash, in_force })
}

impl Documents {
    /// Puts a wallet's policy in force, or notes it where it loosens the one in force and the wallet was created with a
    /// delay: synced first. The one in force again is no change; one that waited long enough comes into force when it is
    /// shown again. `created` tells what the wallet was created with, where it is active here.
    ///
    /// # Errors
    /// Where it does not verify, is for another sort of wallet, is older than one this node has seen, loosens with too few
    /// signatures, was cancelled by a freeze, or cannot be synced; always on a cold node.
    pub(crate) fn put_policy<E: From<DocumentsError>>(
        &self,
        document: &SignedDocument,
        created: impl FnOnce(&WalletId) -> Result<Option<Created>, E>,
    ) -> Result<Put, E> {
        if self.expected.role == Role::Cold {
            return Err(DocumentsError::Cold.into());
        }
        let _changing = self.change();
        if let Some(same) = self.in_force(document)? {
            return Ok(Put::InForce(same));
        }
        let pinned = self.manifest();
        let policy = SignedPolicy::verify(document, pinned.manifest()).map_err(DocumentsError::from)?;
        self.check_succession(&policy)?;
        let created = created(policy.wallet())?;
        if let Some(created) = &created {
            policy.policy().suits(&created.terms).map_err(DocumentsError::from)?;
        }
        let guarded = created.and_then(Guarded::of);
        let present = self.policy(policy.wallet());
        let how = guarded.as_ref().map(|guarded| guarded.loosening);
        let how = succession(how, present.as_deref(), (&policy, pinned.manifest()));
        match (how.map_err(DocumentsError::from)?, guarded) {
            (Succession::Late(fields), Some(guarded)) => Ok(self.put_late(policy, &fields, &guarded)?),
            _ => Ok(Put::InForce(self.enforce(policy)?)),
        }
    }

    /// Notes a policy, or puts it in force where it was noted and has waited long enough.
    fn put_late(
        &self,
        policy: SignedPolicy,
        fields: &[&'static str],
        guarded: &Guarded,
    ) -> Result<Put, DocumentsError> {
        let (now, wallet) = (self.clock.now(), policy.wallet().clone());
        let standing = self.frozen().standing(&wallet, &guarded.agent);
        let noted = self.waiting(&wallet).filter(|noted| noted.hash == policy.hash());
        if let Some(noted) = noted {
            let until = noted.until(guarded.loosening);
            if noted.is_cancelled(standing) {
                return Err(DocumentsError::Cancelled { wallet, version: noted.version });
            }
            if until <= now {
                return Ok(Put::InForce(self.enforce(policy)?));
            }
            return Ok(Put::Waits { policy: Arc::new(policy), until });
        }
        let noted = Waiting::new(&policy, now, standing);
        let until = noted.until(guarded.loosening);
        let event =
            event("policy.waiting", &policy).field("loosens", fields.join(", ")).field("until_ms", until);
        self.log(&event, |txn| noted.write(txn, &wallet))?;
        let mut policies = self.policies.write().unwrap_or_else(PoisonError::into_inner);
        policies.entry(wallet).or_default().waiting = Some(noted);
        Ok(Put::Waits { policy: Arc::new(policy), until })
    }

    /// From here on the wallet goes by it, and nothing waits any more.
    fn enforce(&self, policy: SignedPolicy) -> Result<Arc<SignedPolicy>, DocumentsError> {
        let (version, hash) = (policy.version(), policy.hash());
        let record = Record::new(version, hash, policy.document()).encode(KIND)?;
        let key = policy.wallet().as_str().as_bytes();
        self.log(&event("policy.enforced", &policy), |txn| {
            txn.put(TABLE, key, &record)?;
            Ok(txn.delete(waiting::TABLE, key)?)
        })?;
        let policy = Arc::new(policy);
        let last = Some(Last { version, hash, in_force: Some(Arc::clone(&policy)) });
        let mut policies = self.policies.write().unwrap_or_else(PoisonError::into_inner);
        policies.insert(policy.wallet().clone(), Held { last, waiting: None });
        Ok(policy)
    }

    fn log(
        &self,
        event: &Event,
        change: impl FnOnce(&mut dyn Txn) -> Result<(), DocumentsError>,
    ) -> Result<(), DocumentsError> {
        let (receipt, durable) = update(&*self.store, |txn| {
            change(txn)?;
            Ok::<_, DocumentsError>(quorate_audit::append(txn, self.clock.now(), event)?)
        })?;
        receipt.confirm(&durable);
        Ok(())
    }

    /// Lets a guarded wallet sign, by `activate`, with no policy: whatever was put in force before this node knew what the
    /// wallet was created with did not wait for it, and is forgotten in the same transaction.
    pub(crate) fn begin_guarded<T, E: From<quorate_store::StoreError>>(
        &self,
        wallet: &WalletId,
        activate: impl FnOnce(&mut dyn Txn) -> Result<T, E>,
    ) -> Result<(T, quorate_store::Durable), E> {
        let _changing = self.change();
        // First, so that there is no moment at which the wallet may sign by it.
        let policies = || self.policies.write().unwrap_or_else(PoisonError::into_inner);
        let before = policies().remove(wallet);
        let done = update(&*self.store, |txn| {
            for table in [TABLE, waiting::TABLE] {
                txn.delete(table, wallet.as_str().as_bytes())?;
            }
            activate(txn)
        });
        if let (Err(_), Some(before)) = (&done, before) {
            policies().insert(wallet.clone(), before);
        }
        done
    }

    /// The policy in force, where the document is it. That takes no signatures: it changes nothing.
    fn in_force(&self, document: &SignedDocument) -> Result<Option<Arc<SignedPolicy>>, DocumentsError> {
        let wallet = Policy::parse(&document.body)?.wallet().clone();
        let hash = document.hash(Namespace::Policy);
        Ok(self.policy(&wallet).filter(|policy| policy.hash() == hash))
    }

    fn waiting(&self, wallet: &WalletId) -> Option<Waiting> {
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        policies.get(wallet).and_then(|held| held.waiting.clone())
    }

    /// Refuses a policy that does not come after the highest one seen.
    fn check_succession(&self, policy: &SignedPolicy) -> Result<(), DocumentsError> {
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        let seen = policies.get(policy.wallet()).and_then(Held::highest);
        if seen.is_none() && policies.len() >= MAX_POLICIES {
            return Err(DocumentsError::TooMany(MAX_POLICIES));
        }
        let refused = |reason| DocumentsError::Succession { wallet: policy.wallet().clone(), reason };
        policy.follows(seen).map_err(refused)
    }
}

fn event(kind: &'static str, policy: &SignedPolicy) -> Event {
    Event::new(kind)
        .wallet(policy.wallet())
        .field("version", policy.version())
        .field("hash", policy.hash().to_string())
}
