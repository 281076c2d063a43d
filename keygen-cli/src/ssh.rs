//! Documents signed by people, with the ssh keys they have.

use std::path::{Path, PathBuf};

use quorate_manifest::{Namespace, SignedDocument, split_signatures};
use ssh_key::{HashAlg, PrivateKey, PublicKey, SshSig};

use crate::cli::Globals;
use crate::dev::Layout;
use crate::files;
use crate::refusal::{OrRefuse, Refusal};

/// What signing a file did.
pub(crate) struct Signed {
    /// SHA-256 fingerprint of the key that signed.
    pub(crate) signer: String,
    /// Signatures now in the `.sig` file.
    pub(crate) count: usize,
    /// Signatures dropped because they are not over the present bytes.
    pub(crate) stale: usize,
}

/// The key to sign with: the one the user named, or the dev cluster's operator's.
pub(crate) fn signing_key(globals: &Globals, key: Option<&Path>) -> Result<PathBuf, Refusal> {
    if let Some(key) = key {
        return Ok(key.to_owned());
    }
    let layout = Layout::new(&globals.dir);
    if layout.exists() {
        Ok(layout.operator_key())
    } else {
        Err(Refusal::usage("--key FILE is missing: an operator's ssh private key"))
    }
}

/// Signs `file` and writes the armored signature to `<file>.sig`. Other people's signatures over the same bytes stay.
pub(crate) fn sign_file(file: &Path, namespace: Namespace, key: &Path) -> Result<Signed, Refusal> {
    let body = files::read(file)?;
    let private = read_key(key, file, namespace.as_str())?;
    let armored = quorate_manifest::sign(&body, namespace, &private).or_internal("signing")?;
    let beside = files::with_suffix(file, ".sig");
    let old = if beside.exists() { armors(&beside)? } else { Vec::new() };
    let (kept, stale) = still_good(old, namespace.as_str(), &body, private.public_key());
    let mut text = kept.join("");
    text.push_str(&armored);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    files::replace(&beside, text.as_bytes())?;
    let signer = private.fingerprint(HashAlg::Sha256).to_string();
    Ok(Signed { signer, count: kept.len() + 1, stale })
}

/// Signs bytes that are in no file.
pub(crate) fn sign_body(body: &[u8], namespace: Namespace, key: &Path) -> Result<String, Refusal> {
    let private = read_key(key, Path::new("FILE"), namespace.as_str())?;
    quorate_manifest::sign(body, namespace, &private).or_internal("signing")
}

fn read_key(key: &Path, file: &Path, namespace: &str) -> Result<PrivateKey, Refusal> {
    let private = PrivateKey::from_openssh(zeroize::Zeroizing::new(files::read(key)?)).map_err(|error| {
        Refusal::invalid(format!("{}: not an OpenSSH private key: {error}", key.display()))
    })?;
    if private.is_encrypted() {
        let next = format!(
            "ssh-keygen -Y sign -n {namespace} -f {} {} (works with ssh-agent and hardware tokens too, and writes the same {}.sig)",
            key.display(),
            file.display(),
            file.display(),
        );
        return Err(Refusal::invalid(format!("{}: the key has a passphrase", key.display()))
            .field("--key")
            .next(next));
    }
    Ok(private)
}

/// Reads a body and its signatures: those of `signature_files`, or of `<file>.sig` where none is named.
pub(crate) fn document(file: &Path, signature_files: &[PathBuf]) -> Result<SignedDocument, Refusal> {
    let body = files::read(file)?;
    let beside = [files::with_suffix(file, ".sig")];
    let mut signatures = Vec::new();
    for path in if signature_files.is_empty() { &beside } else { signature_files } {
        signatures.extend(armors(path).map_err(|refusal| {
            refusal.next(format!(
                "sign it first: `quorate policy sign {0}` or `quorate manifest sign --in {0}`",
                file.display()
            ))
        })?);
    }
    Ok(SignedDocument { body, signatures })
}

/// A signed document as a message.
pub(crate) fn to_pb(document: SignedDocument) -> quorate_proto::v1::SignedDocument {
    quorate_proto::v1::SignedDocument { body: document.body, signatures: document.signatures }
}

/// The armored signatures of a file.
pub(crate) fn armors(path: &Path) -> Result<Vec<String>, Refusal> {
    split_signatures(&files::read_text(path)?).or_invalid(path.display())
}

/// Those of `old` that are by others and over `body`, and how many are over other bytes.
fn still_good(old: Vec<String>, namespace: &str, body: &[u8], mine: &PublicKey) -> (Vec<String>, usize) {
    let mut stale = 0;
    let kept = old.into_iter().filter(|armored| {
        let Ok(signature) = SshSig::from_pem(armored) else {
            stale += 1;
            return false;
        };
        let by = PublicKey::from(signature.public_key().clone());
        if by.key_data() == mine.key_data() {
            return false;
        }
        let good = by.verify(namespace, body, &signature).is_ok();
        stale += usize::from(!good);
        good
    });
    (kept.collect(), stale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Mode;
    use rand_core::OsRng;
    use ssh_key::{Algorithm, LineEnding};

    fn key(dir: &Path, name: &str) -> std::path::PathBuf {
        let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        let path = dir.join(name);
        files::create(&path, key.to_openssh(LineEnding::LF).unwrap().as_bytes(), Mode::Secret).unwrap();
        path
    }

    #[test]
    fn a_second_person_adds_a_signature_and_an_edit_drops_both() {
        let dir = tempfile::tempdir().unwrap();
        let (alice, bob) = (key(dir.path(), "alice"), key(dir.path(), "bob"));
        let file = dir.path().join("p.yaml");
        files::create(&file, b"one", Mode::Public).unwrap();
        sign_file(&file, Namespace::Policy, &alice).unwrap();
        let again = sign_file(&file, Namespace::Policy, &alice).unwrap();
        assert_eq!((again.count, again.stale), (1, 0), "one person, one signature");
        assert_eq!(sign_file(&file, Namespace::Policy, &bob).unwrap().count, 2);
        assert_eq!(document(&file, &[]).unwrap().signatures.len(), 2);
        files::replace(&file, b"two").unwrap();
        let edited = sign_file(&file, Namespace::Policy, &alice).unwrap();
        assert_eq!((edited.count, edited.stale), (1, 1));
    }

    #[test]
    fn a_document_without_a_signature_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.yaml");
        files::create(&file, b"one", Mode::Public).unwrap();
        assert!(document(&file, &[]).unwrap_err().next.unwrap().contains("quorate policy sign"));
        files::create(&dir.path().join("p.yaml.sig"), b"nothing", Mode::Public).unwrap();
        assert_eq!(document(&file, &[]).unwrap_err().kind.exit_code(), 4);
    }
}
