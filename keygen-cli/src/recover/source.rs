//! The files a ceremony starts from, checked as far as they can be without opening anything.

use std::path::{Path, PathBuf};

use clap::Args;
use quorate_manifest::{Manifest, PersonKey, Pinned, SignedDocument};
use quorate_recovery::{Entry, IndexedWallet, read_index};
use quorate_types::{Address, WalletId};
use sha2::{Digest, Sha256};

use crate::files;
use crate::refusal::{OrRefuse, Refusal};

/// The index's name in a package directory.
const INDEX: &str = "index.jsonl";

/// Files only: nothing here needs a network.
#[derive(Args, Clone)]
pub(crate) struct Source {
    /// The cluster's manifest
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: PathBuf,
    /// Its signatures; repeat for more
    #[arg(long, value_name = "FILE", required = true)]
    manifest_signature: Vec<PathBuf>,
    /// An operator's public key, from your own records: the manifest must be signed by such; repeat for more
    #[arg(long, value_name = "FILE", required = true)]
    root: Vec<PathBuf>,
    /// A node's directory of sealed files with its index.jsonl; give two, of two nodes
    #[arg(long, value_name = "DIR", required = true)]
    package: Vec<PathBuf>,
    /// The wallet
    #[arg(long)]
    pub(crate) wallet: WalletId,
    /// Its address, where it has several keys
    #[arg(long)]
    address: Option<Address>,
    /// The age identity that opens the files
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: PathBuf,
    /// The ceremony's transcript, appended to
    #[arg(long, value_name = "FILE", default_value = "ceremony.jsonl")]
    pub(crate) transcript: PathBuf,
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

struct Directory {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl Source {
    /// The manifest, signed by a quorum of the given roots.
    pub(crate) fn manifest(&self) -> Result<Pinned, Refusal> {
        let body = files::read(&self.manifest)?;
        let signatures = self.manifest_signature.iter().map(|path| files::read_text(path));
        let signatures = signatures.collect::<Result<_, _>>()?;
        let root =
            |path: &PathBuf| files::read_text(path)?.trim().parse::<PersonKey>().or_invalid(path.display());
        let roots = self.root.iter().map(root).collect::<Result<Vec<_>, _>>()?;
        Pinned::enrol(&SignedDocument { body, signatures }, &roots).map_err(|error| {
            Refusal::invalid(format!("{}: {error}", self.manifest.display())).field("--manifest").next(
                "take the manifest and signatures your operators signed, and their public keys as --root",
            )
        })
    }

    /// The two parties' files for one key of the wallet.
    pub(crate) fn choose(&self, manifest: &Manifest) -> Result<[Chosen; 2], Refusal> {
        let [first, second] = self.package.as_slice() else {
            let reason = format!("{} given; exactly two nodes' directories are needed", self.package.len());
            return Err(Refusal::usage(reason).field("--package"));
        };
        let directories = [Directory::read(first, manifest)?, Directory::read(second, manifest)?];
        let [one, two] = &directories;
        let (theirs, others) = (one.keys(&self.wallet)?, two.keys(&self.wallet)?);
        let wanted = |key: &&IndexedWallet| self.address.is_none_or(|address| address == key.address);
        let common: Vec<_> = theirs.iter().filter(|key| others.contains(key)).filter(wanted).collect();
        match common.as_slice() {
            [] => Err(Refusal::invalid(format!(
                "{} and {} hold no share of the same key of wallet {}",
                one.path.display(),
                two.path.display(),
                self.wallet
            ))
            .field("--package")
            .next("take two nodes' files made for the same wallet, and an --address both have")),
            [key] => Ok([one.choose(key)?, two.choose(key)?]),
            several => {
                let addresses: Vec<_> = several.iter().map(|key| key.address.to_string()).collect();
                Err(Refusal::invalid(format!(
                    "wallet {} has several keys: {}",
                    self.wallet,
                    addresses.join(", ")
                ))
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
        Ok(Self { path: path.to_owned(), entries })
    }

    fn keys(&self, wallet: &WalletId) -> Result<Vec<IndexedWallet>, Refusal> {
        let keys = self.entries.iter().filter_map(|entry| entry.wallet.clone());
        let keys: Vec<_> = keys.filter(|key| key.wallet == *wallet).collect();
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
        let share = self.entries.iter().find(|entry| entry.wallet.as_ref() == Some(key));
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
        let bytes = files::read(&path)?;
        let other = if bytes.len() as u64 != entry.bytes {
            format!("has {} bytes, the index says {}: cut short or another file", bytes.len(), entry.bytes)
        } else if hex::encode(Sha256::digest(&bytes)) != entry.sha256 {
            "is not the file of that SHA-256 in the index: altered".to_owned()
        } else {
            return Ok(path);
        };
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
