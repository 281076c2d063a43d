//! The recovery share's way out: sealed to offline recipients as soon as it exists, proven to be on disk, and kept
//! nowhere else.
//!
//! A sealed file is an armored [age](https://age-encryption.org/v1) file over a package of `quorate-recovery`: the secret,
//! and the facts an offline ceremony needs beside it, signed by this node. An index beside the files lists them, one
//! signed line each.

mod file;
mod index;
mod package;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use quorate_recovery::{Entry, PackageError, Recipients, RecipientsError};
use quorate_session::NodeKey;
use quorate_types::{B256, GroupId};

use crate::node::Node;
use crate::sessions::SessionError;
use crate::vault::WalletRecord;

use file::{is_plain_name, prove, sha256, write};

pub(crate) use file::probe;
pub(crate) use package::{Sealer, ToSeal};

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ColdError {
    /// The manifest names nobody this node could seal to.
    #[error(transparent)]
    Recipients(#[from] RecipientsError),
    /// This node has no place for sealed files.
    #[error("cold.export_dir: not configured on this node")]
    NoExportDir,
    /// A file of that name is there. It may be the only copy of a share, so it is never overwritten.
    #[error("cold file {}: exists already, and is never overwritten", .0.display())]
    Exists(PathBuf),
    /// A name that is not one plain file name.
    #[error("cold file name: only a-z, 0-9, '-' and inner '.' are allowed")]
    Name,
    /// What was read back is not what was written.
    #[error("cold file {}: {reason}", .path.display())]
    NotProven {
        /// which file
        path: PathBuf,
        /// how it differs
        reason: &'static str,
    },
    /// The disk.
    #[error("cold file {}: {source}", .path.display())]
    Disk {
        /// which file or directory
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// age refused.
    #[error("cold file: sealing failed: {0}")]
    Seal(io::Error),
    /// The package could not be written.
    #[error("cold file: {0}")]
    Package(#[from] PackageError),
    /// The index beside the files.
    #[error("cold file {}: {reason}", .path.display())]
    Index {
        /// the index
        path: PathBuf,
        /// what is wrong with it
        reason: String,
    },
}

/// A sealed file that was written, synced, read back and found to be what was written. Only [`Cold::seal`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    name: String,
    path: PathBuf,
    sha256: B256,
    bytes: u64,
}

impl Sealed {
    /// The file's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the whole file, as `sha256sum` prints it.
    pub(crate) const fn sha256(&self) -> B256 {
        self.sha256
    }

    /// Its length in bytes.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The name of a wallet's sealed share: another key of the same wallet has another name.
pub(crate) fn share_name(record: &WalletRecord) -> String {
    let key = record.public_key.to_string();
    let key = key.get(..16).unwrap_or(&key);
    format!("wallet.{}.epoch-{}.{key}.share.age", record.wallet, record.epoch)
}

/// A name for a group's sealed auxiliary info: a group that is enrolled again gets another file.
pub(crate) fn aux_name(group: &GroupId) -> String {
    format!("group.{group}.{:016x}.aux.age", rand::random::<u64>())
}

/// Whether this node could seal a share made now. Asked before a session starts: a share that cannot be sealed must not
/// come into being.
///
/// # Errors
/// [`SessionError::Caller`] naming what is missing.
pub(crate) fn check_ready(node: &Node) -> Result<(), SessionError> {
    let ready = node.cold.ready(node.documents.manifest().manifest().recovery());
    ready.map_err(|error| SessionError::caller("recovery", error))
}

/// Seals a secret to the manifest's recovery recipients and lists it in the index, off the threads that answer the
/// network.
///
/// # Errors
/// [`SessionError`]; nothing of the secret is on disk then, or only sealed.
pub(crate) async fn export(node: &Arc<Node>, secret: ToSeal) -> Result<Sealed, SessionError> {
    let node = Arc::clone(node);
    let seal = move || package::seal(&node, &node.cold, &secret);
    let sealed = tokio::task::spawn_blocking(seal).await;
    let sealed = sealed.map_err(|error| SessionError::Bug(format!("sealing stopped: {error}")))?;
    let sealed = sealed.map_err(|error| SessionError::Bug(error.to_string()))?;
    tracing::info!(file = %sealed.path().display(), sha256 = %sealed.sha256(), "sealed to the recovery recipients");
    Ok(sealed)
}

/// The writer of sealed files: the cold node's, or a backup's. On other nodes it refuses everything.
pub(crate) struct Cold {
    export_dir: Option<PathBuf>,
    // One file at a time, so that "does it exist" stays answered until the rename.
    writing: Mutex<()>,
}

impl Cold {
    /// A writer into `export_dir`.
    pub(crate) const fn new(export_dir: Option<PathBuf>) -> Self {
        Self { export_dir, writing: Mutex::new(()) }
    }

    /// Whether a share made now could be sealed. Asked before a session starts: a share that cannot be sealed must not
    /// come into being.
    ///
    /// # Errors
    /// [`ColdError`] where there is no recipient, one is malformed, or the directory is not one that can be written.
    pub(crate) fn ready(&self, recipients: &[String]) -> Result<(), ColdError> {
        Recipients::read(recipients)?;
        let dir = self.export_dir.as_deref().ok_or(ColdError::NoExportDir)?;
        probe(dir).map_err(|source| ColdError::Disk { path: dir.to_owned(), source })
    }

    /// Seals `plaintext` to all `recipients` (any one of them can open it) as the file `name`, mode 0600: written under a
    /// draft's name, synced, renamed, the directory synced; then read back and compared. Then appends it to the index
    /// beside it: `entry` with the file's name, hash and length, and the place in the chain, signed by `key`.
    ///
    /// # Errors
    /// [`ColdError`], also where the name is taken. A file may then be there that the index does not name, of a share
    /// nobody was told of.
    pub(crate) fn seal_listed(
        &self,
        recipients: &[String],
        name: &str,
        plaintext: &[u8],
        (entry, key): (Entry, &NodeKey),
    ) -> Result<Sealed, ColdError> {
        let dir = self.export_dir.as_deref().ok_or(ColdError::NoExportDir)?;
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = self.seal(recipients, name, plaintext)?;
        let entry = Entry {
            file: sealed.name.clone(),
            sha256: hex::encode(sealed.sha256),
            bytes: sealed.bytes,
            ..entry
        };
        index::append(dir, entry, key)?;
        Ok(sealed)
    }

    /// Under the lock of [`Self::seal_listed`].
    pub(crate) fn seal(
        &self,
        recipients: &[String],
        name: &str,
        plaintext: &[u8],
    ) -> Result<Sealed, ColdError> {
        let sealed = Recipients::read(recipients)?.seal(plaintext).map_err(ColdError::Seal)?;
        let dir = self.export_dir.as_deref().ok_or(ColdError::NoExportDir)?;
        if !is_plain_name(name) {
            return Err(ColdError::Name);
        }
        let path = dir.join(name);
        write(dir, &path, &sealed)?;
        prove(&path, &sealed, recipients.len())?;
        let bytes = sealed.len() as u64;
        Ok(Sealed { name: name.to_owned(), path, sha256: sha256(&sealed), bytes })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use age::armor::ArmoredReader;

    use super::*;

    fn identity() -> (age::x25519::Identity, String) {
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        (identity, recipient)
    }

    fn cold(dir: &Path) -> Cold {
        Cold::new(Some(dir.to_owned()))
    }

    fn open(identity: &age::x25519::Identity, path: &Path) -> Result<Vec<u8>, age::DecryptError> {
        let sealed = fs::read(path).unwrap();
        let decryptor = age::Decryptor::new(ArmoredReader::new(&*sealed))?;
        let mut plain = Vec::new();
        decryptor.decrypt(std::iter::once(identity as &dyn age::Identity))?.read_to_end(&mut plain).unwrap();
        Ok(plain)
    }

    #[test]
    fn sealed_files_open_for_every_recipient_and_no_one_else() {
        let dir = tempfile::tempdir().unwrap();
        let ((one, first), (two, second), (stranger, _)) = (identity(), identity(), identity());
        let recipients = [first, second];
        cold(dir.path()).ready(&recipients).unwrap();
        let sealed = cold(dir.path()).seal(&recipients, "wallet.w.share.age", b"canary-secret").unwrap();
        assert_eq!(open(&one, sealed.path()).unwrap(), b"canary-secret");
        assert_eq!(open(&two, sealed.path()).unwrap(), b"canary-secret");
        assert!(open(&stranger, sealed.path()).is_err());
        let bytes = fs::read(sealed.path()).unwrap();
        assert!(bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"));
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
        assert_eq!((sha256(&bytes), bytes.len() as u64), (sealed.sha256(), sealed.bytes()));
        assert_eq!(fs::metadata(sealed.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "drafts are gone");
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (one, recipient) = identity();
        let recipients = [recipient];
        let first = cold(dir.path()).seal(&recipients, "a.age", b"first").unwrap();
        assert!(matches!(cold(dir.path()).seal(&recipients, "a.age", b"second"), Err(ColdError::Exists(_))));
        assert_eq!(open(&one, first.path()).unwrap(), b"first");
    }

    #[test]
    fn refuses_without_recipient_directory_or_name() {
        let dir = tempfile::tempdir().unwrap();
        let (_, recipient) = identity();
        let good = [recipient.clone()];
        assert!(matches!(cold(dir.path()).ready(&[]), Err(ColdError::Recipients(RecipientsError::Empty))));
        assert!(matches!(
            cold(dir.path()).seal(&[], "a.age", b"x"),
            Err(ColdError::Recipients(RecipientsError::Empty))
        ));
        let bad = [recipient, "age1nonsense".to_owned()];
        assert!(matches!(
            cold(dir.path()).ready(&bad),
            Err(ColdError::Recipients(RecipientsError::Malformed(1, _)))
        ));
        let nowhere = Cold::new(None);
        assert!(matches!(nowhere.ready(&good), Err(ColdError::NoExportDir)));
        assert!(matches!(nowhere.seal(&good, "a.age", b"x"), Err(ColdError::NoExportDir)));
        assert!(matches!(cold(&dir.path().join("gone")).ready(&good), Err(ColdError::Disk { .. })));
        for name in ["", "../a", "a/b", ".hidden", "a.", "A"] {
            assert!(matches!(cold(dir.path()).seal(&good, name, b"x"), Err(ColdError::Name)), "{name}");
        }
    }

    #[test]
    fn a_file_that_changed_under_us_is_not_proven() {
        let dir = tempfile::tempdir().unwrap();
        let (_, recipient) = identity();
        let sealed = cold(dir.path()).seal(&[recipient], "a.age", b"x").unwrap();
        let written = fs::read(sealed.path()).unwrap();
        assert!(prove(sealed.path(), &written, 1).is_ok());
        assert!(matches!(prove(sealed.path(), &written, 2), Err(ColdError::NotProven { .. })));
        let mut flipped = written.clone();
        flipped[100] ^= 1;
        fs::write(sealed.path(), &flipped).unwrap();
        assert!(matches!(prove(sealed.path(), &written, 1), Err(ColdError::NotProven { .. })));
        fs::write(sealed.path(), &written[..written.len() - 1]).unwrap();
        assert!(matches!(prove(sealed.path(), &written, 1), Err(ColdError::NotProven { .. })));
        fs::write(sealed.path(), b"not age").unwrap();
        assert!(matches!(
            prove(sealed.path(), b"not age", 0),
            Err(ColdError::NotProven { .. } | ColdError::Disk { .. })
        ));
    }

    #[test]
    fn names_tell_what_is_inside_and_never_collide() {
        let group: GroupId = "g".parse().unwrap();
        let (one, two) = (aux_name(&group), aux_name(&group));
        assert_ne!(one, two);
        assert!(is_plain_name(&one) && one.starts_with("group.g."));
    }
}
