//! An order that enough people signed.

use quorate_manifest::{Manifest, Namespace, Person, SignedDocument, verify};
use quorate_types::B256;

use crate::{Action, FreezeError, Order, Scope};

/// An order with the signatures it needs. Only such an order is ever obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFreeze {
    order: Order,
    hash: B256,
    document: SignedDocument,
}

impl SignedFreeze {
    /// Reads an order and checks its signatures against `manifest`: one operator or approver to freeze, the operators'
    /// quorum to unfreeze and to retire.
    ///
    /// # Errors
    /// [`FreezeError`] where a field cannot be right, a signature does not hold, too few signed, or it is for another
    /// cluster.
    pub fn verify(document: &SignedDocument, manifest: &Manifest) -> Result<Self, FreezeError> {
        let order = Order::parse(&document.body)?;
        match order.action {
            Action::Freeze => {
                let people: Vec<Person> =
                    manifest.operators().iter().chain(manifest.approvers()).cloned().collect();
                verify(document, Namespace::Freeze, &people, 1)?;
            }
            // What cannot be undone takes as many people as what undoes.
            Action::Unfreeze | Action::Retire => {
                let (operators, quorum) = (manifest.operators(), manifest.operator_quorum());
                verify(document, Namespace::Freeze, operators, quorum)?;
            }
        }
        if order.cluster != *manifest.cluster() {
            let manifest = manifest.cluster().clone();
            return Err(FreezeError::Cluster { order: order.cluster, manifest });
        }
        Ok(Self::of(order, document))
    }

    /// An order this machine obeyed before, as its own sealed store kept it, with the hash kept beside it. Who signed it
    /// may have left since.
    ///
    /// # Errors
    /// [`FreezeError`] where it is another document, or one that this version of the software refuses.
    pub fn restore(document: &SignedDocument, hash: B256) -> Result<Self, FreezeError> {
        if document.hash(Namespace::Freeze) != hash {
            return Err(FreezeError::NotKept);
        }
        Ok(Self::of(Order::parse(&document.body)?, document))
    }

    fn of(order: Order, document: &SignedDocument) -> Self {
        Self { order, hash: document.hash(Namespace::Freeze), document: document.clone() }
    }

    /// What it says.
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// What it is about.
    pub const fn scope(&self) -> &Scope {
        &self.order.scope
    }

    /// Its sequence number.
    pub const fn sequence(&self) -> u64 {
        self.order.sequence
    }

    /// Whether it stops signing.
    pub fn is_freeze(&self) -> bool {
        matches!(self.order.action, Action::Freeze | Action::Retire)
    }

    /// Whether it stops signing for ever.
    pub fn is_retirement(&self) -> bool {
        self.order.action == Action::Retire
    }

    /// One number that grows from each order that counts to the next: twice the sequence, and one more for lifting. A
    /// retirement has the highest there is.
    pub const fn rank(&self) -> u128 {
        // Lossless.
        let sequence = self.order.sequence as u128;
        match self.order.action {
            Action::Freeze => sequence * 2,
            Action::Unfreeze => sequence * 2 + 1,
            Action::Retire => u128::MAX,
        }
    }

    /// Names it in answers and records.
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// The document itself, to keep and to pass on.
    pub const fn document(&self) -> &SignedDocument {
        &self.document
    }
}
