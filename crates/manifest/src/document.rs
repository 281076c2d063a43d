//! A body and the signatures over it.

use std::fmt;

use quorate_types::{B256, Transcript};
use serde::{Deserialize, Serialize};

use crate::DocumentError;

/// Largest body accepted, in bytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// Most signatures accepted on one document. It bounds every quorum too.
pub const MAX_SIGNATURES: usize = 16;

/// Largest armored signature accepted, in bytes.
pub const MAX_SIGNATURE_BYTES: usize = 16 * 1024;

/// How far a document's number (a manifest's or policy's version, an order's sequence) may lie beyond the last one seen: more
/// than anybody misses, and than the time in milliseconds. Without a bound whoever can sign once could take the last number
/// there is, and nothing could ever come after it.
pub const MAX_LEAP: u64 = 1 << 42;

/// What a document is for. A signature made for one kind is none for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// A cluster's manifest.
    Manifest,
    /// A wallet's policy.
    Policy,
    /// A person's yes to one signing request.
    Approval,
    /// An order to stop signing.
    Freeze,
    /// Leave for a node that was restored from a backup to sign again.
    Readmission,
    /// Where a recovery may send the money.
    Sweep,
    /// Where the transcript of an offline ceremony ends.
    Ceremony,
    /// That an authorization ended unused.
    Lapse,
}

impl Namespace {
    /// All kinds.
    pub const ALL: [Namespace; 8] = [
        Namespace::Manifest,
        Namespace::Policy,
        Namespace::Approval,
        Namespace::Freeze,
        Namespace::Readmission,
        Namespace::Sweep,
        Namespace::Ceremony,
        Namespace::Lapse,
    ];

    /// The SSHSIG namespace: what `ssh-keygen -Y sign -n` is told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Namespace::Manifest => "manifest@quorate",
            Namespace::Policy => "policy@quorate",
            Namespace::Approval => "approval@quorate",
            Namespace::Freeze => "freeze@quorate",
            Namespace::Readmission => "readmission@quorate",
            Namespace::Sweep => "sweep@quorate",
            Namespace::Ceremony => "ceremony@quorate",
            Namespace::Lapse => "lapse@quorate",
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A document as it travels and is stored. Nothing about it is known to be true before [`verify`](crate::verify).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedDocument {
    /// What was signed, byte for byte.
    pub body: Vec<u8>,
    /// Armored SSH signatures (`-----BEGIN SSH SIGNATURE-----`), in any order, one per signer.
    pub signatures: Vec<String>,
}

impl SignedDocument {
    /// Names this body as a document of one kind, for opens, records and answers: SHA-256 over kind and body. The
    /// signatures are left out, so a document with one more signature is still the same document.
    pub fn hash(&self, namespace: Namespace) -> B256 {
        Transcript::new("quorate/document/v1").field(namespace.as_str().as_bytes()).field(&self.body).finish()
    }

    pub(crate) fn check_bounds(&self) -> Result<(), DocumentError> {
        let len = self.body.len();
        if len == 0 || len > MAX_BODY_BYTES {
            return Err(DocumentError::BodySize { len });
        }
        let count = self.signatures.len();
        if count > MAX_SIGNATURES {
            return Err(DocumentError::TooManySignatures { count });
        }
        for (index, signature) in self.signatures.iter().enumerate() {
            let len = signature.len();
            if len > MAX_SIGNATURE_BYTES {
                return Err(DocumentError::SignatureSize { index, len });
            }
        }
        Ok(())
    }
}
