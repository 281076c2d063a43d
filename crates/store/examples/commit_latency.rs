//! How long a durable commit takes: `commit_latency [commits] [directory]`. The directory decides which disk is
//! measured; without one it is the system's temporary directory, which may be no disk at all.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_store::{Binding, Kek, Store, StoreError, Txn, Writer, open, open_sled, update};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let commits = args.next().map_or(Ok(500), |n| n.parse())?;
    let dir = match args.next() {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let kek_file = dir.path().join("kek");
    Kek::generate_file(&kek_file)?;
    let binding = Binding { cluster: "bench".parse()?, owner: "node-1".to_owned(), epoch: 0 };
    println!(
        "store: {commits} commits of 3 records of 256 bytes, sealed and synced, in {}",
        dir.path().display()
    );
    let redb = open(&dir.path().join("redb"), &binding, &Kek::from_file(&kek_file)?)?;
    report("redb", measure(&redb, commits)?);
    let began = Instant::now();
    let times = measure_together(&redb, commits)?;
    let each = began.elapsed() / u32::try_from(times.len().max(1))?;
    report("redb, 32 at once", times);
    println!("  {:<18} {each:>9.3?} a commit", "");
    let sled = open_sled(&dir.path().join("sled"), &binding, &Kek::from_file(&kek_file)?)?;
    report("sled", measure(&sled, commits)?);
    report("fsync alone", measure_fsync(dir.path(), commits)?);
    Ok(())
}

/// What one signature writes, about: a reservation, a slot and an audit leaf.
fn records(txn: &mut dyn Txn, i: u64) -> Result<(), StoreError> {
    let value = [0x5a; 256];
    ["ledger", "slots", "audit"].into_iter().try_for_each(|table| txn.put(table, &i.to_be_bytes(), &value))
}

fn write(store: &Arc<dyn Store>, i: u64) -> Result<Duration, StoreError> {
    let start = Instant::now();
    let ((), _durable) = update(&**store, |txn| records(txn, i))?;
    Ok(start.elapsed())
}

fn measure(store: &Arc<dyn Store>, commits: u64) -> Result<Vec<Duration>, StoreError> {
    (0..commits).map(|i| write(store, i)).collect()
}

/// Thirty-two that wait for their answers, and share commits.
fn measure_together(store: &Arc<dyn Store>, commits: u64) -> Result<Vec<Duration>, Failure> {
    let writer = Writer::new(Arc::clone(store))?;
    let one = |i: u64| {
        let ((tell, told), start) = (std::sync::mpsc::channel(), Instant::now());
        writer.write(move |txn| records(txn, i), move |done| drop(tell.send(done)));
        let told = told.recv().map_err(|error| error.to_string())?;
        let ((), _durable) = told.map_err(|error: StoreError| error.to_string())?;
        Ok::<_, String>(start.elapsed())
    };
    std::thread::scope(|scope| {
        let one = &one;
        let client =
            |n: u64| move || (0..commits / 4).map(|i| one(n << 32 | i)).collect::<Result<Vec<_>, _>>();
        let clients: Vec<_> = (1..=32).map(|n| scope.spawn(client(n))).collect();
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.join().map_err(|_| "a client panicked")??);
        }
        Ok(times)
    })
}

/// The disk's own share of it.
fn measure_fsync(dir: &Path, commits: u64) -> std::io::Result<Vec<Duration>> {
    let file = std::fs::File::create(dir.join("fsync"))?;
    let one = |i: u64| {
        let start = Instant::now();
        std::os::unix::fs::FileExt::write_all_at(&file, &[0x5a; 4096], i * 4096)?;
        file.sync_data()?;
        Ok(start.elapsed())
    };
    (0..commits).map(one).collect()
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at =
        |percent: usize| times.get(times.len() * percent / 100).or(times.last()).copied().unwrap_or_default();
    println!("  {name:<18} p50 {:>9.3?}  p95 {:>9.3?}  p99 {:>9.3?}", at(50), at(95), at(99));
}
