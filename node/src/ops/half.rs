//! This node's half of a signature: made in a session, and kept until its guard has been asked again.

use std::sync::Arc;

use quorate_intent::{DecodedDigest, RawDigest, SigningDigest};
use quorate_mpc::{
    MpcError, PartialSignature, Party, Prehashed, Presignature, SigningShare, generate_prehashed,
    generate_presignature,
};
use quorate_types::{PartyIndex, Role, Signature, WalletId};

use crate::guard::Request;
use crate::maths::Maths;
use crate::node::Node;
use crate::sessions::{Joined, SessionError};

/// A half that has not left.
pub(super) enum Half {
    /// Over a payload that was read.
    Read(Box<Presignature>, SigningDigest),
    /// Over the raw digest it was made for.
    Raw(Box<Prehashed>),
}

impl Half {
    /// Makes it in an agreed session. The session's terms, which every node signed before, hold the payload.
    ///
    /// # Errors
    /// [`SessionError`].
    pub(super) async fn make(
        node: &Arc<Node>,
        request: &Request,
        joined: &mut Joined<'_>,
    ) -> Result<Self, SessionError> {
        let wallet = &request.wallet.wallet;
        match &request.decoded.digest {
            DecodedDigest::Read(digest) => {
                let presignature = presign(node, wallet, (joined, &node.maths)).await?;
                Ok(Self::Read(Box::new(presignature), digest.clone()))
            }
            DecodedDigest::Raw(digest) => {
                Ok(Self::Raw(Box::new(prehash(node, wallet, (joined, *digest)).await?)))
            }
        }
    }

    /// This node's partial signature.
    pub(super) fn issue(self) -> PartialSignature {
        match self {
            Self::Read(presignature, digest) => presignature.issue(&digest).0,
            Self::Raw(prehashed) => prehashed.issue(),
        }
    }

    /// Checks the peer's, where that can be done before this node's is used. Over a raw digest it is done by
    /// [`Self::combine`].
    ///
    /// # Errors
    /// [`MpcError::Peer`] naming the party.
    pub(super) fn check(&self, from: PartyIndex, theirs: &PartialSignature) -> Result<(), MpcError> {
        match self {
            Self::Read(presignature, digest) => presignature.check(from, theirs, digest),
            Self::Raw(_) => Ok(()),
        }
    }

    /// The service node's last step: completes the signature with the agent node's, and verifies it.
    ///
    /// # Errors
    /// [`MpcError::Peer`] naming the party whose contribution is wrong.
    pub(super) async fn combine(
        self,
        (from, theirs): (PartyIndex, PartialSignature),
    ) -> Result<Signature, MpcError> {
        match self {
            Self::Read(presignature, digest) => {
                let (own, combiner) = presignature.issue(&digest);
                combiner.combine(&[(from, theirs), (Role::Service.index(), own)])
            }
            Self::Raw(prehashed) => prehashed.combine((from, theirs)).await,
        }
    }
}

/// Runs presigning in an agreed session, on these threads.
///
/// # Errors
/// [`SessionError`].
pub(super) async fn presign(
    node: &Arc<Node>,
    wallet: &WalletId,
    (joined, maths): (&mut Joined<'_>, &Maths),
) -> Result<Presignature, SessionError> {
    let share = signing_share(node, wallet).await?;
    let (eid, me) = (joined.eid(), node.role.index());
    let participants = joined.indices();
    let protocol = |wire| async move {
        generate_presignature(Party { eid: &eid, me, participants: &participants }, &share, wire).await
    };
    joined.run(maths, protocol).await
}

/// Has a presignature without a protocol, with nonces that anybody can compute. In dev clusters only: a configuration that asks
/// for it is refused in others, and a build that could not make it refuses dev clusters.
///
/// # Errors
/// [`SessionError`].
#[cfg(feature = "dev")]
pub(super) async fn deal(
    node: &Arc<Node>,
    wallet: &WalletId,
    joined: &Joined<'_>,
) -> Result<Presignature, SessionError> {
    let share = signing_share(node, wallet).await?;
    let (eid, me, participants) = (joined.eid(), node.role.index(), joined.indices());
    Ok(quorate_mpc::deal_presignature(&Party { eid: &eid, me, participants: &participants }, &share)?)
}

#[cfg(not(feature = "dev"))]
pub(super) async fn deal(_: &Arc<Node>, _: &WalletId, _: &Joined<'_>) -> Result<Presignature, SessionError> {
    Err(SessionError::Bug("this build deals no presignatures".to_owned()))
}

async fn prehash(
    node: &Arc<Node>,
    wallet: &WalletId,
    (joined, digest): (&mut Joined<'_>, RawDigest),
) -> Result<Prehashed, SessionError> {
    let share = signing_share(node, wallet).await?;
    let (eid, me) = (joined.eid(), node.role.index());
    let participants = joined.indices();
    let protocol = |wire| async move {
        generate_prehashed(Party { eid: &eid, me, participants: &participants }, share, digest, wire).await
    };
    joined.run(&node.maths, protocol).await
}

async fn signing_share(node: &Arc<Node>, wallet: &WalletId) -> Result<Arc<SigningShare>, SessionError> {
    let (node, wallet) = (Arc::clone(node), wallet.clone());
    let open = move || node.vault.signing_share(&wallet);
    Ok(tokio::task::spawn_blocking(open).await.map_err(|error| SessionError::Bug(error.to_string()))??)
}
