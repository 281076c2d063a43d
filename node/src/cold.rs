//! The recovery share's way out: sealed to offline recipients as soon as it exists, proven to be on disk, and kept
//! nowhere else.
//!
//! A sealed file is an armored [age](https://age-encryption.org/v1) file over a package of `quorate-recovery`: the secret,
//! and the facts an offline ceremony needs beside it, signed by this node. An index beside the files lists them, one
//! signed line each.

mod index;
mod package;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use quorate_recovery::{Entry, PackageError};
use quorate_session::NodeKey;
use quorate_types::{B256, GroupId};
use sha2::{Digest, Sha256};

use crate::node::Node;
use crate::sessions::SessionError;
use crate::vault::WalletRecord;

pub(crate) use package::{Sealer, ToSeal};

/// Largest sealed file: far above an aux record of about 10 kB.
const MAX_BYTES: u64 = 1 << 20;

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ColdError {
    /// The manifest names no one to seal to.
    #[error("recovery: the manifest names no recipient to seal the recovery share to")]
    NoRecipient,
    /// A recipient in the manifest is not an age public key.
    #[error("recovery[{0}]: {1}")]
    Recipient(usize, &'static str),
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
        parse_recipients(recipients)?;
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
        let sealed = encrypt(&parse_recipients(recipients)?, plaintext).map_err(ColdError::Seal)?;
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

fn is_plain_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (1..=240).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('.')
        && !name.ends_with('.')
}

fn parse_recipients(recipients: &[String]) -> Result<Vec<age::x25519::Recipient>, ColdError> {
    if recipients.is_empty() {
        return Err(ColdError::NoRecipient);
    }
    let parse = |(i, text): (usize, &String)| text.parse().map_err(|why| ColdError::Recipient(i, why));
    recipients.iter().enumerate().map(parse).collect()
}

fn encrypt(recipients: &[age::x25519::Recipient], plaintext: &[u8]) -> io::Result<Vec<u8>> {
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armor)?;
    writer.write_all(plaintext)?;
    writer.finish()?.finish()
}

/// Whether a file can be made in `dir`.
///
/// # Errors
/// Why not.
pub(crate) fn probe(dir: &Path) -> io::Result<()> {
    let probe = dir.join(draft_name("probe"));
    create(&probe)?;
    fs::remove_file(&probe)
}

fn draft_name(what: &str) -> String {
    format!(".{what}.{:016x}.draft", rand::random::<u64>())
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn write(dir: &Path, path: &Path, bytes: &[u8]) -> Result<(), ColdError> {
    let disk = |source| ColdError::Disk { path: path.to_owned(), source };
    if path.try_exists().map_err(disk)? {
        return Err(ColdError::Exists(path.to_owned()));
    }
    let draft = dir.join(draft_name("sealed"));
    let written = create(&draft)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // Sealed bytes only; a leftover is untidy, not a leak.
        let _leftover = fs::remove_file(&draft);
    }
    written.and_then(|()| File::open(dir)?.sync_all()).map_err(disk)
}

/// Reads the file back and compares it with what was written: an age file for as many recipients, of that length and
/// hash.
fn prove(path: &Path, written: &[u8], recipients: usize) -> Result<(), ColdError> {
    let disk = |source| ColdError::Disk { path: path.to_owned(), source };
    let file = File::open(path).map_err(disk)?;
    // Best effort: read from the medium rather than from the page cache.
    let _best_effort = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    let mut bytes = Vec::with_capacity(written.len());
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(disk)?;
    let unproven = |reason| ColdError::NotProven { path: path.to_owned(), reason };
    if bytes.len() != written.len() {
        return Err(unproven("read back with another length"));
    }
    if sha256(&bytes) != sha256(written) {
        return Err(unproven("read back with another SHA-256"));
    }
    let mut header = Vec::new();
    ArmoredReader::new(&*bytes).take(MAX_BYTES).read_to_end(&mut header).map_err(disk)?;
    age::Decryptor::new(&*header).map_err(|_| unproven("read back, but not an age file"))?;
    let stanza: &[u8] = b"\n-> X25519 ";
    let stanzas = header.windows(stanza.len()).filter(|window| *window == stanza).count();
    if stanzas < recipients {
        return Err(unproven("read back, but not sealed to every recipient"));
    }
    Ok(())
}

fn sha256(bytes: &[u8]) -> B256 {
    B256::from(<[u8; 32]>::from(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
        assert!(matches!(cold(dir.path()).ready(&[]), Err(ColdError::NoRecipient)));
        assert!(matches!(cold(dir.path()).seal(&[], "a.age", b"x"), Err(ColdError::NoRecipient)));
        let bad = [recipient, "age1nonsense".to_owned()];
        assert!(matches!(cold(dir.path()).ready(&bad), Err(ColdError::Recipient(1, _))));
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
