//! Calls to the coordinator. Every failure comes back as a refusal that says what to do.

use std::sync::Arc;
use std::time::Duration;

use quorate_manifest::Manifest;
use quorate_proto::failure_of;
use quorate_proto::v1;
use quorate_proto::v1::alert_service_client::AlertServiceClient;
use quorate_proto::v1::approval_service_client::ApprovalServiceClient;
use quorate_proto::v1::audit_service_client::AuditServiceClient;
use quorate_proto::v1::ceremony_service_client::CeremonyServiceClient;
use quorate_proto::v1::cluster_service_client::ClusterServiceClient;
use quorate_proto::v1::failure::Kind as FailureKind;
use quorate_proto::v1::freeze_service_client::FreezeServiceClient;
use quorate_proto::v1::policy_service_client::PolicyServiceClient;
use quorate_proto::v1::signing_service_client::SigningServiceClient;
use quorate_proto::v1::wallet_service_client::WalletServiceClient;
use quorate_transport::{Expect, Identity, PeerRole, connect};
use quorate_types::ClusterId;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::profile::Profile;
use crate::refusal::{Kind, OrRefuse, Refusal};
use crate::views::WalletView;
use crate::{attest, files};

/// Longest wait for the coordinator to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest wait for an ordinary answer.
pub(crate) const ORDINARY: Duration = Duration::from_secs(15);

/// Longest wait for key generation or a signature: a little more than the coordinator's own deadline, so that its
/// answer arrives first and names the node that is missing.
pub(crate) const SESSION: Duration = Duration::from_secs(45);

/// Longest wait for auxiliary information, primes included.
pub(crate) const ENROL: Duration = Duration::from_secs(900);

/// A connection to a coordinator.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
    manifest: Option<Arc<Manifest>>,
}

impl Client {
    /// Connects with the profile's certificate, and accepts only the coordinator it names.
    pub(crate) async fn connect(profile: &Profile) -> Result<Self, Refusal> {
        let manifest = match &profile.manifest {
            Some(path) => Some(Arc::new(Manifest::parse(&files::read(path)?).or_invalid(path.display())?)),
            None => None,
        };
        let identity = Identity::load(&profile.tls.files())
            .or_invalid("the profile's certificate")
            .map_err(|refusal| refusal.field("tls"))?;
        let expect = Expect { role: PeerRole::Coordinator, id: Some(profile.coordinator_id.clone()) };
        let channel = connect(&profile.coordinator, identity, expect, CONNECT).await.map_err(|error| {
            Refusal::unavailable(format!("the coordinator at {}: {error}", profile.coordinator))
                .next("`quorate dev status` tells what is running; `quorate dev up` starts a dev cluster")
        })?;
        Ok(Self { channel, manifest })
    }

    pub(crate) fn wallets(&self) -> WalletServiceClient<Channel> {
        WalletServiceClient::new(self.channel.clone())
    }

    pub(crate) fn signing(&self) -> SigningServiceClient<Channel> {
        SigningServiceClient::new(self.channel.clone())
    }

    pub(crate) fn cluster(&self) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channel.clone())
    }

    pub(crate) fn policies(&self) -> PolicyServiceClient<Channel> {
        PolicyServiceClient::new(self.channel.clone())
    }

    pub(crate) fn freezes(&self) -> FreezeServiceClient<Channel> {
        FreezeServiceClient::new(self.channel.clone())
    }

    pub(crate) fn ceremonies(&self) -> CeremonyServiceClient<Channel> {
        CeremonyServiceClient::new(self.channel.clone())
    }

    pub(crate) fn approvals(&self) -> ApprovalServiceClient<Channel> {
        ApprovalServiceClient::new(self.channel.clone())
    }

    pub(crate) fn alerts(&self) -> AlertServiceClient<Channel> {
        AlertServiceClient::new(self.channel.clone())
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone())
    }

    /// The cluster's name, from the profile's manifest: nothing is signed for a name the coordinator tells.
    pub(crate) fn cluster_id(&self) -> Result<&ClusterId, Refusal> {
        let manifest = self.manifest.as_deref().ok_or_else(|| {
            Refusal::invalid("the profile names no manifest, and the agent signs for the cluster named there")
                .field("manifest")
        })?;
        Ok(manifest.cluster())
    }

    /// The profile's manifest, for what is believed by its keys alone.
    pub(crate) fn manifest(&self) -> Result<&Manifest, Refusal> {
        self.manifest.as_deref().ok_or_else(|| {
            Refusal::invalid("the profile names no manifest, and nothing is believed by other keys")
                .field("manifest")
        })
    }

    /// A wallet by name.
    pub(crate) async fn wallet(&self, wallet: &str) -> Result<WalletView, Refusal> {
        let request = within(v1::GetWalletRequest { wallet: wallet.to_owned() }, ORDINARY);
        self.checked(self.wallets().get_wallet(request).await.map_err(refused)?.into_inner())
    }

    /// A wallet as the coordinator tells of it, checked against the profile's manifest where it names one. A wallet in
    /// the making has no attestations yet, and no address anybody could use.
    pub(crate) fn checked(&self, wallet: v1::Wallet) -> Result<WalletView, Refusal> {
        let active = wallet.state() == v1::wallet::State::Active;
        let manifest = self.manifest.as_ref().filter(|_| active);
        if let Some(manifest) = manifest {
            attest::check(manifest, &wallet)?;
        }
        let view = WalletView { attestations_checked: manifest.is_some(), ..wallet.into() };
        // Of a wallet that says it is in the making nothing is attested, so nothing of it is anybody's to use.
        let blank = String::new;
        Ok(if active {
            view
        } else {
            WalletView {
                address: blank(),
                public_key: blank(),
                agent_key: blank(),
                loosening_delay_s: None,
                raw_digest: false,
                ..view
            }
        })
    }
}

