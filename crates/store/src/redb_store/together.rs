//! The thread that writes, over a disk that stops at any moment.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rand_core::{OsRng, RngCore};

use super::disk::Disk;
use super::tests::on;
use super::*;
use crate::{Durable, Writer};

type Told = Receiver<Result<((), Durable), StoreError>>;

/// Writes `name`, and counts up what the writer before it left.
fn count_up(writer: &Writer, name: u32) -> Told {
    ask(writer, move |txn| {
        let before = txn.get("n", b"")?.map_or(0, |n| u32::from_be_bytes(n.as_slice().try_into().unwrap()));
        txn.put("n", b"", &(before + 1).to_be_bytes())?;
        txn.put("name", &name.to_be_bytes(), &[7; 300])
    })
}

fn ask(writer: &Writer, write: impl FnOnce(&mut dyn Txn) -> Result<(), StoreError> + Send + 'static) -> Told {
    let (tell, told) = channel();
    writer.write(write, move |done| drop(tell.send(done)));
    told
}

/// A store whose writer has to wait until the transaction that comes with it ends: what is asked for until then comes
/// together.
fn busy(disk: &Disk) -> (tempfile::TempDir, Arc<RedbStore>, Writer) {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(on(dir.path(), disk).unwrap());
    let writer = Writer::new(store.clone()).unwrap();
    (dir, store, writer)
}

fn number(read: &dyn Read) -> u32 {
    read.get("n", b"").unwrap().map_or(0, |n| u32::from_be_bytes(n.as_slice().try_into().unwrap()))
}

#[test]
fn what_comes_together_shares_a_commit() {
    let disk = Disk::default();
    let (_dir, store, writer) = busy(&disk);
    let (held, before) = (store.begin().unwrap(), store.count().unwrap());
    let told: Vec<_> = (0..20).map(|name| count_up(&writer, name)).collect();
    assert!(told[0].recv_timeout(Duration::from_millis(20)).is_err(), "one writer at a time");
    drop(held);
    for told in told {
        let ((), _durable) = told.recv().unwrap().unwrap();
    }
    assert_eq!((store.count().unwrap(), number(store.as_ref())), (before + 1, 20));
    let synced = on(tempfile::tempdir().unwrap().path(), &Disk::of(disk.after_power_failure(|| false)));
    assert_eq!(number(&synced.unwrap()), 20, "and it was on disk before anybody was told");
    let ((), _durable) = count_up(&writer, 99).recv().unwrap().unwrap();
    assert_eq!(store.count().unwrap(), before + 2, "who is alone waits for nobody");
}

/// Of twenty that share a commit every other one is given up, by an error or by a panic.
#[test]
fn one_that_gives_up_takes_nobody_with_it() {
    let (_dir, store, writer) = busy(&Disk::default());
    let held = store.begin().unwrap();
    let give_up = |name: u32| {
        ask(&writer, move |txn| {
            txn.put("n", b"", b"nonsense")?;
            txn.put("name", &name.to_be_bytes(), b"never")?;
            assert!(name % 4 != 1, "a panic in a transaction");
            Err(StoreError::TooLarge(0))
        })
    };
    let told: Vec<_> =
        (0..20).map(|name| if name % 2 == 0 { count_up(&writer, name) } else { give_up(name) }).collect();
    drop(held);
    for (name, told) in (0..).zip(told) {
        match (name % 4, told.recv()) {
            (0 | 2, Ok(Ok(_))) | (1, Err(_)) | (3, Ok(Err(StoreError::TooLarge(0)))) => {}
            (_, other) => panic!("{name}: {other:?}"),
        }
        let there = store.get("name", &u32::to_be_bytes(name)).unwrap().is_some();
        assert_eq!(there, name % 2 == 0, "{name}");
    }
    assert_eq!(number(store.as_ref()), 10);
}

#[test]
fn a_transaction_within_another_refuses_what_the_other_would_refuse() {
    let (_dir, store, writer) = busy(&Disk::default());
    let long = "t".repeat(256);
    for table in ["", "quorate.header", &long] {
        let table = table.to_owned();
        let refused = ask(&writer, move |txn| txn.put(&table, b"", b"")).recv().unwrap();
        assert!(matches!(refused, Err(StoreError::Table { .. })));
    }
    assert_eq!(number(store.as_ref()), 0);
}

