//! A process that commits in a loop is killed in the middle of it; what it was told is there is there.
//!
//! A killed process leaves the kernel's cache alone, so this shows that a commit leaves nothing in the process. That it
//! leaves nothing in the kernel is shown with a simulated disk, beside the backend.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use quorate_store::{Binding, Kek, Store, StoreError, open, open_sled, update};

const DIR: &str = "QUORATE_KILL_TEST_DIR";
const SLED: &str = "QUORATE_KILL_TEST_SLED";

fn store(dir: &Path, sled: bool) -> Arc<dyn Store> {
    let kek = Kek::from_file(&dir.join("kek")).ok().unwrap();
    let binding = Binding { cluster: "test".parse().unwrap(), owner: "node-1".to_owned(), epoch: 1 };
    let open = if sled { open_sled } else { open };
    open(&dir.join("data"), &binding, &kek).unwrap()
}

fn number(store: &dyn Store, table: &str, key: &[u8]) -> Option<u64> {
    store.get(table, key).unwrap().map(|value| u64::from_be_bytes(value.as_slice().try_into().unwrap()))
}

/// Not a test of its own: the process the tests below start and kill.
#[test]
#[ignore = "the child of the tests in this file"]
fn child() {
    let dir = std::env::var_os(DIR).expect("started by a test of this file");
    let store = store(Path::new(&dir), std::env::var_os(SLED).is_some());
    let mut out = std::io::stdout();
    for i in number(&*store, "last", b"").map_or(0, |last| last + 1).. {
        let ((), _durable) = update::<_, StoreError>(&*store, |txn| {
            txn.put("one", &i.to_be_bytes(), &i.to_be_bytes())?;
            txn.put("two", &i.to_be_bytes(), &i.to_be_bytes())?;
            txn.put("last", b"", &i.to_be_bytes())
        })
        .unwrap();
        out.write_all(format!("\nacknowledged {i}\n").as_bytes()).unwrap();
    }
}

/// Starts the child, lets it acknowledge `commits`, kills it and returns the last one it acknowledged.
fn run_and_kill(dir: &Path, sled: bool, commits: usize) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture"]).env(DIR, dir).stdout(Stdio::piped());
    if sled {
        command.env(SLED, "1");
    }
    let mut child = command.spawn().unwrap();
    let mut acknowledged = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("acknowledged ").map(|i| i.parse::<u64>().unwrap()));
    let at_least = acknowledged.by_ref().nth(commits - 1).expect("the child works");
    child.kill().unwrap();
    let last = acknowledged.last().unwrap_or(at_least);
    assert!(!child.wait().unwrap().success());
    last
}

/// A child holds its parent's locks until it has become another program: a store open in one test meanwhile would be found
/// locked.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn survives_kills(sled: bool) {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let dir = tempfile::tempdir().unwrap();
    Kek::generate_file(&dir.path().join("kek")).unwrap();
    for commits in [1, 2, 7, 20] {
        let last = run_and_kill(dir.path(), sled, commits);
        let store = store(dir.path(), sled);
        for i in 0..=last {
            assert_eq!(number(&*store, "one", &i.to_be_bytes()), Some(i), "of {last} acknowledged");
            assert_eq!(number(&*store, "two", &i.to_be_bytes()), Some(i), "of {last} acknowledged");
        }
        // One more may have been committed and not yet told; it is whole or not there at all.
        let found = number(&*store, "last", b"").unwrap();
        assert!(found == last || found == last + 1, "{found} found, {last} acknowledged");
        for table in ["one", "two"] {
            let next = number(&*store, table, &(last + 1).to_be_bytes());
            assert_eq!(next.is_some(), found > last);
            assert_eq!(number(&*store, table, &(last + 2).to_be_bytes()), None);
        }
    }
}

#[test]
fn redb_keeps_what_it_acknowledged() {
    survives_kills(false);
}

#[test]
fn sled_keeps_what_it_acknowledged() {
    survives_kills(true);
}
