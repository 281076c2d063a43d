//! One presignature with everything it is bound to.

use std::sync::Arc;

use quorate_mpc::Presignature;
use quorate_session::{LastWord, Participant, Terms};
use quorate_types::{B256, BootId, GroupId, NodeId, PublicKey, WalletId};

use super::shelves::Labelled;

/// What a presignature was made for. It signs for nothing else. No policy and no payload is among it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    wallet: WalletId,
    public_key: PublicKey,
    epoch: u32,
    group: GroupId,
    aux_hash: B256,
    /// In order.
    participants: Vec<Participant>,
}

impl Binding {
    /// What terms bind to. `None` of a session that has no key yet.
    pub(crate) fn of(terms: &Terms) -> Option<Self> {
        Some(Self {
            wallet: terms.wallet.clone()?,
            public_key: terms.public_key?,
            epoch: terms.epoch,
            group: terms.group.clone(),
            aux_hash: terms.aux_hash?,
            participants: terms.participants.clone(),
        })
    }

    /// The wallet.
    pub(crate) const fn wallet(&self) -> &WalletId {
        &self.wallet
    }
}

/// The runs of both nodes' processes a presignature was made in. It does not outlive either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Boots {
    /// This node's.
    pub(crate) own: BootId,
    /// The other node.
    pub(crate) peer: NodeId,
    /// The other node's, as it signed it.
    pub(crate) theirs: BootId,
}

/// A presignature that waits for its one use, and the key of the message it is used in. Not Clone, Debug or Serialize;
/// its secrets are wiped when it is dropped.
pub(crate) struct Ready {
    binding: Binding,
    boots: Boots,
    /// Through which coordinator it was made: no other is told of it, so that no two of them use it.
    coordinator: Arc<str>,
    presignature: Presignature,
    last_word: LastWord,
}

impl Ready {
    /// A presignature made through `coordinator`.
    pub(crate) fn new(
        (binding, boots): (Binding, Boots),
        coordinator: &str,
        (presignature, last_word): (Presignature, LastWord),
    ) -> Self {
        Self { binding, boots, coordinator: coordinator.into(), presignature, last_word }
    }

    pub(super) const fn binding(&self) -> &Binding {
        &self.binding
    }

    pub(super) const fn boots(&self) -> &Boots {
        &self.boots
    }

    pub(super) fn coordinator(&self) -> &Arc<str> {
        &self.coordinator
    }

    /// The presignature and its key, to be used now or never.
    pub(crate) fn into_parts(self) -> (Presignature, LastWord) {
        (self.presignature, self.last_word)
    }
}

impl Labelled for Ready {
    /// Who made it, and for which wallet.
    type Label = (Arc<str>, WalletId);

    fn label(&self) -> Self::Label {
        (Arc::clone(&self.coordinator), self.binding.wallet.clone())
    }
}