#[test]
fn a_failed_sync_is_told_to_everyone_and_ends_it() {
    let disk = Disk::default();
    let (_dir, store, writer) = busy(&disk);
    let held = store.begin().unwrap();
    let told: Vec<_> = (0..3).map(|name| count_up(&writer, name)).collect();
    disk.fail_syncs();
    drop(held);
    for told in told.into_iter().chain([count_up(&writer, 4)]) {
        assert!(told.recv().unwrap().unwrap_err().is_fatal());
    }
}

/// What one transaction sees of the one before it, and of its own writes, in the order of a scan.
#[test]
fn a_scan_sees_what_was_written_before_and_what_it_wrote_itself() {
    let (_dir, store, writer) = busy(&Disk::default());
    let held = store.begin().unwrap();
    let put = |keys: &'static [&'static str]| {
        ask(&writer, move |txn| keys.iter().try_for_each(|key| txn.put("t", key.as_bytes(), key.as_bytes())))
    };
    let (first, (tell, seen)) = (put(&["b", "d", "f", "ba"]), channel());
    let second = ask(&writer, move |txn| {
        txn.delete("t", b"d")?;
        txn.put("t", b"a", b"mine")?;
        txn.put("t", b"f", b"mine")?;
        txn.put("t", b"g", b"mine")?;
        for (prefix, from, most) in [("", "", 9), ("b", "", 9), ("", "b", 9), ("", "", 2), ("f", "f", 1)] {
            let mut found = Vec::new();
            txn.scan("t", prefix.as_bytes(), from.as_bytes(), &mut |key, value| {
                found.push([key, b"=", value].concat());
                if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            let found: Vec<_> = found.into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect();
            tell.send(found.join(" ")).unwrap();
        }
        Ok(())
    });
    drop(held);
    let ((), _first) = first.recv().unwrap().unwrap();
    let ((), _second) = second.recv().unwrap().unwrap();
    let seen: Vec<_> = seen.iter().collect();
    let all = "a=mine b=b ba=ba f=mine g=mine";
    assert_eq!(seen, [all, "b=b ba=ba", "b=b ba=ba f=mine g=mine", "a=mine b=b", "f=mine"]);
}

/// The power fails at every write and sync in turn while four threads write. Who was told that a commit is on disk finds
/// it there, and of the rest there is what was counted.
#[test]
fn what_was_acknowledged_together_survives_a_power_failure_at_any_moment() {
    let three = |writer: &Writer, from: u32| -> Vec<u32> {
        (from..from + 3).take_while(|name| count_up(writer, *name).recv().unwrap().is_ok()).collect()
    };
    let run = |cut: u64| {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        disk.cut_at(cut);
        let writer = Writer::new(Arc::new(on(dir.path(), &disk).ok()?)).unwrap();
        let acknowledged: Vec<_> = std::thread::scope(|scope| {
            let writer = &writer;
            let writers: Vec<_> = (0..4).map(|n| scope.spawn(move || three(writer, n * 10))).collect();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        Some((disk, acknowledged))
    };
    let mut partly = 0;
    for cut in 1..400 {
        let Some((disk, acknowledged)) = run(cut) else { continue };
        for all in [false, true] {
            let image = disk.after_power_failure(|| all || OsRng.next_u32() & 1 == 0);
            let found = on(tempfile::tempdir().unwrap().path(), &Disk::of(image)).unwrap();
            for name in &acknowledged {
                let there = found.get("name", &name.to_be_bytes()).unwrap().is_some();
                assert!(there, "cut at {cut}: {name} is lost");
            }
            let mut names = 0;
            let count = &mut |_: &[u8], _: &[u8]| {
                names += 1;
                ControlFlow::Continue(())
            };
            found.scan("name", b"", b"", count).unwrap();
            assert_eq!(number(&found), names);
        }
        partly += u32::from(!acknowledged.is_empty() && acknowledged.len() < 12);
        if acknowledged.len() == 12 {
            break;
        }
    }
    assert!(partly > 0);
}
