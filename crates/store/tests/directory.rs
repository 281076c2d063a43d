//! The data directory: private, locked, and told apart when something is wrong with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use quorate_store::{Binding, Kek, Store, StoreError, open, open_sled, update};

type Open = fn(&Path, &Binding, &Kek) -> Result<Arc<dyn Store>, StoreError>;
const BACKENDS: [Open; 2] = [open, open_sled];
const READ_ONLY: &str = "QUORATE_READ_ONLY_TEST_DIR";

struct Place {
    dir: tempfile::TempDir,
    data: std::path::PathBuf,
    kek: Kek,
    binding: Binding,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Kek::generate_file(&dir.path().join("kek")).unwrap();
        Self {
            data: dir.path().join("data"),
            kek: Kek::from_file(&dir.path().join("kek")).ok().unwrap(),
            binding: Binding { cluster: "c".parse().unwrap(), owner: "n".to_owned(), epoch: 0 },
            dir,
        }
    }

    fn open(&self, open: Open) -> Result<Arc<dyn Store>, StoreError> {
        open(&self.data, &self.binding, &self.kek)
    }

    /// Why it does not open.
    fn refusal(&self, open: Open) -> StoreError {
        let err = self.open(open).err().expect("refused");
        assert!(!err.is_fatal(), "{err}");
        err
    }

    fn with_a_record(self, open: Open) -> Self {
        let store = self.open(open).unwrap();
        let _durable = update::<_, StoreError>(&*store, |txn| txn.put("t", b"k", &[7; 5000])).unwrap();
        self
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn check_modes(path: &Path) {
    let meta = path.metadata().unwrap();
    let expected = if meta.is_dir() { 0o700 } else { 0o600 };
    assert_eq!(meta.permissions().mode() & 0o777, expected, "{}", path.display());
    if meta.is_dir() {
        path.read_dir().unwrap().for_each(|entry| check_modes(&entry.unwrap().path()));
    }
}

#[test]
fn the_directory_and_everything_in_it_is_private() {
    for open in BACKENDS {
        let place = Place::new().with_a_record(open);
        let _open = place.open(open).unwrap();
        check_modes(&place.data);
    }
}

#[test]
fn a_directory_made_beforehand_is_made_private_on_first_use() {
    for open in BACKENDS {
        let place = Place::new();
        std::fs::create_dir(&place.data).unwrap();
        chmod(&place.data, 0o755);
        let _open = place.open(open).unwrap();
        check_modes(&place.data);
    }
}

#[test]
fn a_second_open_is_refused_until_the_first_one_ends() {
    for open in BACKENDS {
        let place = Place::new();
        let first = place.open(open).unwrap();
        let err = place.refusal(open);
        assert!(matches!(&err, StoreError::Locked { path } if *path == place.data), "{err}");
        drop(first);
        assert!(place.open(open).is_ok());
    }
}

#[test]
fn a_directory_or_file_open_to_others_is_refused_with_the_remedy() {
    let place = Place::new().with_a_record(open);
    for mode in [0o750, 0o705, 0o701] {
        chmod(&place.data, mode);
        let err = place.refusal(open);
        assert!(matches!(err, StoreError::NotPrivate { .. }), "{err}");
        assert!(
            err.to_string().contains(&format!("{mode:o}")) && err.to_string().contains("chmod 700"),
            "{err}"
        );
    }
    chmod(&place.data, 0o700);
    for file in ["store.redb", "LOCK", "commits"] {
        chmod(&place.data.join(file), 0o640);
        let err = place.refusal(open).to_string();
        assert!(err.contains(file) && err.contains("chmod 600"), "{err}");
        chmod(&place.data.join(file), 0o600);
    }
    assert!(place.open(open).is_ok());
}

#[test]
fn a_database_behind_a_symbolic_link_is_refused() {
    let place = Place::new().with_a_record(open);
    let (file, moved) = (place.data.join("store.redb"), place.dir.path().join("moved"));
    std::fs::rename(&file, &moved).unwrap();
    symlink(&moved, &file).unwrap();
    assert!(place.refusal(open).to_string().contains("store.redb"));
}

#[test]
fn a_file_in_the_directorys_place_is_refused() {
    for open in BACKENDS {
        let place = Place::new();
        std::fs::write(&place.data, b"").unwrap();
        assert!(place.refusal(open).to_string().contains("data"));
    }
}

#[test]
fn a_database_that_vanished_is_not_taken_for_a_new_one() {
    let place = Place::new().with_a_record(open);
    let file = place.data.join("store.redb");
    for damage in [|file: &Path| std::fs::remove_file(file), |file: &Path| std::fs::write(file, b"")] {
        damage(&file).unwrap();
        let err = place.refusal(open);
        assert!(matches!(err, StoreError::Missing { .. }), "{err}");
    }
}

#[test]
fn an_older_copy_of_the_database_is_refused() {
    let place = Place::new().with_a_record(open);
    let (file, copy) = (place.data.join("store.redb"), place.dir.path().join("copy"));
    std::fs::copy(&file, &copy).unwrap();
    let place = place.with_a_record(open);
    std::fs::copy(&copy, &file).unwrap();
    let err = place.refusal(open);
    assert!(matches!(err, StoreError::RolledBack { .. }), "{err}");
}

#[test]
fn a_file_that_is_no_database_is_told_to_be_damaged() {
    let place = Place::new().with_a_record(open);
    let file = place.data.join("store.redb");
    let good = std::fs::read(&file).unwrap();
    let (half, mut wiped) = (good[..good.len() / 2].to_vec(), good.clone());
    wiped[..4096].fill(0);
    for bad in
        [b"not a database".to_vec(), vec![0; 8192], vec![0xff; 1 << 20], half, wiped, good[..64].to_vec()]
    {
        std::fs::write(&file, &bad).unwrap();
        let err = place.refusal(open);
        assert!(matches!(err, StoreError::Corrupt(_)), "{} bytes: {err}", bad.len());
    }
    std::fs::write(&file, &good).unwrap();
    assert!(place.open(open).is_ok());
}

/// Not a test of its own: the process the next one starts as another user, for root may write anywhere.
#[test]
#[ignore = "the child of the test below"]
fn read_only_child() {
    let data = std::env::var_os(READ_ONLY).expect("started by a test of this file");
    let place = Place::new();
    let err = open(Path::new(&data), &place.binding, &place.kek).err().expect("refused");
    assert!(matches!(err, StoreError::ReadOnly { .. }), "{err}");
    assert!(err.to_string().contains("not writable"), "{err}");
}

#[test]
fn a_directory_that_cannot_be_written_is_told_so() {
    const NOBODY: u32 = 65534;
    let dir = tempfile::tempdir().unwrap();
    let (data, exe) = (dir.path().join("data"), dir.path().join("test"));
    std::fs::create_dir(&data).unwrap();
    std::fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    let mut child = Command::new(&exe);
    child.args(["--exact", "read_only_child", "--ignored"]).env(READ_ONLY, &data).current_dir("/");
    if chown(&data, Some(NOBODY), Some(NOBODY)).is_ok() {
        child.uid(NOBODY).gid(NOBODY).env("TMPDIR", "/tmp");
        chmod(dir.path(), 0o755);
    }
    chmod(&data, 0o500);
    let out = child.output().unwrap();
    chmod(&data, 0o700);
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}
