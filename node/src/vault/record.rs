//! What a node knows of a wallet, all of it public, and when the wallet may sign.

use std::ops::ControlFlow;

use quorate_mpc::CoreShare;
use quorate_session::{KeyStatement, SignedStatement, WalletTerms};
use quorate_store::{Read, Txn};
use quorate_types::{AgentId, GroupId, NodeId, PublicKey, Role, WalletId};
use serde::{Deserialize, Serialize};

use super::{Vault, VaultError};
use crate::cold::Sealed;

/// Wallet and key to record.
const RECORDS: &str = "vault.wallet";
/// Wallet to the key that was activated.
const ACTIVE: &str = "vault.active";
/// Wallet and key to share.
const SHARES: &str = "vault.share";
/// Sealed file to its length and SHA-256.
const SEALED: &str = "vault.sealed";

/// Keys a wallet may have before one is activated. Each costs its three nodes one key generation.
const MAX_PENDING: usize = 16;

/// One key of a wallet, as this node stated it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WalletRecord {
    /// The wallet.
    pub(crate) wallet: WalletId,
    /// The agent it belongs to.
    pub(crate) agent: AgentId,
    /// What it was created with.
    pub(crate) terms: WalletTerms,
    /// The group whose nodes hold the shares.
    pub(crate) group: GroupId,
    /// The share epoch.
    pub(crate) epoch: u32,
    /// The key.
    pub(crate) public_key: PublicKey,
    /// The nodes by index.
    pub(crate) nodes: Vec<NodeId>,
    /// The execution id of the key generation.
    pub(crate) eid: [u8; 32],
    /// This node's own key statement.
    pub(crate) statement: SignedStatement,
    /// Whether the wallet may sign with this key.
    #[serde(skip)]
    pub(crate) active: bool,
}

impl WalletRecord {
    /// The record of a key whose share was just made.
    pub(crate) fn pending(statement: KeyStatement, signed: &SignedStatement) -> Self {
        let KeyStatement { cluster: _, group, wallet, agent, terms, epoch, public_key, nodes, eid } =
            statement;
        Self {
            wallet,
            agent,
            terms,
            group,
            epoch,
            public_key,
            nodes,
            eid,
            statement: signed.clone(),
            active: false,
        }
    }

    /// The first field in which `stated` is not this record, if any.
    pub(crate) fn difference(&self, stated: &KeyStatement) -> Option<&'static str> {
        // The cluster is this node's own, and is compared by who knows it. No `..`: a new field must be compared.
        let KeyStatement { cluster: _, group, wallet, agent, terms, epoch, public_key, nodes, eid } = stated;
        [
            ("group", *group == self.group),
            ("wallet", *wallet == self.wallet),
            ("agent", *agent == self.agent),
            ("epoch", *epoch == self.epoch),
            ("public key", *public_key == self.public_key),
            ("participants", *nodes == self.nodes),
            ("execution id", *eid == self.eid),
        ]
        .into_iter()
        .find_map(|(field, same)| (!same).then_some(field))
        .or_else(|| terms.difference(&self.terms))
    }
}

/// Wallet names hold no zero byte, so one wallet's keys are never a prefix of another's.
fn prefix(wallet: &WalletId) -> Vec<u8> {
    let mut key = wallet.as_str().as_bytes().to_vec();
    key.push(0);
    key
}

fn key_of(wallet: &WalletId, public_key: PublicKey) -> Vec<u8> {
    let mut key = prefix(wallet);
    key.extend(public_key.to_sec1());
    key
}

fn decode(bytes: &[u8]) -> Option<WalletRecord> {
    match postcard::take_from_bytes(bytes) {
        Ok((record, [])) => Some(record),
        _ => None,
    }
}

impl Vault {
    /// The wallet's active record; none before [`Self::activate`].
    ///
    /// # Errors
    /// The store, or a malformed record.
    pub(crate) fn wallet(&self, wallet: &WalletId) -> Result<Option<WalletRecord>, VaultError> {
        let Some(active) = self.store.get(ACTIVE, wallet.as_str().as_bytes())? else { return Ok(None) };
        let record = self.store.get(RECORDS, &[&prefix(wallet), active.as_slice()].concat())?;
        let record = record
            .and_then(|bytes| decode(&bytes))
            .filter(|record| record.public_key.to_sec1()[..] == active[..]);
        let mut record = record.ok_or_else(|| VaultError::Malformed(format!("wallet {wallet}")))?;
        record.active = true;
        Ok(Some(record))
    }

    /// Every key this node ever stated for the wallet, activated or not.
    ///
    /// # Errors
    /// The store, or a malformed record.
    pub(crate) fn records(&self, wallet: &WalletId) -> Result<Vec<WalletRecord>, VaultError> {
        records(&*self.store, &prefix(wallet))
    }

    /// Every key this node ever stated, of every wallet.
    ///
    /// # Errors
    /// The store, or a malformed record.
    pub(crate) fn all_records(&self) -> Result<Vec<WalletRecord>, VaultError> {
        records(&*self.store, &[])
    }

    /// Whether any wallet, activated or not, was made by the group's nodes.
    ///
    /// # Errors
    /// The store, or a malformed record.
    pub(crate) fn has_wallets(&self, group: &GroupId) -> Result<bool, VaultError> {
        has_wallets(&*self.store, group)
    }

    /// Whether a key may be made for the wallet.
    ///
    /// # Errors
    /// [`VaultError::Active`], [`VaultError::TooManyPending`], or the store.
    pub(crate) fn check_new(&self, wallet: &WalletId) -> Result<(), VaultError> {
        check_new(&*self.store, wallet)
    }

