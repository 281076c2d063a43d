use std::ops::ControlFlow;
use std::path::Path;

use rand_core::{OsRng, RngCore};

use super::disk::Disk;
use super::*;
use crate::{Binding, Kek, Sealed, update};

const TABLE: &str = "spend";

pub(super) fn on(dir: &Path, disk: &Disk) -> Result<RedbStore, StoreError> {
    RedbStore::with_backend(DataDir::open(dir)?, disk.clone())
}

fn put(store: &dyn Store, i: u32) -> Result<Durable, StoreError> {
    update(store, |txn| {
        txn.put(TABLE, &i.to_be_bytes(), &[i as u8; 300])?;
        txn.put("last", b"", &i.to_be_bytes())
    })
    .map(|((), durable)| durable)
}

/// How many of the records 0, 1, 2.. are there. Panics where one is missing in between, altered or half written.
fn count(store: &dyn Store) -> Result<u32, StoreError> {
    let mut next = 0u32;
    store.scan(TABLE, b"", b"", &mut |key, value| {
        assert_eq!(key, next.to_be_bytes());
        assert_eq!(value, [next as u8; 300]);
        next += 1;
        ControlFlow::Continue(())
    })?;
    let last = store.get("last", b"")?.map(|last| u32::from_be_bytes(last.as_slice().try_into().unwrap()));
    assert_eq!(last, next.checked_sub(1), "a transaction is there whole or not at all");
    Ok(next)
}

#[test]
fn a_failed_sync_is_fatal_and_ends_the_store() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = on(dir.path(), &disk).unwrap();
    let _durable = put(&store, 0).unwrap();
    disk.fail_syncs();
    let err = put(&store, 1).unwrap_err();
    assert!(matches!(err, StoreError::Sync(_)) && err.is_fatal(), "{err}");
    let after = [
        store.get(TABLE, b"").err(),
        store.scan(TABLE, b"", b"", &mut |_, _| ControlFlow::Continue(())).err(),
        store.begin().err(),
        store.is_empty().err(),
    ];
    for err in after {
        let err = err.expect("a poisoned store does nothing");
        assert!(matches!(err, StoreError::Poisoned) && err.is_fatal(), "{err}");
    }
}

#[test]
fn a_writer_that_waited_for_a_failed_commit_gets_no_turn() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = on(dir.path(), &disk).unwrap();
    let txn = store.begin().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.begin().map(|_| ()));
        std::thread::sleep(std::time::Duration::from_millis(20));
        disk.fail_syncs();
        assert!(txn.commit().unwrap_err().is_fatal());
        assert!(matches!(waiting.join().unwrap(), Err(StoreError::Poisoned)));
    });
}

/// The power fails at every single write and sync in turn, and of what was not synced an arbitrary part survives.
#[test]
fn what_was_acknowledged_survives_a_power_failure_at_any_moment() {
    const COMMITS: u32 = 6;
    let steps = {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        let store = on(dir.path(), &disk).unwrap();
        (0..COMMITS).for_each(|i| drop(put(&store, i).unwrap()));
        drop(store);
        disk.steps()
    };
    let mut whole = 0;
    for cut in 1..=steps {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        disk.cut_at(cut);
        let mut acknowledged = 0;
        if let Ok(store) = on(dir.path(), &disk) {
            while acknowledged < COMMITS && put(&store, acknowledged).is_ok() {
                acknowledged += 1;
            }
        }
        let noted = std::fs::read(dir.path().join("commits")).unwrap();
        for pick in 0..6 {
            let image = disk.after_power_failure(|| match pick {
                0 => false,
                1 => true,
                _ => OsRng.next_u32() & 1 == 0,
            });
            std::fs::write(dir.path().join("commits"), &noted).unwrap();
            let found = match on(dir.path(), &Disk::of(image)) {
                Ok(store) => count(&store).unwrap(),
                // The file's very first pages were not all there: it is refused, and nothing was acknowledged.
                Err(StoreError::Corrupt(_)) if acknowledged == 0 => 0,
                Err(err) => panic!("cut at {cut} of {steps}: {err}"),
            };
            assert!(
                found == acknowledged || found == acknowledged + 1,
                "cut at {cut} of {steps}: {acknowledged} acknowledged, {found} found"
            );
            whole += u32::from(found == COMMITS);
        }
    }
    assert!(whole > 0, "the last cuts come after the last commit");
}

