//! Errors to the wire. The one place, and exhaustive: a new error does not compile until it has its kind.

use quorate_proto::{status_with, v1};
use quorate_types::NodeId;
use tonic::Status;
use v1::failure::Kind;

use crate::error::{Internal, OpError};

/// The status of a caller whose role may not call this.
pub(crate) fn forbidden(words: &str) -> Status {
    status_with(&told(Kind::Forbidden, "role", words, &[]))
}

/// The status a caller gets.
pub(crate) fn status(error: &OpError) -> Status {
    status_with(&failure(error))
}

/// The failure in the status's details, and in a batch's answer.
pub(crate) fn failure(error: &OpError) -> v1::Failure {
    let failure = failure_of(error);
    tracing::info!(kind = error.kind(), field = failure.field, reason = failure.reason, "refused or failed");
    failure
}

fn failure_of(error: &OpError) -> v1::Failure {
    match error {
        OpError::Invalid { field, reason } => told(Kind::Invalid, field, reason, &[]),
        OpError::Conflict { field, reason, nodes } => told(Kind::Conflict, field, reason, nodes),
        OpError::NotFound { what, .. } => told(Kind::NotFound, what, &error.to_string(), &[]),
        OpError::Forbidden(_) => told(Kind::Forbidden, "", &error.to_string(), &[]),
        OpError::Unavailable { reason, nodes } => told(Kind::Unavailable, "", reason, nodes),
        OpError::Timeout { reason, nodes } => told(Kind::Timeout, "", reason, nodes),
        OpError::PeerFault { reason, nodes } => told(Kind::PeerFault, "", reason, nodes),
        OpError::Internal(internal) => {
            // The cause names files and tables: it goes to the log and not to the caller.
            tracing::error!(cause = %internal, "internal error");
            match internal.as_ref() {
                // Whose log to look into is no secret, and the only thing that helps.
                Internal::NodeDefect { node, .. } => {
                    let reason = format!("node {node} reports an internal error, see its log");
                    told(Kind::Internal, "", &reason, std::slice::from_ref(node))
                }
                _ => told(Kind::Internal, "", "internal error, see the coordinator's log", &[]),
            }
        }
    }
}

fn told(kind: Kind, field: &str, reason: &str, nodes: &[NodeId]) -> v1::Failure {
    v1::Failure {
        kind: kind.into(),
        field: field.to_owned(),
        reason: reason.to_owned(),
        nodes: nodes.iter().map(NodeId::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_store::StoreError;
    use tonic::Code;

    fn node() -> Vec<NodeId> {
        vec!["agent-1".parse().unwrap()]
    }

    #[test]
    fn every_error_has_its_code_kind_field_and_nodes() {
        let reason = || "why".to_owned();
        let table = [
            (OpError::invalid("wallet", "why"), Code::InvalidArgument, Kind::Invalid, "wallet", 0),
            (
                OpError::Conflict { field: "policy", reason: reason(), nodes: node() },
                Code::FailedPrecondition,
                Kind::Conflict,
                "policy",
                1,
            ),
            (OpError::not_found("wallet", "w"), Code::NotFound, Kind::NotFound, "wallet", 0),
            (
                OpError::Unavailable { reason: reason(), nodes: node() },
                Code::Unavailable,
                Kind::Unavailable,
                "",
                1,
            ),
            (
                OpError::Timeout { reason: reason(), nodes: node() },
                Code::DeadlineExceeded,
                Kind::Timeout,
                "",
                1,
            ),
            (OpError::PeerFault { reason: reason(), nodes: node() }, Code::Aborted, Kind::PeerFault, "", 1),
            (OpError::Forbidden("x".to_owned()), Code::PermissionDenied, Kind::Forbidden, "", 0),
            (OpError::defect("why"), Code::Internal, Kind::Internal, "", 0),
            (
                Internal::NodeDefect { node: node().remove(0), reason: reason() }.into(),
                Code::Internal,
                Kind::Internal,
                "",
                1,
            ),
        ];
        for (error, code, kind, field, nodes) in table {
            let status = status(&error);
            let failure = quorate_proto::failure_of(&status).unwrap();
            assert_eq!(status.code(), code, "{error}");
            assert_eq!((failure.kind(), failure.field.as_str()), (kind, field), "{error}");
            assert_eq!(failure.nodes.len(), nodes, "{error}");
        }
    }

    #[test]
    fn causes_of_internal_errors_stay_inside() {
        let error = OpError::from(StoreError::Corrupt("canary".to_owned()));
        let status = status(&error);
        assert!(!format!("{status:?}").contains("canary"));
        assert!(!error.is_fatal());
        assert!(OpError::from(Internal::Store(StoreError::Poisoned)).is_fatal());
    }
}
