//! Policies: the one with the highest version this node has seen for a wallet, or none.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use quorate_audit::Event;
use quorate_manifest::{Namespace, SignedDocument};
use quorate_policy::{Policy, SignedPolicy};
use quorate_store::{Store, update};
use quorate_types::{B256, Role, WalletId};

use super::record::Record;
use super::{Documents, DocumentsError};

/// Wallet to the policy last put in force.
const TABLE: &str = "documents.policy";
const KIND: &str = "policy";

/// Wallets a node keeps a policy of.
pub(super) const MAX_POLICIES: usize = 100_000;

/// The highest policy seen of a wallet.
pub(super) struct Held {
    version: u64,
    hash: B256,
    /// None where this version of the software refuses it: the wallet is then denied everything, and only a later
    /// version of the policy helps.
    pub(super) in_force: Option<Arc<SignedPolicy>>,
}

/// Reads every policy back. An operator who has left since signed it all the same.
pub(super) fn load(store: &dyn Store) -> Result<HashMap<WalletId, Held>, DocumentsError> {
    let mut policies = HashMap::new();
    let mut failed = None;
    store.scan(TABLE, &[], &[], &mut |key, value| match read(key, value) {
        Ok((wallet, held)) => {
            policies.insert(wallet, held);
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(policies), Err)
}

fn read(key: &[u8], value: &[u8]) -> Result<(WalletId, Held), DocumentsError> {
    let name = std::str::from_utf8(key).ok().and_then(|name| name.parse::<WalletId>().ok());
    let wallet = name.ok_or(DocumentsError::Malformed(KIND))?;
    let record = Record::decode(value, KIND)?;
    let in_force = match SignedPolicy::restore(&record.document, record.hash) {
        Ok(policy) if *policy.wallet() == wallet => Some(Arc::new(policy)),
        Ok(_) => return Err(DocumentsError::Malformed(KIND)),
        Err(reason) => {
            tracing::warn!(%wallet, %reason, "policy out of force: everything is denied until a later one is signed");
            None
        }
    };
    Ok((wallet, Held { version: record.version, hash: record.hash, in_force }))
}

impl Documents {
    /// Puts a wallet's policy in force: synced first. The one in force again is no change.
    ///
    /// # Errors
    /// Where it does not verify, is older than one this node has seen, or cannot be synced; always on a cold node.
    pub(crate) fn put_policy(&self, document: &SignedDocument) -> Result<Arc<SignedPolicy>, DocumentsError> {
        if self.expected.role == Role::Cold {
            return Err(DocumentsError::Cold);
        }
        let _changing = self.change();
        if let Some(same) = self.in_force(document)? {
            return Ok(same);
        }
        let policy = SignedPolicy::verify(document, self.manifest().manifest())?;
        self.check_succession(&policy)?;
        let record = Record::new(policy.version(), policy.hash(), document).encode(KIND)?;
        let event = Event::new("policy.enforced")
            .wallet(policy.wallet())
            .field("version", policy.version())
            .field("hash", policy.hash().to_string());
        let (receipt, durable) = update(&*self.store, |txn| {
            txn.put(TABLE, policy.wallet().as_str().as_bytes(), &record)?;
            Ok::<_, DocumentsError>(quorate_audit::append(txn, self.clock.now(), &event)?)
        })?;
        receipt.confirm(&durable);
        let policy = Arc::new(policy);
        let (version, hash) = (policy.version(), policy.hash());
        let held = Held { version, hash, in_force: Some(Arc::clone(&policy)) };
        let mut policies = self.policies.write().unwrap_or_else(PoisonError::into_inner);
        policies.insert(policy.wallet().clone(), held);
        Ok(policy)
    }

    /// The policy in force, where the document is it. That takes no signatures: it changes nothing.
    fn in_force(&self, document: &SignedDocument) -> Result<Option<Arc<SignedPolicy>>, DocumentsError> {
        let wallet = Policy::parse(&document.body)?.wallet().clone();
        let hash = document.hash(Namespace::Policy);
        Ok(self.policy(&wallet).filter(|policy| policy.hash() == hash))
    }

    /// Refuses a policy that does not come after the highest one seen.
    fn check_succession(&self, policy: &SignedPolicy) -> Result<(), DocumentsError> {
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = policies.get(policy.wallet()) else {
            let full = policies.len() >= MAX_POLICIES;
            return if full { Err(DocumentsError::TooMany(MAX_POLICIES)) } else { Ok(()) };
        };
        let (wallet, offered) = (policy.wallet().clone(), policy.version());
        if offered < held.version {
            return Err(DocumentsError::Rollback { wallet, seen: held.version, offered });
        }
        if offered == held.version && policy.hash() != held.hash {
            return Err(DocumentsError::Fork { wallet, version: offered });
        }
        Ok(())
    }
}
