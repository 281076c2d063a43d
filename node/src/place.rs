//! Where this node stands: its place in a group, which of its wallets it signs for from there, and what a session of theirs is
//! agreed under. The manifest in force and this node's own records say so, and nobody who asks.

use std::sync::Arc;

use quorate_manifest::{Group, Manifest, Pinned};
use quorate_session::{PROTOCOL_VERSION, Participant, Protocol, Terms};
use quorate_types::{B256, GroupId, Role, Transcript, WalletId};

use crate::node::Node;
use crate::sessions::SessionError;
use crate::vault::WalletRecord;

/// A group of the pinned manifest in which this node plays its own role.
pub(crate) struct Place {
    pinned: Arc<Pinned>,
    group: Group,
}

impl Place {
    /// Finds the group and this node's place in it.
    ///
    /// # Errors
    /// [`SessionError::Caller`] naming `group`.
    pub(crate) fn find(node: &Node, group: &GroupId) -> Result<Self, SessionError> {
        let pinned = node.documents.manifest();
        let found = pinned.manifest().group(group).cloned();
        let group =
            found.ok_or_else(|| SessionError::caller("group", "this node's manifest has no such group"))?;
        if group.member(node.role.index()) != Some(&node.me) {
            return Err(SessionError::caller("group", "this node does not play its role in that group"));
        }
        Ok(Self { pinned, group })
    }

    /// The group.
    pub(crate) const fn group(&self) -> &Group {
        &self.group
    }

    /// The manifest that was in force when it was found.
    pub(crate) fn manifest(&self) -> &Manifest {
        self.pinned.manifest()
    }

    /// Terms with the first `parties` of the group and no optional field.
    pub(crate) fn terms(&self, node: &Node, protocol: Protocol, subject: B256) -> Terms {
        let member = |index| self.group.member(index).map(|id| Participant { index, node: id.clone() });
        Terms {
            version: PROTOCOL_VERSION,
            cluster: node.cluster.clone(),
            protocol,
            group: self.group.id.clone(),
            wallet: None,
            public_key: None,
            epoch: 0,
            aux_hash: None,
            participants: (0..protocol.parties()).filter_map(member).collect(),
            subject,
            policy_hash: None,
            manifest_hash: self.pinned.hash(),
        }
    }
}

/// The terms a presignature of `wallet` is made under. No policy has a say in them: what it is used for is judged when
/// it is used, by the policy of that moment.
///
/// # Errors
/// [`SessionError::Caller`] naming a field.
pub(crate) fn presign_terms(node: &Node, wallet: &WalletId) -> Result<Terms, SessionError> {
    never_cold(node)?;
    let (wallet, place) = signing_place(node, wallet)?;
    if wallet.terms.raw_digest {
        return Err(SessionError::caller("wallet", NEVER_PRESIGNED));
    }
    let subject = Transcript::new("quorate/presign/v1").field(wallet.wallet.as_str().as_bytes()).finish();
    with_key(node, &wallet, place.terms(node, Protocol::Presign, subject))
}

/// Whoever knows a presignature's nonce point before they choose a raw digest can have one signed that is another message's
/// ([ia.cr/2021/1330](https://ia.cr/2021/1330), 1.1.2): a coordinator does, and a node in an attacker's hands.
pub(crate) const NEVER_PRESIGNED: &str =
    "signs raw digests, each in a session of its own and never with a presignature";

pub(crate) fn never_cold(node: &Node) -> Result<(), SessionError> {
    if node.role == Role::Cold {
        return Err(SessionError::caller("role", "a cold node never signs; see the recovery ceremony"));
    }
    Ok(())
}

/// An active wallet, and the place in its group this node signs from.
pub(crate) fn signing_place(node: &Node, id: &WalletId) -> Result<(WalletRecord, Place), SessionError> {
    let wallet = active_wallet(node, id)?;
    let place = Place::find(node, &wallet.group)?;
    if !place.group().nodes().into_iter().eq(&wallet.nodes) {
        return Err(SessionError::caller("wallet", "its shares are not with the nodes of its group"));
    }
    Ok((wallet, place))
}

/// The terms with the wallet and its key in them.
pub(crate) fn with_key(node: &Node, wallet: &WalletRecord, terms: Terms) -> Result<Terms, SessionError> {
    let aux = node.vault.aux_hash(&wallet.group)?;
    Ok(Terms {
        wallet: Some(wallet.wallet.clone()),
        public_key: Some(wallet.public_key),
        epoch: wallet.epoch,
        aux_hash: Some(aux.ok_or_else(|| SessionError::caller("group", "not enrolled on this node"))?),
        ..terms
    })
}

fn active_wallet(node: &Node, id: &WalletId) -> Result<WalletRecord, SessionError> {
    let wallet = node.vault.wallet(id)?;
    wallet.ok_or_else(|| {
        SessionError::caller(
            "wallet",
            "not active on this node: its three attestations have not been shown to it",
        )
    })
}
