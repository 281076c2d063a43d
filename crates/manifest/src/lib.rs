//! Documents that people sign, and the manifest every other document is checked against. Pure.
//!
//! A [`SignedDocument`] is a body and SSH signatures over exactly its bytes (SSHSIG, as `ssh-keygen -Y sign` makes
//! them), one [`Namespace`] per kind of document, so that an approval never passes for a policy. [`verify`] counts
//! keys, not signatures, and refuses the whole document for one signature that is not right.
//!
//! The [`Manifest`] says who a cluster is: its nodes and their keys, groups, operators, approvers and the recipients of
//! recovery shares. A node pins one at enrolment ([`Pinned::enrol`]) and from then on accepts only later versions
//! signed by the operators of the one it has ([`Pinned::advance`]). What is pinned for life does not change even then:
//! a node's key and role, a group's members, the cluster.

mod advance;
mod armor;
mod document;
mod document_error;
mod draft;
mod error;
mod group;
mod manifest;
mod people;
mod person;
mod pinned;
mod recovery;
mod sign;
mod validate;
mod verify;
mod yaml;

pub use armor::{MAX_SIGNATURE_FILE_BYTES, split_signatures};
pub use document::{
    MAX_BODY_BYTES, MAX_LEAP, MAX_SIGNATURE_BYTES, MAX_SIGNATURES, Namespace, SignedDocument,
};
pub use document_error::{DocumentError, SignatureFault};
pub use draft::{CoordinatorDraft, GroupDraft, ManifestDraft, NodeDraft, PersonDraft, QuorumDraft};
pub use error::ManifestError;
pub use group::Group;
pub use manifest::{FORMAT, Manifest, NodeEntry};
pub use person::{Person, PersonKey, PersonKeyError};
pub use pinned::Pinned;
pub use sign::sign;
pub use verify::verify;
pub use yaml::read_yaml;
