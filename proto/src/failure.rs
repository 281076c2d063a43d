//! Errors on the wire: a gRPC status whose details hold a [`v1::Failure`].

use prost::Message;
use tonic::{Code, Status};

use crate::v1;

/// A status that carries `failure` in its details, with the code of its kind.
pub fn status_with(failure: &v1::Failure) -> Status {
    let code = match failure.kind() {
        v1::failure::Kind::Invalid => Code::InvalidArgument,
        v1::failure::Kind::Conflict => Code::FailedPrecondition,
        v1::failure::Kind::NotFound => Code::NotFound,
        v1::failure::Kind::Unavailable => Code::Unavailable,
        v1::failure::Kind::Forbidden => Code::PermissionDenied,
        v1::failure::Kind::Timeout => Code::DeadlineExceeded,
        v1::failure::Kind::PeerFault => Code::Aborted,
        v1::failure::Kind::Internal | v1::failure::Kind::Unspecified => Code::Internal,
    };
    let words = if failure.field.is_empty() {
        failure.reason.clone()
    } else {
        format!("{}: {}", failure.field, failure.reason)
    };
    Status::with_details(code, words, failure.encode_to_vec().into())
}

/// The failure a status carries, where it came from Quorate.
pub fn failure_of(status: &Status) -> Option<v1::Failure> {
    if status.details().is_empty() {
        return None;
    }
    v1::Failure::decode(status.details()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_survives_the_status() {
        let failure = v1::Failure {
            kind: v1::failure::Kind::Unavailable.into(),
            reason: "waiting for a node".to_owned(),
            nodes: vec!["agent-1".to_owned()],
            ..Default::default()
        };
        let status = status_with(&failure);
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(failure_of(&status), Some(failure));
        assert_eq!(failure_of(&Status::internal("x")), None);
    }
}
