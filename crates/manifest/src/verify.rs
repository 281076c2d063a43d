//! Whether enough people signed exactly these bytes.

use ssh_key::{PublicKey, SshSig};

use crate::armor::BEGIN;
use crate::{DocumentError, Namespace, Person, PersonKey, SignatureFault, SignedDocument};

/// FIDO's user presence flag: someone touched the security key.
const USER_PRESENT: u8 = 1;

/// A security key's signature ends in one byte of flags and four of counter.
const FLAGS_FROM_END: usize = 5;

/// Checks every signature of `document` and that at least `quorum` different keys of `signers` made them. The answer
/// is the names of those who signed, in the order of their signatures.
///
/// Strict: one signature that is malformed, by a stranger, of another namespace or over other bytes refuses the whole
/// document, also where the others would do. Whoever assembled it is mistaken or hostile, and either way should hear.
///
/// # Errors
/// [`DocumentError`], naming the signature by its index.
pub fn verify(
    document: &SignedDocument,
    namespace: Namespace,
    signers: &[Person],
    quorum: usize,
) -> Result<Vec<String>, DocumentError> {
    if quorum == 0 {
        return Err(DocumentError::ZeroQuorum);
    }
    document.check_bounds()?;
    let mut signed: Vec<&Person> = Vec::new();
    for (index, armored) in document.signatures.iter().enumerate() {
        let at = |fault| DocumentError::Signature { index, fault };
        let person = signer(armored, &document.body, namespace, signers).map_err(at)?;
        if signed.iter().any(|other| other.key.point() == person.key.point()) {
            return Err(at(SignatureFault::Repeated { name: person.name.clone() }));
        }
        signed.push(person);
    }
    if signed.len() < quorum {
        return Err(DocumentError::Quorum { got: signed.len(), need: quorum });
    }
    Ok(signed.into_iter().map(|person| person.name.clone()).collect())
}

fn signer<'a>(
    armored: &str,
    body: &[u8],
    namespace: Namespace,
    signers: &'a [Person],
) -> Result<&'a Person, SignatureFault> {
    let armored = armored.trim();
    // The PEM reader skips lines before the first boundary. A document's signature has one spelling, and no words beside it.
    if !armored.starts_with(BEGIN) {
        return Err(SignatureFault::Malformed);
    }
    let signature = SshSig::from_pem(armored).map_err(|_| SignatureFault::Malformed)?;
    if signature.version() != SshSig::VERSION || !signature.reserved().is_empty() {
        return Err(SignatureFault::Malformed);
    }
    if signature.namespace() != namespace.as_str() {
        return Err(SignatureFault::Namespace { expected: namespace });
    }
    let key = PersonKey::from_data(signature.public_key().clone())?;
    let person = signers
        .iter()
        .find(|person| person.key == key)
        .ok_or_else(|| SignatureFault::UnknownSigner { fingerprint: key.fingerprint() })?;
    // The library checks that key and namespace are the signature's own, and hashes the body as it says (SHA-256 or
    // SHA-512, which the signed data names).
    let mismatch = || SignatureFault::Mismatch { name: person.name.clone() };
    if signature.algorithm() != key.data().algorithm() {
        return Err(mismatch());
    }
    PublicKey::from(key.data().clone())
        .verify(namespace.as_str(), body, &signature)
        .map_err(|_| mismatch())?;
    if key.is_security_key() && !touched(signature.signature_bytes()) {
        return Err(SignatureFault::NotTouched { name: person.name.clone() });
    }
    Ok(person)
}

fn touched(signature: &[u8]) -> bool {
    let flags = signature.len().checked_sub(FLAGS_FROM_END).and_then(|at| signature.get(at));
    flags.is_some_and(|flags| flags & USER_PRESENT != 0)
}