/// A request that ends after `timeout`, here and at the coordinator.
pub(crate) fn within<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

/// A status as a refusal: the failure in its details where it carries one, its code otherwise.
pub(crate) fn refused(status: Status) -> Refusal {
    match failure_of(&status) {
        Some(failure) => from_failure(failure),
        None => from_code(&status),
    }
}

/// What to do where the certificate's role is not enough.
const OTHER_ROLE: &str =
    "use another role's profile with --config (operator provisions, gateway asks for signatures)";

/// A failure the coordinator told, as a refusal.
pub(crate) fn from_failure(failure: v1::Failure) -> Refusal {
    let (kind, next) = match failure.kind() {
        FailureKind::Invalid => (Kind::Invalid, None),
        FailureKind::Conflict => (Kind::Conflict, None),
        FailureKind::NotFound => (Kind::NotFound, None),
        FailureKind::Unavailable => {
            (Kind::Unavailable, Some("`quorate node list` tells who is attached; then try again"))
        }
        FailureKind::Timeout => (Kind::Timeout, Some("ask again: what was done is not done twice")),
        FailureKind::Forbidden => (Kind::Forbidden, Some(OTHER_ROLE)),
        FailureKind::PeerFault => (Kind::PeerFault, Some("read the named nodes' logs before trying again")),
        FailureKind::Internal | FailureKind::Unspecified => {
            (Kind::Internal, Some("read the coordinator's log"))
        }
    };
    Refusal {
        kind,
        field: (!failure.field.is_empty()).then_some(failure.field),
        reason: failure.reason,
        nodes: failure.nodes,
        next: next.map(str::to_owned),
    }
}

/// Whether the connection ended before an answer came: of that the library says no more than that it does not know.
fn broke_off(status: &Status) -> bool {
    std::error::Error::source(status).is_some_and(|cause| cause.is::<tonic::transport::Error>())
}

fn from_code(status: &Status) -> Refusal {
    let words = status.message();
    match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => Refusal::new(
            Kind::Forbidden,
            format!("the coordinator does not let this certificate do that: {words}"),
        )
        .next(OTHER_ROLE),
        code if code == Code::Unavailable || broke_off(status) => {
            Refusal::unavailable(format!("the coordinator went away: {words}"))
                .next("`quorate dev status` tells what is running")
        }
        Code::DeadlineExceeded | Code::Cancelled => {
            Refusal::new(Kind::Timeout, format!("no answer in time: {words}"))
                .next("`quorate node list` tells who is attached; then try again")
        }
        Code::InvalidArgument => Refusal::invalid(words),
        Code::NotFound => Refusal::not_found(words),
        Code::AlreadyExists | Code::FailedPrecondition => Refusal::conflict(words),
        code => Refusal::internal(format!("the coordinator answered {code:?}: {words}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_proto::status_with;

    fn failure(kind: FailureKind) -> v1::Failure {
        v1::Failure {
            kind: kind.into(),
            field: "wallet".to_owned(),
            reason: "why".to_owned(),
            nodes: vec!["agent-1".to_owned()],
        }
    }

    #[test]
    fn each_failure_has_the_exit_code_of_its_kind() {
        for (kind, code) in [
            (FailureKind::Invalid, 4),
            (FailureKind::Conflict, 4),
            (FailureKind::NotFound, 4),
            (FailureKind::Unavailable, 5),
            (FailureKind::Forbidden, 4),
            (FailureKind::Timeout, 5),
            (FailureKind::PeerFault, 70),
            (FailureKind::Internal, 70),
        ] {
            let refusal = refused(status_with(&failure(kind)));
            assert_eq!(refusal.kind.exit_code(), code, "{kind:?}");
            assert!(
                refusal.words().starts_with("error: wallet: why\n nodes: agent-1"),
                "{}",
                refusal.words()
            );
        }
    }

    #[test]
    fn a_status_without_details_is_told_by_its_code() {
        assert_eq!(refused(Status::permission_denied("x")).kind, Kind::Forbidden);
        assert_eq!(refused(Status::unavailable("x")).kind.exit_code(), 5);
        assert_eq!(refused(Status::data_loss("x")).kind.exit_code(), 70);
    }
}
