//! Files that hold secrets, and files that must not be lost.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::refusal::{OrRefuse, Refusal};

/// Who may read a new file.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    /// Only its owner: 0600.
    Secret,
    /// Anyone: 0644.
    Public,
}

/// Writes a new file and syncs it. It never replaces one.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Refusal> {
    let bits = match mode {
        Mode::Secret => 0o600,
        Mode::Public => 0o644,
    };
    let opened = OpenOptions::new().write(true).create_new(true).mode(bits).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Refusal::conflict(format!("{} exists already", path.display()))
            .next("nothing was overwritten; move that file away or name another"),
        _ => Refusal::internal(format!("creating {}: {error}", path.display())),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).or_internal(format!("writing {}", path.display()))
}

/// Replaces a file by another as a whole: a reader sees the old bytes or the new, and a crash loses neither.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    let writing = || format!("writing {}", path.display());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(parent)
        .or_internal(writing())?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).or_internal(writing())?;
    file.persist(path).map(drop).or_internal(writing())
}

/// A new directory only its owner may enter, with its parents.
pub(crate) fn private_dir(path: &Path) -> Result<(), Refusal> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .or_internal(format!("creating the directory {}", path.display()))
}

/// Reads a file the user named.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    fs::read(path).map_err(|error| {
        let reason = format!("{}: {error}", path.display());
        if error.kind() == ErrorKind::NotFound {
            Refusal::not_found(reason)
        } else {
            Refusal::invalid(reason)
        }
    })
}

/// Reads a text file the user named.
pub(crate) fn read_text(path: &Path) -> Result<String, Refusal> {
    String::from_utf8(read(path)?)
        .map_err(|_| Refusal::invalid(format!("{}: not UTF-8 text", path.display())))
}

/// Reads a YAML file.
pub(crate) fn read_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, Refusal> {
    serde_norway::from_slice(&read(path)?).or_invalid(path.display())
}

/// A value as YAML text.
pub(crate) fn yaml(value: &impl Serialize) -> Result<String, Refusal> {
    serde_norway::to_string(value).or_internal("writing YAML")
}

/// `path` with `suffix` appended to its whole name: `m.yaml` and `.sig` make `m.yaml.sig`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create(&path, b"one", Mode::Secret).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let refusal = create(&path, b"two", Mode::Secret).unwrap_err();
        assert_eq!(refusal.kind.exit_code(), 4);
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn replace_swaps_the_whole_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.yaml");
        create(&path, b"a longer text", Mode::Public).unwrap();
        replace(&path, b"short").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(with_suffix(&path, ".sig").file_name().unwrap(), "m.yaml.sig");
    }
}
