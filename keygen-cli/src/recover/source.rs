//! The files a ceremony starts from, checked as far as they can be without opening anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use quorate_manifest::{Manifest, PersonKey, Pinned, SignedDocument};
use quorate_recovery::{Entry, IndexedWallet, read_index};
use quorate_types::{Address, WalletId};

use super::party::Opener;
use crate::files;
use crate::refusal::{OrRefuse, Refusal};
use crate::ssh;

/// The index's name in a package directory.
const INDEX: &str = "index.jsonl";

/// Whom to believe, from files.
#[derive(Args, Clone)]
pub(crate) struct Trust {
    /// The cluster's manifest
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: PathBuf,
    /// Its signatures; repeat for more
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) manifest_signature: Vec<PathBuf>,
    /// An operator's public key, from your own records: the manifest must be signed by such; repeat for more
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) root: Vec<PathBuf>,
}

/// Files only: nothing here needs a network.
#[derive(Args, Clone)]
pub(crate) struct Files {
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// A node's directory of sealed files with its index.jsonl; give two, of two nodes
    #[arg(long, value_name = "DIR", required = true)]
    package: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) opener: Opener,
    /// The ceremony's transcript, appended to
    #[arg(long, value_name = "FILE", default_value = "ceremony.jsonl")]
    pub(crate) transcript: PathBuf,
}

/// One wallet's files.
#[derive(Args, Clone)]
pub(crate) struct Source {
    #[command(flatten)]
    pub(crate) files: Files,
    /// The wallet
    #[arg(long)]
    pub(crate) wallet: WalletId,
    /// Its address, where it has several keys
    #[arg(long)]
    pub(crate) address: Option<Address>,
}

/// One party's two sealed files, whole as its node's index says.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The node, as the index says.
    pub(crate) node: String,
    /// The sealed share.
    pub(crate) share: PathBuf,
    /// The group's sealed auxiliary info.
    pub(crate) aux: PathBuf,
    /// SHA-256 of both.
    pub(crate) sha256: [String; 2],
    wallet: IndexedWallet,
}

/// Two nodes' directories, their indices checked.
pub(crate) struct Packages([Directory; 2]);

struct Directory {
    path: PathBuf,
    entries: Vec<Entry>,
    // Where in `entries` each wallet's keys are.
    wallets: BTreeMap<WalletId, Vec<usize>>,
}

impl Trust {
    /// The manifest, signed by a quorum of the given roots.
    pub(crate) fn manifest(&self) -> Result<Pinned, Refusal> {
        let body = files::read(&self.manifest)?;
        // One file holds those of several operators, as `quorate manifest sign` writes them.
        let signatures = self.manifest_signature.iter().map(|path| ssh::armors(path));
        let signatures = signatures.collect::<Result<Vec<_>, _>>()?.concat();
        let root =
            |path: &PathBuf| files::read_text(path)?.trim().parse::<PersonKey>().or_invalid(path.display());
        let roots = self.root.iter().map(root).collect::<Result<Vec<_>, _>>()?;
        Pinned::enrol(&SignedDocument { body, signatures }, &roots).map_err(|error| {
            Refusal::invalid(format!("{}: {error}", self.manifest.display())).field("--manifest").next(
                "take the manifest and signatures your operators signed, and their public keys as --root",
            )
        })
    }
}

impl Files {
    /// The two directories, whole as their indices say.
    pub(crate) fn packages(&self, manifest: &Manifest) -> Result<Packages, Refusal> {
        let [first, second] = self.package.as_slice() else {
            let reason = format!("{} given; exactly two nodes' directories are needed", self.package.len());
            return Err(Refusal::usage(reason).field("--package"));
        };
        Ok(Packages([Directory::read(first, manifest)?, Directory::read(second, manifest)?]))
    }
}

