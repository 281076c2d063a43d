//! What a fleet's sealed files cost: `recovery [wallets]` seals a share of so many wallets as a cold node does, copies the
//! directory, and checks it as a ceremony does before it opens anything. Then it sweeps a few real wallets.
//! Prints figures and asserts none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod sweep;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use quorate_manifest::Manifest;
use quorate_mpc::fixtures::run;
use quorate_mpc::{CoreShare, Party, generate_key};
use quorate_recovery::{
    Entry, Facts, Identities, IndexedWallet, Line, SharePackage, WalletFacts, next_entry, read_index,
    seal_share,
};
use quorate_session::{KeyStatement, NodeKey, Statement, WalletTerms};
use quorate_tests::World;
use quorate_types::B256;
use sha2::{Digest, Sha256};

const INDEX: &str = "index.jsonl";

fn main() {
    let wallets: usize = std::env::args().nth(1).map_or(100_000, |arg| arg.parse().expect("a number"));
    let world = World::new();
    let cold = Cold::of(&world);
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("export"), dir.path().join("copy"));
    fs::create_dir(&from).unwrap();
    println!("{wallets} wallets' sealed shares of one node, as its cold directory holds them");
    let bytes =
        timed("seal, sign and write (without a sync a file)", wallets, || cold.export(&from, wallets));
    println!("  {:<48} {:>9} bytes", "one sealed share", bytes / wallets as u64);
    println!("  {:<48} {:>9.1} MB", "all of them, with the index", total(&from) as f64 / 1e6);
    timed("copy", wallets, || copy(&from, &to));
    timed("check the index, and every file against it", wallets, || cold.verify(&to));
    let opened = wallets.min(1_000);
    timed("open (what one party's process does)", opened, || cold.open(&to, opened));
    let fleet = sweep::fleet();
    let took = Instant::now();
    timed("sweep wallets of two transactions each", sweep::WALLETS, || sweep::sweep(&fleet));
    let a_minute = sweep::WALLETS as f64 * 60.0 / took.elapsed().as_secs_f64();
    println!("  {:<48} {a_minute:>9.0}", "wallets swept a minute");
}

fn timed<T>(what: &str, count: usize, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    let took: Duration = began.elapsed();
    let each = took.as_secs_f64() * 1e6 / count as f64;
    println!("  {what:<48} {:>9.1} s   {each:>9.1} us each", took.as_secs_f64());
    done
}

fn total(dir: &Path) -> u64 {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A cold node with one share, which stands for every wallet's: they differ in nothing that costs.
struct Cold {
    manifest: Manifest,
    facts: Facts,
    key: NodeKey,
    recipient: age::x25519::Recipient,
    identity: Identities,
    share: CoreShare,
}

impl Cold {
    fn of(world: &World) -> Self {
        let manifest = Manifest::parse(&world.manifest().body).unwrap();
        let facts = world.cold_facts();
        let born = |me, wire| async move {
            generate_key(Party { eid: &[1; 32], me, participants: &[0, 1, 2] }, wire).await
        };
        let shares = run(&[0, 1, 2], |transit| vec![transit], born);
        let share = shares.into_iter().nth(2).unwrap().ok().unwrap();
        let key = quorate_node::identity::load(&world.path("cold/data")).unwrap();
        Self {
            facts,
            key,
            share,
            recipient: world.recovery().to_public(),
            identity: world.recovery().into(),
            manifest,
        }
    }

    /// One wallet's package, sealed, and what the index says of it.
    fn sealed(&self, number: usize) -> (String, Entry) {
        let public_key = self.share.public_key().unwrap();
        let statement = KeyStatement {
            cluster: self.facts.cluster.clone(),
            group: self.facts.group.clone(),
            wallet: format!("wallet-{number}").parse().unwrap(),
            agent: format!("agent-{number}").parse().unwrap(),
            terms: WalletTerms::default(),
            epoch: 0,
            public_key,
            nodes: self.facts.nodes.clone(),
            eid: [3; 32],
        };
        let signed = statement.sign(&self.facts.node, &self.key).unwrap();
        let wallet = WalletFacts::new(&signed, self.key.public(), &self.share.public_shares()).unwrap();
        let plain = seal_share(&self.facts, &wallet, &self.share, &self.key).unwrap();
        let file = age::encrypt_and_armor(&self.recipient, &plain).unwrap();
        let entry = Entry {
            version: 1,
            sequence: 0,
            previous: B256::ZERO,
            cluster: self.facts.cluster.clone(),
            node: self.facts.node.clone(),
            group: self.facts.group.clone(),
            aux_hash: self.facts.aux_hash,
            file: format!("wallet.wallet-{number}.epoch-0.{}.share.age", &public_key.to_string()[..16]),
            sha256: hex::encode(Sha256::digest(&file)),
            bytes: file.len() as u64,
            created_at_ms: 1,
            wallet: Some(IndexedWallet {
                wallet: wallet.wallet,
                epoch: 0,
                public_key,
                address: wallet.address,
            }),
        };
        (file, entry)
    }

    fn export(&self, dir: &Path, wallets: usize) -> u64 {
        let mut index = BufWriter::new(File::create(dir.join(INDEX)).unwrap());
        let (mut last, mut bytes) = (None::<Line>, 0);
        for number in 0..wallets {
            let (file, entry) = self.sealed(number);
            bytes += file.len() as u64;
            fs::write(dir.join(&entry.file), file).unwrap();
            let line = next_entry(last.as_ref(), entry).unwrap().sign(&self.key).unwrap();
            writeln!(index, "{line}").unwrap();
            last = Some(serde_json::from_str(&line).unwrap());
        }
        index.into_inner().unwrap().sync_all().unwrap();
        bytes
    }

    fn verify(&self, dir: &Path) {
        for entry in read_index(&fs::read(dir.join(INDEX)).unwrap(), &self.manifest).unwrap() {
            entry.check_file(&fs::read(dir.join(&entry.file)).unwrap()).unwrap();
        }
    }

    fn open(&self, dir: &Path, count: usize) {
        let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let shares = files.filter(|file| file.extension().is_some_and(|ending| ending == "age"));
        for file in shares.take(count) {
            let sealed = fs::read(file).unwrap();
            SharePackage::open(&sealed, &self.identity, &self.manifest).unwrap();
        }
    }
}