#[test]
fn an_older_database_file_under_a_newer_count_is_refused() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = on(dir.path(), &disk).unwrap();
    let _durable = put(&store, 0).unwrap();
    let old = disk.image();
    let _durable = put(&store, 1).unwrap();
    drop(store);
    let err = on(dir.path(), &Disk::of(old)).err().expect("refused");
    assert!(matches!(err, StoreError::RolledBack { counted: 2, noted: 3, .. }), "{err}");
    let err = on(dir.path(), &Disk::default()).err().expect("refused");
    assert!(matches!(err, StoreError::Missing { .. }), "{err}");
    assert_eq!(count(&on(dir.path(), &Disk::of(disk.image())).unwrap()).unwrap(), 2, "the newest one opens");
}

/// A crash, and a bit of what the last commit wrote is damaged. Without two-phase commits redb would take the commit
/// before it; here even the count of commits is gone, so nothing else would notice.
#[test]
fn a_damaged_last_commit_is_never_undone_in_silence() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = on(dir.path(), &disk).unwrap();
    let _durable = put(&store, 0).unwrap();
    let before = disk.image();
    let _durable = put(&store, 1).unwrap();
    let crashed = disk.image();
    drop(store);
    let written: Vec<usize> = (4096..crashed.len())
        .filter(|&at| crashed[at] != 0 && before.get(at) != Some(&crashed[at]))
        .collect();
    let anywhere = (0..60).map(|_| written[OsRng.next_u32() as usize % written.len()]);
    // The record itself, wherever it was written on the way: in the page that stayed, it counts.
    let record = crashed.windows(300).enumerate().filter(|(_, window)| window.iter().all(|b| *b == 1));
    let record: Vec<usize> = record.map(|(at, _)| at + 150).collect();
    let mut refused = 0;
    for at in record.into_iter().chain(anywhere) {
        let mut bad = crashed.clone();
        bad[at] ^= 1 << (OsRng.next_u32() % 8);
        let fresh = tempfile::tempdir().unwrap();
        match on(fresh.path(), &Disk::of(bad)) {
            Ok(store) => assert_eq!(count(&store).unwrap(), 2, "byte {at}"),
            Err(err) => {
                assert!(matches!(err, StoreError::Corrupt(_)), "byte {at}: {err}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "the page that stayed was among them");
}

/// Every bit of redb's flags is flipped, one in each byte of its header, and some hundreds elsewhere. The store may
/// refuse to open, or refuse a value; it never answers wrong and never forgets.
#[test]
fn one_flipped_bit_anywhere_never_shows_as_other_data() {
    let keys = tempfile::tempdir().unwrap();
    let kek_file = keys.path().join("kek");
    Kek::generate_file(&kek_file).unwrap();
    let kek = Kek::from_file(&kek_file).expect("just made");
    let binding = Binding { cluster: "c".parse().unwrap(), owner: "n".to_owned(), epoch: 0 };
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    {
        let store = Sealed::open(on(dir.path(), &disk).unwrap(), &binding, &kek).unwrap();
        (0..3).for_each(|i| drop(put(&store, i).unwrap()));
    }
    let image = disk.image();
    let noted = std::fs::read(dir.path().join("commits")).unwrap();
    let (mut refused, mut harmless) = (0, 0);
    for (at, bit) in flips(&image) {
        let mut bad = image.clone();
        bad[at] ^= 1 << bit;
        if std::fs::read(dir.path().join("commits")).unwrap() != noted {
            std::fs::write(dir.path().join("commits"), &noted).unwrap();
        }
        let found = std::panic::catch_unwind(|| {
            let store = Sealed::open(on(dir.path(), &Disk::of(bad))?, &binding, &kek)?;
            count(&store)
        });
        match found {
            Ok(Ok(3)) => harmless += 1,
            Ok(Ok(found)) => panic!("byte {at}, bit {bit}: {found} of 3 records, and no error"),
            Ok(Err(_)) => refused += 1,
            Err(_) => panic!("byte {at}, bit {bit}: panic"),
        }
    }
    assert!(refused > 100, "{refused} refused, {harmless} harmless");
}

/// Where to flip which bit.
fn flips(image: &[u8]) -> impl Iterator<Item = (usize, u32)> {
    /// where redb keeps its flags, among them which root is the current one
    const FLAGS: usize = 9;
    /// redb's header and its two roots
    const HEADER: usize = 320;
    let written: Vec<usize> = (HEADER..image.len()).filter(|&at| image[at] != 0).collect();
    let elsewhere = (0..400).map(move |_| written[OsRng.next_u32() as usize % written.len()]);
    let one_bit = |at| (at, OsRng.next_u32() % 8);
    (0..8).map(|bit| (FLAGS, bit)).chain((0..HEADER).chain(elsewhere).map(one_bit))
}
