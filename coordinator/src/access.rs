//! Who may call what. Anything not here is refused to everyone.

use quorate_transport::PeerRole::{self, Approver, Auditor, Coordinator, Gateway, Node, Operator};
use quorate_transport::{Grant, SpiffeId};
use tonic::Status;

const ANYONE: &[PeerRole] = &[Gateway, Operator, Approver, Auditor, Node, Coordinator];
const READERS: &[PeerRole] = &[Operator, Approver, Auditor];
const WALLET_READERS: &[PeerRole] = &[Gateway, Operator, Approver, Auditor];

/// The roles that may ask for a signature; the gate checks them again.
pub(crate) const SIGNERS: &[PeerRole] = &[Gateway, Operator];

/// The role table, method by method.
pub(crate) static GRANTS: &[Grant] = &[
    Grant("/quorate.v1.SigningService/Sign", SIGNERS),
    Grant("/quorate.v1.SigningService/SignBatch", SIGNERS),
    Grant("/quorate.v1.SigningService/Evaluate", SIGNERS),
    Grant("/quorate.v1.SigningService/GetSigning", WALLET_READERS),
    Grant("/quorate.v1.SigningService/WatchSigning", WALLET_READERS),
    Grant("/quorate.v1.SigningService/RecordTransaction", SIGNERS),
    Grant("/quorate.v1.SigningService/ApplyLapse", &[Operator]),
    Grant("/quorate.v1.WalletService/CreateWallet", &[Operator]),
    Grant("/quorate.v1.WalletService/GetWallet", WALLET_READERS),
    Grant("/quorate.v1.WalletService/ListWallets", WALLET_READERS),
    Grant("/quorate.v1.PolicyService/ApplyPolicy", &[Operator]),
    Grant("/quorate.v1.PolicyService/GetPolicy", READERS),
    Grant("/quorate.v1.FreezeService/ApplyFreeze", &[Operator, Approver]),
    Grant("/quorate.v1.FreezeService/ListFreezes", READERS),
    Grant("/quorate.v1.CeremonyService/RecordDrill", &[Operator]),
    Grant("/quorate.v1.CeremonyService/RecordTranscript", &[Operator]),
    Grant("/quorate.v1.ApprovalService/ListApprovals", READERS),
    Grant("/quorate.v1.ApprovalService/GetApproval", READERS),
    Grant("/quorate.v1.ApprovalService/Approve", &[Operator, Approver]),
    Grant("/quorate.v1.ApprovalService/Refuse", &[Operator, Approver]),
    Grant("/quorate.v1.AuditService/Head", &[Operator, Auditor]),
    Grant("/quorate.v1.AuditService/List", &[Operator, Auditor]),
    Grant("/quorate.v1.AuditService/Checkpoint", &[Operator, Auditor]),
    Grant("/quorate.v1.AuditService/Prove", &[Operator, Auditor]),
    Grant("/quorate.v1.AuditService/WatchEvents", &[Operator, Auditor]),
    Grant("/quorate.v1.AlertService/ListDeadLetters", &[Operator, Auditor]),
    Grant("/quorate.v1.AlertService/RetryDeadLetters", &[Operator]),
    Grant("/quorate.v1.ClusterService/EnrolGroup", &[Operator]),
    Grant("/quorate.v1.ClusterService/ListNodes", READERS),
    Grant("/quorate.v1.ClusterService/ListGroups", READERS),
    Grant("/quorate.v1.ClusterService/ApplyManifest", &[Operator]),
    Grant("/quorate.v1.NodeRelay/Attach", &[Node]),
    Grant("/grpc.health.v1.Health/*", ANYONE),
    // Served only by development clusters.
    Grant("/grpc.reflection.v1.ServerReflection/*", ANYONE),
];

/// Who is calling: what the certificate of the connection says.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) SpiffeId);

impl Caller {
    /// The peer of a request.
    pub(crate) fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        quorate_transport::peer(request.extensions())
            .map(|peer| Self(peer.id.clone()))
            .ok_or_else(|| Status::unauthenticated("the connection has no identity"))
    }
}
