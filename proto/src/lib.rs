//! The gRPC services of Quorate, their generated code, and the way between messages and domain types.

mod convert;
mod failure;

pub use convert::{
    FieldError, agent_from_pb, agent_to_pb, payload_from_pb, payload_to_pb, required, wallet_terms_from_pb,
};
pub use failure::{failure_of, status_with};

/// Generated from `proto/quorate/v1/*.proto`; `codegen/tests/drift.rs` keeps it so.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::too_many_lines)]
#[allow(clippy::unwrap_used, clippy::large_futures)]
pub mod v1 {
    include!("gen/quorate.v1.rs");
}

/// The encoded file descriptors, for server reflection (in dev only).
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/quorate.v1.bin");