    /// Keeps a share and its record. The wallet does not sign before it is activated.
    ///
    /// # Errors
    /// Where the wallet is active, has too many keys, or this node is cold: see [`Self::keep_sealed`].
    pub(crate) fn keep_share(
        &self,
        txn: &mut dyn Txn,
        record: &WalletRecord,
        share: &CoreShare,
    ) -> Result<(), VaultError> {
        if self.role == Role::Cold {
            return Err(VaultError::ColdSecret("share"));
        }
        let failed = |error| VaultError::Share(record.wallet.clone(), error);
        if share.public_key().map_err(failed)? != record.public_key || share.party() != self.role.index() {
            return Err(VaultError::Malformed(format!("wallet {}", record.wallet)));
        }
        let key = keep_record(txn, record)?;
        Ok(txn.put(SHARES, &key, &share.to_bytes().map_err(failed)?)?)
    }

    /// Keeps the public record of a share that left, proven, in a sealed file.
    ///
    /// # Errors
    /// Where the wallet has too many keys, or the store.
    pub(crate) fn keep_sealed(
        &self,
        txn: &mut dyn Txn,
        record: &WalletRecord,
        file: &Sealed,
    ) -> Result<(), VaultError> {
        keep_record(txn, record)?;
        keep_file(txn, file)
    }

    /// Lets the wallet sign with one of its keys, for ever. Doing it again is fine.
    ///
    /// # Errors
    /// [`VaultError::Active`] where it signs with another already; [`VaultError::NotActive`] where the key is unknown.
    pub(crate) fn activate(
        &self,
        txn: &mut dyn Txn,
        wallet: &WalletId,
        public_key: PublicKey,
    ) -> Result<(), VaultError> {
        match active_key(&*txn, wallet)? {
            Some(active) if active == public_key => return Ok(()),
            Some(_) => return Err(VaultError::Active(wallet.clone())),
            None => {}
        }
        if txn.get(RECORDS, &key_of(wallet, public_key))?.is_none() {
            return Err(VaultError::NotActive(wallet.clone()));
        }
        Ok(txn.put(ACTIVE, wallet.as_str().as_bytes(), &public_key.to_sec1())?)
    }

    /// The share of a record, as [`Self::keep_share`] kept it.
    ///
    /// # Errors
    /// The store, or a share that does not hold; a cold node has none.
    pub(crate) fn share(&self, record: &WalletRecord) -> Result<CoreShare, VaultError> {
        let bytes = self.store.get(SHARES, &key_of(&record.wallet, record.public_key))?;
        let bytes = bytes.ok_or(VaultError::ColdSecret("share"))?;
        let failed = |error| VaultError::Share(record.wallet.clone(), error);
        let share = CoreShare::from_bytes(&bytes).map_err(failed)?;
        if share.public_key().map_err(failed)? != record.public_key || share.party() != self.role.index() {
            return Err(VaultError::Malformed(format!("wallet {}", record.wallet)));
        }
        Ok(share)
    }
}

/// Records that a sealed file exists, with what a person needs to check it: its length and SHA-256.
pub(super) fn keep_file(txn: &mut dyn Txn, file: &Sealed) -> Result<(), VaultError> {
    let value = format!("{} {}", hex::encode(file.sha256()), file.bytes());
    Ok(txn.put(SEALED, file.name().as_bytes(), value.as_bytes())?)
}

pub(super) fn keep_record(txn: &mut dyn Txn, record: &WalletRecord) -> Result<Vec<u8>, VaultError> {
    check_new(&*txn, &record.wallet)?;
    let key = key_of(&record.wallet, record.public_key);
    if txn.get(RECORDS, &key)?.is_some() {
        return Err(VaultError::Kept(record.wallet.clone()));
    }
    let malformed = |_| VaultError::Malformed(format!("wallet {}", record.wallet));
    txn.put(RECORDS, &key, &postcard::to_allocvec(record).map_err(malformed)?)?;
    Ok(key)
}

/// Whether any wallet was made by the group's nodes, as `read` sees it.
pub(super) fn has_wallets(read: &dyn Read, group: &GroupId) -> Result<bool, VaultError> {
    let mut found = Ok(false);
    read.scan(RECORDS, &[], &[], &mut |key, value| match decode(value) {
        Some(record) if record.group == *group => {
            found = Ok(true);
            ControlFlow::Break(())
        }
        Some(_) => ControlFlow::Continue(()),
        None => {
            found = Err(VaultError::Malformed(hex::encode(key)));
            ControlFlow::Break(())
        }
    })?;
    found
}

fn check_new(read: &dyn Read, wallet: &WalletId) -> Result<(), VaultError> {
    if active_key(read, wallet)?.is_some() {
        return Err(VaultError::Active(wallet.clone()));
    }
    if records(read, &prefix(wallet))?.len() >= MAX_PENDING {
        return Err(VaultError::TooManyPending(wallet.clone()));
    }
    Ok(())
}

fn active_key(read: &dyn Read, wallet: &WalletId) -> Result<Option<PublicKey>, VaultError> {
    let Some(bytes) = read.get(ACTIVE, wallet.as_str().as_bytes())? else { return Ok(None) };
    let malformed = |_| VaultError::Malformed(format!("wallet {wallet}"));
    PublicKey::from_sec1(&bytes).map(Some).map_err(malformed)
}

fn records(read: &dyn Read, prefix: &[u8]) -> Result<Vec<WalletRecord>, VaultError> {
    let mut found = Vec::new();
    let mut malformed = None;
    read.scan(RECORDS, prefix, &[], &mut |key, value| {
        match decode(value) {
            Some(record) => found.push(record),
            None => malformed = Some(hex::encode(key)),
        }
        if malformed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    match malformed {
        Some(key) => Err(VaultError::Malformed(key)),
        None => Ok(found),
    }
}
