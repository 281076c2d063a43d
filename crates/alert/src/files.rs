//! Secrets and certificates in files.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::ReceiverError;

/// Far above any honest secret or bundle of certificates.
const MAX_BYTES: u64 = 1 << 20;

/// A secret, without the line's end. Only its owner may read the file.
pub(crate) fn secret(
    field: &'static str,
    path: &Path,
    at_least: usize,
) -> Result<Zeroizing<Vec<u8>>, ReceiverError> {
    let bytes = bytes(path, |meta| match meta.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err("others may read it: chmod 600".to_owned()),
    });
    let long_enough = bytes.and_then(|bytes| {
        let secret = Zeroizing::new(bytes.trim_ascii_end().to_vec());
        let enough = secret.len() >= at_least;
        enough.then_some(secret).ok_or_else(|| format!("holds fewer than {at_least} bytes"))
    });
    long_enough.map_err(|reason| ReceiverError::File { field, path: path.to_owned(), reason })
}

/// What anybody may read.
pub(crate) fn read(field: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, ReceiverError> {
    bytes(path, |_| Ok(())).map_err(|reason| ReceiverError::File { field, path: path.to_owned(), reason })
}

/// Opened once: what is looked at is what is read, whatever the name means by then.
fn bytes(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), String>,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let read = |error: std::io::Error| error.to_string();
    // Before it is opened: a pipe under this name would wait for somebody to write into it.
    if !std::fs::metadata(path).map_err(read)?.is_file() {
        return Err("not a file".to_owned());
    }
    let file = File::open(path).map_err(read)?;
    let meta = file.metadata().map_err(read)?;
    if !meta.is_file() || meta.len() > MAX_BYTES {
        return Err(format!("not a file of at most {MAX_BYTES} bytes"));
    }
    check(&meta)?;
    // Its buffer does not grow, so that no copy of a secret is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(read)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_its_owners_and_long_enough() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let refused = || secret("secret_file", &path, 4).unwrap_err().to_string();
        assert!(refused().starts_with("secret_file: "), "{}", refused());
        std::fs::write(&path, "four\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refused().contains("chmod 600"), "{}", refused());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(secret("secret_file", &path, 4).unwrap().as_slice(), b"four");
        assert!(secret("secret_file", &path, 5).is_err(), "the line's end is no part of it");
    }
}
