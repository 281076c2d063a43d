//! The key-encryption key: the one secret that is not in the data directory. It wraps the data key in the store's
//! header, and comes from a file, a systemd credential or a passphrase; never from an environment variable.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path};

use rand_core::{OsRng, RngCore};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::StoreError;
use crate::dir::{check_owner, flags, sync_dir};
use crate::kdf::{Argon2id, Key};

const KEY: usize = 32;
/// 64 hex digits and a newline: the longest form a key file may have.
const LONGEST: usize = 2 * KEY + 1;
/// Shorter passphrases are refused: the header can be attacked offline by whoever copies the disk.
const SHORTEST_PASSPHRASE: usize = 12;

/// A key-encryption key. Wiped when dropped; it cannot be printed or copied.
pub struct Kek(Source);

enum Source {
    Key(Key),
    Passphrase(Zeroizing<String>),
}

impl Kek {
    /// Reads a key of 32 raw bytes, or 64 hex digits with at most one newline after them.
    ///
    /// # Errors
    /// [`StoreError::Kek`] if the file is missing, not a regular file, of another length, not owned by this user or
    /// root, or open to its group or to others.
    pub fn from_file(path: &Path) -> Result<Self, StoreError> {
        read_key(path, &path.display().to_string(), 0o077)
    }

    /// Reads `$CREDENTIALS_DIRECTORY/<name>`, where systemd (`LoadCredential=`, `LoadCredentialEncrypted=`) puts it.
    ///
    /// Unlike a key file it may show as group-readable: systemd grants the service's user access by an ACL, whose mask
    /// the mode's group bits then display.
    ///
    /// # Errors
    /// [`StoreError::Kek`] if systemd passed no credentials, the name is not a plain file name, or as in
    /// [`Kek::from_file`].
    pub fn from_credential(name: &str) -> Result<Self, StoreError> {
        let directory = std::env::var_os("CREDENTIALS_DIRECTORY");
        from_credential_in(directory.as_deref().map(Path::new), name)
    }

    /// A key derived from a passphrase with Argon2id; salt and costs are kept in the store's header.
    ///
    /// # Errors
    /// [`StoreError::Kek`] if it is shorter than 12 bytes.
    pub fn from_passphrase(passphrase: Zeroizing<String>) -> Result<Self, StoreError> {
        if passphrase.len() < SHORTEST_PASSPHRASE {
            return Err(refused("passphrase", format!("must have at least {SHORTEST_PASSPHRASE} bytes")));
        }
        Ok(Self(Source::Passphrase(passphrase)))
    }

    /// Draws a key and writes it, as hex, to a new file with mode 0600, synced.
    ///
    /// # Errors
    /// If the file exists already: a key in use is never overwritten. Or if it cannot be written.
    pub fn generate_file(path: &Path) -> Result<(), StoreError> {
        let mut key = Zeroizing::new([0; KEY]);
        OsRng.fill_bytes(key.as_mut());
        let mut text = Zeroizing::new([b'\n'; LONGEST]);
        if let Some(digits) = text.get_mut(..2 * KEY) {
            hex::encode_to_slice(key.as_ref(), digits)
                .map_err(|err| refused(&path.display().to_string(), err.to_string()))?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|err| refused(&path.display().to_string(), err.to_string()))?;
        file.write_all(text.as_ref())
            .and_then(|()| file.sync_all())
            .map_err(|err| StoreError::io("writing", path, err))?;
        sync_dir(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }

    /// How a new store is to derive its key: drawn salt and today's costs for a passphrase, nothing for a key.
    pub(crate) fn fresh_derivation(&self) -> Option<Argon2id> {
        match &self.0 {
            Source::Key(_) => None,
            Source::Passphrase(_) => Some(Argon2id::fresh()),
        }
    }

    /// The key, derived as a header says.
    pub(crate) fn key(&self, derivation: Option<&Argon2id>) -> Result<Key, StoreError> {
        match (&self.0, derivation) {
            (Source::Key(key), None) => Ok(key.clone()),
            (Source::Passphrase(passphrase), Some(argon2id)) => argon2id.derive(passphrase.as_bytes()),
            (Source::Key(_), Some(_)) => {
                Err(refused("file or credential", "this store was set up with a passphrase"))
            }
            (Source::Passphrase(_), None) => {
                Err(refused("passphrase", "this store was set up with a key file or credential"))
            }
        }
    }
}

fn refused(origin: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Kek { origin: origin.to_owned(), reason: reason.into() }
}

fn from_credential_in(directory: Option<&Path>, name: &str) -> Result<Kek, StoreError> {
    let origin = format!("credential {name:?}");
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(only)), None) if only == name) {
        return Err(refused(&origin, "must be a plain file name"));
    }
    let Some(directory) = directory else {
        return Err(refused(&origin, "CREDENTIALS_DIRECTORY is not set: systemd passed no credentials"));
    };
    read_key(&directory.join(name), &origin, 0o037)
}

