//! A lapse that enough people signed, and what it proves of one wallet at one time.

use quorate_intent::{Charge, Once};
use quorate_manifest::{Manifest, Namespace, SignedDocument, verify};
use quorate_policy::{LOOSENING_SIGNATURES, Loosening};
use quorate_types::{Address, B256, UnixMillis, WalletId};

use crate::ended::Ended;
use crate::{Lapse, LapseError};

/// A lapse with the operators' quorum under it. It proves nothing yet: see [`SignedLapse::judge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedLapse {
    lapse: Lapse,
    ended: Ended,
    signers: Vec<String>,
    hash: B256,
    document: SignedDocument,
}

impl SignedLapse {
    /// Reads a lapse and checks its signatures against `manifest`.
    ///
    /// # Errors
    /// [`LapseError`] where a field cannot be right, a signature does not hold, too few operators signed, or it is for another
    /// cluster.
    pub fn verify(document: &SignedDocument, manifest: &Manifest) -> Result<Self, LapseError> {
        let lapse = Lapse::parse(&document.body)?;
        let ended = lapse.ended()?;
        let signers = verify(document, Namespace::Lapse, manifest.operators(), manifest.operator_quorum())?;
        if lapse.cluster != *manifest.cluster() {
            let manifest = manifest.cluster().clone();
            return Err(LapseError::Cluster { lapse: lapse.cluster, manifest });
        }
        let hash = document.hash(Namespace::Lapse);
        Ok(Self { lapse, ended, signers, hash, document: document.clone() })
    }

    /// Holds it against the wallet it is about, which has this address and was created with this delay for what loosens its
    /// policy, at `now` by the caller's own clock. The delay itself is the caller's to wait: it runs from when a machine first saw
    /// that.
    ///
    /// # Errors
    /// [`LapseError`] where the authorization is another account's, a second operator is missing, it is too early, or the block is
    /// in the future.
    pub fn judge(
        &self,
        address: Address,
        loosening: Option<Loosening>,
        now: UnixMillis,
    ) -> Result<Lapsed, LapseError> {
        let Self { lapse, ended, hash, .. } = self;
        if ended.signer != address {
            return Err(LapseError::Signer { wallet: address, signer: ended.signer });
        }
        let got = self.signers.len();
        if loosening.is_some() && got < LOOSENING_SIGNATURES {
            return Err(LapseError::SecondOperator { got, need: LOOSENING_SIGNATURES });
        }
        if now < ended.over_at() {
            return Err(LapseError::TooEarly { until_ms: ended.over_at() });
        }
        if lapse.block.time_s.saturating_mul(1000) > now {
            return Err(LapseError::Future { block_s: lapse.block.time_s });
        }
        let (once, charges) = (ended.once, ended.charges.clone());
        Ok(Lapsed { wallet: lapse.wallet.clone(), once, charges, hash: *hash })
    }

    /// What it says.
    pub const fn lapse(&self) -> &Lapse {
        &self.lapse
    }

    /// The wallet it is about.
    pub const fn wallet(&self) -> &WalletId {
        &self.lapse.wallet
    }

    /// Names the payload, as a request for it does.
    pub const fn payload_hash(&self) -> B256 {
        self.ended.payload_hash
    }

    /// The operators who signed it, by name.
    pub fn signers(&self) -> &[String] {
        &self.signers
    }

    /// Names it in answers and records.
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// The document itself, to pass on.
    pub const fn document(&self) -> &SignedDocument {
        &self.document
    }
}

/// Proof that what a wallet signed at one place and to one effect can have none any more and had none, on the word of its
/// operators and by the clock of who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapsed {
    wallet: WalletId,
    once: Once,
    charges: Vec<Charge>,
    hash: B256,
}

impl Lapsed {
    /// Whose authorization.
    pub const fn wallet(&self) -> &WalletId {
        &self.wallet
    }

    /// Where it would have been used, and what it would have done there.
    pub const fn once(&self) -> &Once {
        &self.once
    }

    /// What it was charged.
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// Names the document that says so.
    pub const fn hash(&self) -> B256 {
        self.hash
    }
}