impl Packages {
    /// The two parties' files for one key of a wallet: the one with that address, where one is given.
    pub(crate) fn choose(&self, wallet: &WalletId, address: Option<Address>) -> Result<[Chosen; 2], Refusal> {
        let Self([one, two]) = self;
        let (theirs, others) = (one.keys(wallet)?, two.keys(wallet)?);
        let wanted = |key: &&IndexedWallet| address.is_none_or(|address| address == key.address);
        let common: Vec<_> = theirs.iter().filter(|key| others.contains(key)).filter(wanted).collect();
        match common.as_slice() {
            [] => Err(Refusal::invalid(format!(
                "{} and {} hold no share of the same key of wallet {wallet}",
                one.path.display(),
                two.path.display(),
            ))
            .field("--package")
            .next("take two nodes' files made for the same wallet, and an --address both have")),
            [key] => Ok([one.choose(key)?, two.choose(key)?]),
            several => {
                let addresses: Vec<_> = several.iter().map(|key| key.address.to_string()).collect();
                Err(Refusal::invalid(format!("wallet {wallet} has several keys: {}", addresses.join(", ")))
                    .field("--address")
                    .next("give the --address the money is at"))
            }
        }
    }
}

impl Directory {
    fn read(path: &Path, manifest: &Manifest) -> Result<Self, Refusal> {
        let index = path.join(INDEX);
        let entries = read_index(&files::read(&index)?, manifest).map_err(|error| {
            Refusal::invalid(format!("{}: {error}", index.display()))
                .field("--package")
                .next("take another copy of this directory; do not edit the index")
        })?;
        let mut wallets: BTreeMap<WalletId, Vec<usize>> = BTreeMap::new();
        for (at, entry) in entries.iter().enumerate() {
            if let Some(key) = &entry.wallet {
                wallets.entry(key.wallet.clone()).or_default().push(at);
            }
        }
        Ok(Self { path: path.to_owned(), entries, wallets })
    }

    fn keys(&self, wallet: &WalletId) -> Result<Vec<IndexedWallet>, Refusal> {
        let places = self.wallets.get(wallet).into_iter().flatten();
        let keys: Vec<_> = places.filter_map(|at| self.entries.get(*at)?.wallet.clone()).collect();
        if keys.is_empty() {
            let index = self.path.join(INDEX);
            return Err(Refusal::not_found(format!(
                "{}: lists no share of wallet {wallet}",
                index.display()
            ))
            .field("--package")
            .next("take a copy of this directory made after the wallet was"));
        }
        Ok(keys)
    }

    fn choose(&self, key: &IndexedWallet) -> Result<Chosen, Refusal> {
        let places = self.wallets.get(&key.wallet).into_iter().flatten();
        let mut shares = places.filter_map(|at| self.entries.get(*at));
        let share = shares.find(|entry| entry.wallet.as_ref() == Some(key));
        let share = share.ok_or_else(|| Refusal::internal("the index changed"))?;
        let fits = |entry: &&Entry| {
            entry.wallet.is_none() && entry.group == share.group && entry.aux_hash == share.aux_hash
        };
        let aux = self.entries.iter().find(fits).ok_or_else(|| {
            let index = self.path.join(INDEX);
            Refusal::not_found(format!("{}: lists no auxiliary info for {}", index.display(), share.file))
                .field("--package")
                .next("the group's .aux.age file is needed beside the shares: take a whole copy")
        })?;
        let (share_path, aux_path) = (self.check(share)?, self.check(aux)?);
        Ok(Chosen {
            node: share.node.to_string(),
            share: share_path,
            aux: aux_path,
            sha256: [share.sha256.clone(), aux.sha256.clone()],
            wallet: key.clone(),
        })
    }

    /// The file is there, and is what the index says.
    fn check(&self, entry: &Entry) -> Result<PathBuf, Refusal> {
        let path = self.path.join(&entry.file);
        let Err(other) = entry.check_file(&files::read(&path)?) else { return Ok(path) };
        Err(Refusal::invalid(format!("{}: {other}", path.display()))
            .field("--package")
            .next("take another copy of this file and compare it with sha256sum"))
    }
}

impl Chosen {
    /// The address whose share it is.
    pub(crate) const fn address(&self) -> Address {
        self.wallet.address
    }
}
