//! A request that approvers signed.

use quorate_manifest::{Manifest, Namespace, SignedDocument, verify};
use quorate_types::{B256, UnixMillis, WalletId};

use crate::request::MAX_APPROVAL_MS;
use crate::{ApprovalError, ApprovalRequest, Nonce};

/// A request and the approvers whose signatures on it hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedApproval {
    request: ApprovalRequest,
    approvers: Vec<String>,
    document: SignedDocument,
}

/// The request an approval must be about, as whoever checks it read it for itself.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The wallet that is to sign.
    pub wallet: &'a WalletId,
    /// Which payload.
    pub payload_hash: B256,
    /// The caller's key for the request.
    pub idempotency_key: &'a str,
    /// What the payload does, in words.
    pub summary: &'a str,
    /// The policy in force.
    pub policy_hash: B256,
    /// For how long at most that policy has people asked, in seconds: no yes is good for longer.
    pub timeout_s: u64,
}

impl ApprovalRequest {
    /// The first field in which it is about another request, if any.
    pub fn differs(&self, subject: &Subject<'_>) -> Option<&'static str> {
        // No `..`: a new field must be compared. The cluster is compared with the manifest's; the nonce is anyone's.
        let Self {
            cluster: _,
            wallet,
            payload_hash,
            idempotency_key,
            summary,
            policy_hash,
            nonce: _,
            expires_at: _,
        } = self;
        let same = [
            ("wallet", wallet == subject.wallet),
            ("payload_hash", *payload_hash == subject.payload_hash),
            ("idempotency_key", idempotency_key == subject.idempotency_key),
            ("summary", summary == subject.summary),
            ("policy_hash", *policy_hash == subject.policy_hash),
        ];
        same.into_iter().find_map(|(field, same)| (!same).then_some(field))
    }
}

impl SignedApproval {
    /// Reads an approval, and checks its signatures against the approvers of `manifest`: at least one, and every one.
    ///
    /// # Errors
    /// [`ApprovalError`] where a field cannot be right, a signature does not hold or is not an approver's, or it is for
    /// another cluster.
    pub fn verify(document: &SignedDocument, manifest: &Manifest) -> Result<Self, ApprovalError> {
        let request = ApprovalRequest::parse(&document.body)?;
        let approvers = verify(document, Namespace::Approval, manifest.approvers(), 1)?;
        if request.cluster != *manifest.cluster() {
            return Err(ApprovalError::Other("cluster"));
        }
        Ok(Self { request, approvers, document: document.clone() })
    }

    /// Whether it is about exactly this, at `now`.
    ///
    /// # Errors
    /// [`ApprovalError`], naming the first field that differs.
    pub fn covers(&self, subject: &Subject<'_>, now: UnixMillis) -> Result<(), ApprovalError> {
        if let Some(field) = self.request.differs(subject) {
            return Err(ApprovalError::Other(field));
        }
        match self.request.expires_at.checked_sub(now) {
            None | Some(0) => Err(ApprovalError::Expired),
            Some(left) if left > subject.timeout_s.saturating_mul(1000).min(MAX_APPROVAL_MS) => {
                Err(ApprovalError::TooFar)
            }
            Some(_) => Ok(()),
        }
    }

    /// What was asked.
    pub const fn request(&self) -> &ApprovalRequest {
        &self.request
    }

    /// The names of those who signed, in the order of their signatures.
    pub fn approvers(&self) -> &[String] {
        &self.approvers
    }

    /// Its nonce.
    pub const fn nonce(&self) -> Nonce {
        self.request.nonce
    }

    /// The document itself, to pass on.
    pub const fn document(&self) -> &SignedDocument {
        &self.document
    }
}
