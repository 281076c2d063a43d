//! A person's yes to one signing request: what is asked of approvers, and the signatures that answer it. Pure.
//!
//! The request is YAML that people can read, and names everything that makes it one request: wallet, payload, the
//! caller's key for it, what it does in words, the policy that asks, a nonce and an expiry. Approvers sign its exact bytes
//! with the ssh keys of the manifest (namespace `approval@quorate`). Coordinator and nodes each check signatures and
//! fields for themselves; how many signatures are enough is the policy's to say.

mod error;
mod request;
mod signed;

pub use error::ApprovalError;
pub use request::{ApprovalRequest, FORMAT, MAX_APPROVAL_MS, Nonce};
pub use signed::{SignedApproval, Subject};
