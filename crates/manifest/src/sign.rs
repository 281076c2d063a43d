//! Signing a document with a key at hand. Keys in an agent or a token sign with `ssh-keygen -Y sign` instead.

use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::{DocumentError, MAX_BODY_BYTES, Namespace, PersonKey};

/// Signs `body` as a document of one kind: what `ssh-keygen -Y sign -n <namespace>` answers.
///
/// # Errors
/// [`DocumentError`] where the body is empty or too large, or the key is locked, in hardware or of a kind that
/// [`PersonKey`] refuses.
pub fn sign(body: &[u8], namespace: Namespace, key: &PrivateKey) -> Result<String, DocumentError> {
    let len = body.len();
    if len == 0 || len > MAX_BODY_BYTES {
        return Err(DocumentError::BodySize { len });
    }
    if key.is_encrypted() {
        return Err(DocumentError::KeyLocked);
    }
    let person = PersonKey::try_from(key.public_key())
        .map_err(|_| DocumentError::Key("expected ssh-ed25519 or ecdsa-sha2-nistp256"))?;
    if person.is_security_key() {
        return Err(DocumentError::Key("a security key signs with ssh-keygen -Y sign"));
    }
    key.sign(namespace.as_str(), HashAlg::Sha512, body)
        .and_then(|signature| signature.to_pem(LineEnding::LF))
        .map_err(|_| DocumentError::Key("the key does not sign"))
}
