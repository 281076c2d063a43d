//! Documents and manifests as their readers see them: what OpenSSH makes, and everything that is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod armor;
mod documents;
mod drafts;
mod keys;
mod parsing;
mod pinning;
mod properties;
mod rig;
mod security_keys;
