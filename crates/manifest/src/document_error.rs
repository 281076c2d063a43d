//! Why a document's signatures were refused.

use crate::{MAX_BODY_BYTES, MAX_SIGNATURE_BYTES, MAX_SIGNATURES, Namespace};

/// Why a document was not accepted, or could not be signed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DocumentError {
    // Whoever sent the document.
    /// No body, or one beyond [`MAX_BODY_BYTES`].
    #[error("body: must be 1 to {MAX_BODY_BYTES} bytes, got {len}")]
    BodySize {
        /// its size in bytes
        len: usize,
    },
    /// More than [`MAX_SIGNATURES`].
    #[error("signatures: at most {MAX_SIGNATURES} are accepted, got {count}")]
    TooManySignatures {
        /// how many there are
        count: usize,
    },
    /// A signature beyond [`MAX_SIGNATURE_BYTES`].
    #[error("signatures[{index}]: at most {MAX_SIGNATURE_BYTES} bytes are accepted, got {len}")]
    SignatureSize {
        /// which one, from 0
        index: usize,
        /// its size in bytes
        len: usize,
    },
    /// One signature is not right, and so the document is refused whatever the others say.
    #[error("signatures[{index}]: {fault}")]
    Signature {
        /// which one, from 0
        index: usize,
        /// what is wrong with it
        fault: SignatureFault,
    },
    /// Every signature is right, but there are not enough.
    #[error("signatures: {need} signers must agree, got {got}")]
    Quorum {
        /// distinct keys that signed
        got: usize,
        /// distinct keys needed
        need: usize,
    },

    // Whoever signs.
    /// The private key is protected by a passphrase and was not unlocked.
    #[error("signing key: it is locked by a passphrase")]
    KeyLocked,
    /// The private key cannot sign documents here.
    #[error("signing key: {0}")]
    Key(&'static str),

    // Whoever calls.
    /// A quorum of nobody would accept anything.
    #[error("quorum: must be at least 1")]
    ZeroQuorum,
}

/// What is wrong with one signature.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureFault {
    /// Not an armored SSHSIG of version 1.
    #[error("not an SSH signature (expected the output of ssh-keygen -Y sign)")]
    Malformed,
    /// Made for another kind of document.
    #[error("made for another namespace than {expected}")]
    Namespace {
        /// the namespace it should have
        expected: Namespace,
    },
    /// By a key of a kind nobody here can have.
    #[error("key type not accepted: {0}")]
    KeyType(#[from] crate::PersonKeyError),
    /// By a key that is not on the list of signers.
    #[error("by a key that is not among the signers ({fingerprint})")]
    UnknownSigner {
        /// `SHA256:…`, as `ssh-keygen -l` prints it
        fingerprint: String,
    },
    /// By a security key nobody touched.
    #[error("by {name}'s security key without a touch")]
    NotTouched {
        /// whose key
        name: String,
    },
    /// Not over these bytes, or not by that key.
    #[error("does not verify under {name}'s key: the body was changed, or the signature was")]
    Mismatch {
        /// whose key
        name: String,
    },
    /// The same key signed before. A signer counts once.
    #[error("{name} signed already")]
    Repeated {
        /// whose key
        name: String,
    },
}