/// Reads a key from a file none of whose `forbidden` mode bits is set.
fn read_key(path: &Path, origin: &str, forbidden: u32) -> Result<Kek, StoreError> {
    let failed = |err: std::io::Error| refused(origin, err.to_string());
    // Non-blocking, so that a pipe in the file's place is refused and not waited for.
    let mut file =
        OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(refused(origin, "not a regular file"));
    }
    check_owner(path, &meta).map_err(|err| refused(origin, err.to_string()))?;
    let mode = meta.permissions().mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(refused(origin, format!("open to group or others (mode {mode:o}); chmod 600 it")));
    }
    // One more than the longest, so that a longer file shows.
    let mut text = Zeroizing::new([0; LONGEST + 1]);
    let len = read_up_to(&mut file, text.as_mut()).map_err(failed)?;
    parse(text.get(..len).unwrap_or_default())
        .ok_or_else(|| refused(origin, "must be 32 raw bytes, or 64 hex digits and at most one newline"))
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            read => len += read,
        }
    }
    Ok(len)
}

fn parse(text: &[u8]) -> Option<Kek> {
    let mut key = Box::new(Zeroizing::new([0; KEY]));
    match text.len() {
        KEY => key.copy_from_slice(text),
        _ => hex::decode_to_slice(text.strip_suffix(b"\n").unwrap_or(text), key.as_mut_slice()).ok()?,
    }
    Some(Kek(Source::Key(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    fn write(dir: &Path, bytes: &[u8], mode: u32) -> std::path::PathBuf {
        let path = dir.join("kek");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn key_of(kek: &Kek) -> Vec<u8> {
        kek.key(None).unwrap().to_vec()
    }

    #[test]
    fn a_key_is_32_raw_bytes_or_64_hex_digits() {
        let dir = tempfile::tempdir().unwrap();
        let raw = [0xab; 32];
        for text in
            [raw.to_vec(), hex::encode(raw).into_bytes(), (hex::encode_upper(raw) + "\n").into_bytes()]
        {
            let kek = Kek::from_file(&write(dir.path(), &text, 0o600)).expect("accepted");
            assert_eq!(key_of(&kek), raw);
        }
    }

    #[test]
    fn wrong_lengths_and_letters_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let zz = "zz".repeat(32);
        for bad in
            [&[][..], &[1; 31], &[1; 33], &[b'a'; 63], &[b'a'; 65], &[b'a'; 66], &[1; 4096], zz.as_bytes()]
        {
            let err = Kek::from_file(&write(dir.path(), bad, 0o600)).err().expect("refused").to_string();
            assert!(err.contains("32 raw bytes"), "{err}");
        }
    }

    #[test]
    fn a_file_open_to_others_is_refused_and_the_mode_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601, 0o666] {
            let err = Kek::from_file(&write(dir.path(), &[1; 32], mode)).err().expect("refused").to_string();
            assert!(err.contains(&format!("{mode:o}")), "{err}");
        }
        assert!(Kek::from_file(&write(dir.path(), &[1; 32], 0o400)).is_ok());
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Kek::from_file(dir.path()).is_err());
        assert!(Kek::from_file(&dir.path().join("absent")).is_err());
    }

    #[test]
    fn a_credential_is_a_plain_name_and_may_show_an_acl_mask() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[7; 32], 0o440);
        assert_eq!(key_of(&from_credential_in(Some(dir.path()), "kek").expect("accepted")), [7; 32]);
        for bad in ["", ".", "..", "../kek", "/etc/shadow", "a/kek", "kek/", "./kek"] {
            assert!(from_credential_in(Some(dir.path()), bad).is_err(), "{bad:?}");
        }
        write(dir.path(), &[7; 32], 0o444);
        assert!(from_credential_in(Some(dir.path()), "kek").is_err(), "open to the world");
        let err = from_credential_in(None, "kek").err().expect("refused").to_string();
        assert!(err.contains("CREDENTIALS_DIRECTORY"), "{err}");
    }

    #[test]
    fn a_generated_file_is_private_new_and_readable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        Kek::generate_file(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let first = key_of(&Kek::from_file(&path).expect("accepted"));
        assert!(Kek::generate_file(&path).is_err(), "an existing key is never overwritten");
        assert_eq!(key_of(&Kek::from_file(&path).expect("accepted")), first);
        let other = dir.path().join("other");
        Kek::generate_file(&other).unwrap();
        assert_ne!(key_of(&Kek::from_file(&other).expect("accepted")), first);
    }

    #[test]
    fn a_short_passphrase_is_refused() {
        assert!(Kek::from_passphrase(Zeroizing::new("eleven char".to_owned())).is_err());
        assert!(Kek::from_passphrase(Zeroizing::new("twelve chars".to_owned())).is_ok());
    }
}
