//! What a package says beside its secret, from what the node knows.

use quorate_manifest::Pinned;
use quorate_mpc::{CoreShare, GroupAux};
use quorate_recovery::{Entry, Facts, IndexedWallet, WalletFacts, seal_aux, seal_share};
use quorate_session::NodeKey;
use quorate_types::{B256, ClusterId, GroupId, NodeId, Role, UnixMillis};

use super::{Cold, ColdError, Sealed, aux_name, share_name};
use crate::node::Node;
use crate::vault::WalletRecord;

/// Who seals, under which manifest, when.
pub(crate) struct Sealer<'a> {
    /// The cluster.
    pub(crate) cluster: &'a ClusterId,
    /// The node.
    pub(crate) me: &'a NodeId,
    /// Its role.
    pub(crate) role: Role,
    /// Its identity key.
    pub(crate) key: &'a NodeKey,
    /// The manifest in force: its recovery recipients are sealed to.
    pub(crate) pinned: &'a Pinned,
    /// The time.
    pub(crate) now: UnixMillis,
}

/// A secret on its way out.
pub(crate) enum ToSeal {
    /// A share and the record it belongs to, with the hash of its group's auxiliary info.
    Share(Box<WalletRecord>, CoreShare, B256),
    /// A group's auxiliary info.
    Aux(GroupId, GroupAux),
}

/// Seals one package as this node.
pub(super) fn seal(node: &Node, into: &Cold, secret: &ToSeal) -> Result<Sealed, ColdError> {
    let pinned = node.documents.manifest();
    let sealer = Sealer {
        cluster: &node.cluster,
        me: &node.me,
        role: node.role,
        key: &node.key,
        pinned: &pinned,
        now: node.clock.now(),
    };
    sealer.seal(into, secret)
}

impl Sealer<'_> {
    /// Seals one package to the recipients of the manifest in force, and lists it.
    ///
    /// # Errors
    /// [`ColdError`].
    pub(crate) fn seal(&self, into: &Cold, secret: &ToSeal) -> Result<Sealed, ColdError> {
        let recipients = self.pinned.manifest().recovery();
        let (name, plaintext, entry) = match secret {
            ToSeal::Share(record, share, aux_hash) => {
                let facts = self.facts(&record.group, *aux_hash)?;
                let wallet = WalletFacts::new(&record.statement, self.key.public(), &share.public_shares())
                    .map_err(|error| missing(error.to_string()))?;
                let indexed = IndexedWallet {
                    wallet: record.wallet.clone(),
                    epoch: record.epoch,
                    public_key: record.public_key,
                    address: record.public_key.address(),
                };
                let plaintext = seal_share(&facts, &wallet, share, self.key)?;
                (share_name(record), plaintext, entry(facts, Some(indexed)))
            }
            ToSeal::Aux(group, aux) => {
                let facts = self.facts(group, aux.hash())?;
                (aux_name(group), seal_aux(&facts, aux, self.key)?, entry(facts, None))
            }
        };
        into.seal_listed(recipients, &name, &plaintext, (entry, self.key))
    }

    fn facts(&self, group: &GroupId, aux_hash: B256) -> Result<Facts, ColdError> {
        let entry = self.pinned.manifest().group(group);
        let entry = entry.ok_or_else(|| missing(format!("the manifest in force has no group {group}")))?;
        Ok(Facts {
            cluster: self.cluster.clone(),
            node: self.me.clone(),
            role: self.role,
            group: group.clone(),
            nodes: entry.nodes().into_iter().cloned().collect(),
            manifest_hash: self.pinned.hash(),
            aux_hash,
            created_at_ms: self.now,
        })
    }
}

/// The name, hash, length and place in the chain are filled in when the file is there.
fn entry(facts: Facts, wallet: Option<IndexedWallet>) -> Entry {
    Entry {
        version: 1,
        sequence: 0,
        previous: B256::ZERO,
        cluster: facts.cluster,
        node: facts.node,
        group: facts.group,
        aux_hash: facts.aux_hash,
        file: String::new(),
        sha256: String::new(),
        bytes: 0,
        created_at_ms: facts.created_at_ms,
        wallet,
    }
}

fn missing(reason: String) -> ColdError {
    quorate_recovery::PackageError::Content(reason).into()
}
