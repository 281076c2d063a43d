//! Secrets and certificates in files.

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
    let refused = |reason: String| ReceiverError::File { field, path: path.to_owned(), reason };
    let meta = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(refused("others may read it: chmod 600".to_owned()));
    }
    let bytes = read(field, path)?;
    let secret = Zeroizing::new(bytes.trim_ascii_end().to_vec());
    if secret.len() < at_least {
        return Err(refused(format!("holds fewer than {at_least} bytes")));
    }
    Ok(secret)
}

pub(crate) fn read(field: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, ReceiverError> {
    let refused = |reason: String| ReceiverError::File { field, path: path.to_owned(), reason };
    let meta = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if !meta.is_file() || meta.len() > MAX_BYTES {
        return Err(refused(format!("not a file of at most {MAX_BYTES} bytes")));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(|error| refused(error.to_string()))
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
