//! The memory of running ceremony processes, searched for secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use k256::elliptic_curve::PrimeField;
use k256::{ProjectivePoint, Scalar};
use memchr::memmem;
use quorate_manifest::Manifest;
use quorate_recovery::{Answers, Identities, SharePackage};
use quorate_types::{Address, PublicKey};

use crate::bench::Bench;

/// Largest piece of memory read at once.
const CHUNK: u64 = 1 << 20;

/// A wallet's whole key, which no process may ever hold, and the two shares that are open in one process each.
pub(crate) struct Secrets {
    pub(crate) address: Address,
    key: Vec<Vec<u8>>,
    shares: [Vec<Vec<u8>>; 2],
}

/// What a number looks like in memory and in text.
fn forms(secret: &Scalar) -> Vec<Vec<u8>> {
    let big = secret.to_repr().to_vec();
    let little: Vec<u8> = big.iter().rev().copied().collect();
    let digits = hex::encode(&big);
    vec![digits.to_uppercase().into_bytes(), digits.into_bytes(), big, little]
}

impl Secrets {
    /// Of two parties' packages: the test makes the key that the ceremony must not.
    pub(crate) fn of(bench: &Bench, files: [&std::path::Path; 2]) -> Self {
        let manifest = Manifest::parse(&fs::read(bench.path("manifest.yaml")).unwrap()).unwrap();
        let identity = fs::read_to_string(bench.path("recovery.key")).unwrap();
        let identity = Identities::read(&identity, &Answers::new(None, |_| ())).unwrap();
        let packages =
            files.map(|file| SharePackage::open(&fs::read(file).unwrap(), &identity, &manifest).unwrap());
        // The record ends with the share.
        let shares = packages.each_ref().map(|package| {
            let bytes = package.share.to_bytes().unwrap();
            let share: [u8; 32] = bytes[bytes.len() - 32..].try_into().unwrap();
            Scalar::from_repr(share.into()).unwrap()
        });
        let [x, y] = packages.each_ref().map(|package| Scalar::from(u64::from(package.share.party()) + 1));
        let weigh = |mine: Scalar, other: Scalar| other * (other - mine).invert().unwrap();
        let key = shares[0] * weigh(x, y) + shares[1] * weigh(y, x);
        assert!(!bool::from(key.is_zero()));
        let point = k256::PublicKey::from_affine((ProjectivePoint::GENERATOR * key).to_affine()).unwrap();
        let address = packages[0].wallet.address;
        assert_eq!(PublicKey::from(point).address(), address, "the test looks for another key");
        Self { address, key: forms(&key), shares: shares.each_ref().map(forms) }
    }
}

/// What was seen of which process.
#[derive(Default)]
pub(crate) struct Search {
    relays: BTreeSet<u32>,
    scans: BTreeMap<u32, usize>,
    // Process, and which wallet's which share it held.
    held: BTreeMap<u32, BTreeSet<(Address, usize)>>,
}

impl Search {
    /// Reads all memory of `parent` and of its children once. A process that ended meanwhile is left out.
    pub(crate) fn scan(&mut self, parent: u32, secrets: &[Secrets]) {
        self.relays.insert(parent);
        let children =
            fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        for pid in std::iter::once(parent).chain(children) {
            *self.scans.entry(pid).or_default() += usize::from(self.process(pid, secrets));
        }
    }

    fn process(&mut self, pid: u32, secrets: &[Secrets]) -> bool {
        let Ok(maps) = fs::read_to_string(format!("/proc/{pid}/maps")) else { return false };
        let Ok(memory) = File::open(format!("/proc/{pid}/mem")) else { return false };
        let mut read = false;
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let (mut at, end) =
                (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
            while at < end {
                let length = usize::try_from((end - at).min(CHUNK)).unwrap();
                let mut bytes = vec![0; length];
                if memory.read_exact_at(&mut bytes, at).is_ok() {
                    self.look(pid, &bytes, secrets);
                    read = true;
                }
                // Overlapping, so that nothing hides across an edge.
                at = if at + CHUNK < end { at + CHUNK - 64 } else { end };
            }
        }
        read
    }

    fn look(&mut self, pid: u32, bytes: &[u8], secrets: &[Secrets]) {
        let holds = |forms: &[Vec<u8>]| forms.iter().any(|form| memmem::find(bytes, form).is_some());
        for secret in secrets {
            assert!(!holds(&secret.key), "process {pid} holds the whole key of {}", secret.address);
            for (at, share) in secret.shares.iter().enumerate() {
                if holds(share) {
                    self.held.entry(pid).or_default().insert((secret.address, at));
                }
            }
        }
    }

    /// That enough was seen: every share, in a process of its own, and none in the processes between them.
    pub(crate) fn assert_seen(&self, secrets: &[Secrets]) {
        let expected: BTreeSet<_> =
            secrets.iter().flat_map(|secret| [(secret.address, 0), (secret.address, 1)]).collect();
        let seen: BTreeSet<_> = self.held.values().flatten().copied().collect();
        assert_eq!(seen, expected, "the search did not find what is there: {:?}", self.scans);
        assert!(self.held.values().all(|held| held.len() == 1), "two shares in one process: {:?}", self.held);
        assert!(self.relays.iter().all(|relay| !self.held.contains_key(relay)), "the relay held a share");
        assert!(self.relays.iter().all(|relay| self.scans[relay] > 10), "{:?}", self.scans);
    }
}
