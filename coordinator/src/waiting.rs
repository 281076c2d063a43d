//! Requests that wait for people: what approvers are asked to sign, and what came in.

use quorate_approval::{ApprovalRequest, SignedApproval, Subject};
use quorate_manifest::{Manifest, SignedDocument};
use quorate_store::Txn;
use quorate_types::{B256, Payload, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::error::OpError;
use crate::records::{Record, delete, put, request_key, under};

/// Cases of one wallet at once, so that nobody fills the disk, or crowds out other wallets, by asking.
const MAX_CASES: usize = 16;

/// One request that approvers are asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) wallet: WalletId,
    pub(crate) key: String,
    pub(crate) payload: Payload,
    pub(crate) payload_hash: B256,
    /// An [`ApprovalRequest`]: exactly these bytes are signed.
    pub(crate) body: String,
    pub(crate) signatures: Vec<String>,
    /// As many as the policy asked for.
    pub(crate) threshold: usize,
    pub(crate) asked_at: UnixMillis,
    pub(crate) expires_at: UnixMillis,
    pub(crate) refused: Option<Refused>,
}

/// Who refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) by: String,
    pub(crate) reason: String,
}

/// Forgets what of a wallet's is over, and says which that was. Whether there is room for one more then.
pub(crate) fn make_room<T: Record>(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    most: usize,
    is_over: impl Fn(&T) -> bool,
) -> Result<(bool, Vec<T>), OpError> {
    let records = under::<T>(txn, &request_key(wallet, ""), most.saturating_add(1))?;
    let (over, waiting): (Vec<T>, Vec<T>) = records.into_iter().partition(is_over);
    for record in &over {
        delete(txn, record)?;
    }
    Ok((waiting.len() < most, over))
}

impl Record for Case {
    const TABLE: &'static str = "coordinator.approvals";
    fn key(&self) -> Vec<u8> {
        request_key(&self.wallet, &self.key)
    }
}

impl Case {
    /// Opens a case. Those that are over make room.
    ///
    /// # Errors
    /// Unavailable where too many wait.
    pub(crate) fn open(self, txn: &mut dyn Txn, now: UnixMillis) -> Result<Self, OpError> {
        let (room, _) = make_room::<Self>(txn, &self.wallet, MAX_CASES, |case| case.is_over(now))?;
        if !room {
            let reason = format!("{MAX_CASES} requests of this wallet wait for approval already");
            return Err(OpError::Unavailable { reason, nodes: Vec::new() });
        }
        put(txn, &self)?;
        Ok(self)
    }

    /// Forgets the case.
    pub(crate) fn close(&self, txn: &mut dyn Txn) -> Result<(), OpError> {
        delete(txn, self)
    }

    /// Whether nobody can approve it any more.
    pub(crate) fn is_over(&self, now: UnixMillis) -> bool {
        self.refused.is_some() || now >= self.expires_at
    }

    /// The body with those of its signatures that hold by this manifest; `None` where none does. An approver who left the
    /// manifest has not approved.
    pub(crate) fn approved(&self, manifest: &Manifest) -> Option<SignedApproval> {
        let document = |signatures| SignedDocument { body: self.body.clone().into_bytes(), signatures };
        let holds = |signature: &&String| {
            SignedApproval::verify(&document(vec![(*signature).clone()]), manifest).is_ok()
        };
        let signatures: Vec<String> = self.signatures.iter().filter(holds).cloned().collect();
        SignedApproval::verify(&document(signatures), manifest).ok()
    }

    /// The approval, where it is for exactly this now.
    pub(crate) fn approved_for(
        &self,
        manifest: &Manifest,
        subject: &Subject<'_>,
        now: UnixMillis,
    ) -> Option<SignedApproval> {
        let approved = self.approved(manifest).filter(|_| self.refused.is_none());
        approved.filter(|approved| approved.covers(subject, now).is_ok())
    }

    /// Whether approvers were asked about this very subject.
    pub(crate) fn is_about(&self, subject: &Subject<'_>) -> bool {
        let Ok(asked) = ApprovalRequest::parse(self.body.as_bytes()) else { return false };
        asked.differs(subject).is_none()
    }
}
