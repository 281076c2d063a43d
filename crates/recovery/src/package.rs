//! Sealed packages: JSON inside an armored [age](https://age-encryption.org/v1) file, signed by the node that made it.
//!
//! Anybody can seal something to a public recipient, so a package is believed only for its node's signature.

use std::io::Read;

use age::armor::ArmoredReader;
use quorate_manifest::Manifest;
use quorate_mpc::{CoreShare, GroupAux, Moduli};
use quorate_session::NodeKey;
use quorate_types::Transcript;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::facts::{Facts, WalletFacts};
use crate::identities::Identities;

/// Largest sealed file accepted, in bytes: far above an auxiliary package of some 30 kB.
pub const MAX_SEALED_BYTES: usize = 1 << 20;

const SHARE: &str = "quorate/sealed-share/v1";
const AUX: &str = "quorate/sealed-aux/v1";
const DOMAIN: &str = "quorate/sealed-package/v1";

const SHARE_WORDS: &str = "One share of one wallet's key. Alone it signs nothing and tells nothing. To move the money: \
    on an offline machine, this file, the group's .aux.age file beside it, and the same two files of ONE other node; \
    then `quorate recover verify`, `recover drill`, `recover sweep`. See docs/ceremony.md. Never put two shares of a \
    wallet on a machine that has a network.";
const AUX_WORDS: &str = "One node's auxiliary info for a group of wallets: every share of that node signs only with it. \
    Keep it as carefully as the shares, beside them. See docs/ceremony.md.";

/// Why a package was refused. The texts hold nothing secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PackageError {
    /// Cut short, altered, or no age file at all.
    #[error(
        "is not a whole age file ({0}): cut short or altered; take another copy and compare its SHA-256 with the index"
    )]
    NotSealed(String),
    /// Sealed to somebody else.
    #[error(
        "does not open with this identity: it was sealed to other recipients; look up in the manifest's `recovery` list which identity is needed"
    )]
    WrongIdentity,
    /// The age plugin of a hardware token did not open it.
    #[error(
        "was not opened by the token: {0}; if it asked for a PIN, write the PIN to a file and name it by --pin-file"
    )]
    Token(String),
    /// It opens, and holds something else.
    #[error("opens, but is no package of this kind: {0}")]
    Content(String),
    /// Not by a node of this manifest.
    #[error(
        "is not signed by node {0} of this manifest: forged, of another cluster, or altered; do not use it"
    )]
    NotSigned(String),
    /// A field contradicts another.
    #[error("{field}: {reason}")]
    Field {
        /// which field
        field: &'static str,
        /// what is wrong with it
        reason: String,
    },
}

/// What is sealed. The secret is wiped on drop.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    quorate: String,
    instructions: String,
    facts: Facts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wallet: Option<WalletFacts>,
    secret: String,
}

impl Drop for Body {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    body: Body,
    signature: String,
}

/// The plaintext of a share's package, to be sealed at once.
///
/// # Errors
/// [`PackageError::Content`] where the share cannot be encoded.
pub fn seal_share(
    facts: &Facts,
    wallet: &WalletFacts,
    share: &CoreShare,
    key: &NodeKey,
) -> Result<Zeroizing<Vec<u8>>, PackageError> {
    let secret = share.to_bytes().map_err(content)?;
    sign(body(SHARE, SHARE_WORDS, facts, (Some(wallet.clone()), &secret)), key)
}

/// The plaintext of a group's auxiliary package, to be sealed at once.
///
/// # Errors
/// [`PackageError::Content`] where it cannot be encoded.
pub fn seal_aux(facts: &Facts, aux: &GroupAux, key: &NodeKey) -> Result<Zeroizing<Vec<u8>>, PackageError> {
    let secret = aux.to_bytes().map_err(content)?;
    sign(body(AUX, AUX_WORDS, facts, (None, &secret)), key)
}

fn body(kind: &str, words: &str, facts: &Facts, (wallet, secret): (Option<WalletFacts>, &[u8])) -> Body {
    Body {
        quorate: kind.to_owned(),
        instructions: words.to_owned(),
        facts: facts.clone(),
        wallet,
        secret: hex::encode(secret),
    }
}

fn sign(body: Body, key: &NodeKey) -> Result<Zeroizing<Vec<u8>>, PackageError> {
    let signature = hex::encode(key.sign_statement(DOMAIN, &digest(&body)?));
    let mut plain = Zeroizing::new(Vec::with_capacity(64 * 1024));
    serde_json::to_writer_pretty(&mut *plain, &Signed { body, signature }).map_err(content)?;
    Ok(plain)
}

/// A body has one encoding: its fields in order, as compact JSON. What is signed is its hash.
fn digest(body: &Body) -> Result<Vec<u8>, PackageError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    serde_json::to_writer(&mut *bytes, body).map_err(content)?;
    Ok(Transcript::new(DOMAIN).field(&bytes).finish().to_vec())
}

fn content(error: impl std::fmt::Display) -> PackageError {
    PackageError::Content(error.to_string())
}

fn field(field: &'static str, reason: impl Into<String>) -> PackageError {
    PackageError::Field { field, reason: reason.into() }
}

/// What an armored age file holds.
///
/// # Errors
/// [`PackageError::NotSealed`] or [`PackageError::WrongIdentity`].
pub fn open_sealed(sealed: &[u8], identities: &Identities) -> Result<Zeroizing<Vec<u8>>, PackageError> {
    if sealed.len() > MAX_SEALED_BYTES {
        return Err(PackageError::NotSealed(format!("{} bytes, at most {MAX_SEALED_BYTES}", sealed.len())));
    }
    let broken = |error: &dyn std::fmt::Display| PackageError::NotSealed(error.to_string());
    let decryptor = age::Decryptor::new(ArmoredReader::new(sealed)).map_err(|error| broken(&error))?;
    let mut reader = decryptor.decrypt(identities.for_file()).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys | age::DecryptError::KeyDecryptionFailed => {
            PackageError::WrongIdentity
        }
        error @ age::DecryptError::Plugin(_) => PackageError::Token(error.to_string().replace('\n', " ")),
        other => broken(&other),
    })?;
    // Large enough never to grow, so that no copy is left behind by a reallocation.
    let mut plain = Zeroizing::new(Vec::with_capacity(MAX_SEALED_BYTES));
    reader.read_to_end(&mut plain).map_err(|error| broken(&error))?;
    Ok(plain)
}

/// Opens, checks the node's signature, and checks the facts against the manifest.
fn open(
    sealed: &[u8],
    kind: &str,
    identities: &Identities,
    manifest: &Manifest,
) -> Result<Body, PackageError> {
    let plain = open_sealed(sealed, identities)?;
    // serde_json quotes no values in its errors for missing fields, but it does for wrong types: say where only.
    let signed: Signed = serde_json::from_slice(&plain).map_err(|error| {
        PackageError::Content(format!("line {}, column {}", error.line(), error.column()))
    })?;
    let Signed { body, signature } = signed;
    if body.quorate != kind {
        return Err(PackageError::Content(format!("it is {:?}, expected {kind:?}", body.quorate)));
    }
    let unsigned = || PackageError::NotSigned(body.facts.node.to_string());
    let entry = manifest.node(&body.facts.node).ok_or_else(unsigned)?;
    let signature = hex::decode(&signature).map_err(|_| unsigned())?;
    entry.key.verify_statement(DOMAIN, &digest(&body)?, &signature).map_err(|_| unsigned())?;
    if body.facts.cluster != *manifest.cluster() {
        let reason = format!("is {}, the manifest is of {}", body.facts.cluster, manifest.cluster());
        return Err(field("cluster", reason));
    }
    if body.facts.role != entry.role {
        return Err(field("role", format!("is {}, the manifest says {}", body.facts.role, entry.role)));
    }
    let Some(group) = manifest.group(&body.facts.group) else {
        return Err(field("group", format!("the manifest has no group {}", body.facts.group)));
    };
    if !group.nodes().into_iter().eq(&body.facts.nodes) {
        return Err(field("nodes", format!("are not those of group {} in the manifest", group.id)));
    }
    Ok(body)
}

fn secret(body: &Body) -> Result<Zeroizing<Vec<u8>>, PackageError> {
    hex::decode(&body.secret).map(Zeroizing::new).map_err(|_| field("secret", "not hex"))
}

/// A share's package, opened and checked. The share never leaves the process that opened it.
pub struct SharePackage {
    /// Where it comes from.
    pub facts: Facts,
    /// Which key it belongs to.
    pub wallet: WalletFacts,
    /// The share.
    pub share: CoreShare,
}

impl SharePackage {
    /// Opens a sealed file. The share is checked against its public share and the public key, the facts against the
    /// share, the node's statement and the manifest.
    ///
    /// # Errors
    /// [`PackageError`]; it says what is wrong and holds nothing secret.
    pub fn open(sealed: &[u8], identities: &Identities, manifest: &Manifest) -> Result<Self, PackageError> {
        let mut body = open(sealed, SHARE, identities, manifest)?;
        let wallet = body.wallet.take().ok_or_else(|| PackageError::Content("no wallet".to_owned()))?;
        wallet.check(&body.facts, manifest).map_err(|reason| field("wallet", reason))?;
        let invalid = |error: quorate_mpc::ShareError| field("secret", error.to_string());
        let share = CoreShare::from_bytes(&secret(&body)?).map_err(invalid)?;
        let public: Vec<_> = share.public_shares().iter().map(hex::encode).collect();
        if share.party() != body.facts.role.index() {
            return Err(field("secret", "is the share of another party"));
        }
        if share.public_key().map_err(invalid)? != wallet.public_key || public != wallet.public_shares {
            return Err(field("secret", "is the share of another key"));
        }
        Ok(Self { facts: body.facts.clone(), wallet, share })
    }
}

/// A group's auxiliary package, opened and checked.
pub struct AuxPackage {
    /// Where it comes from.
    pub facts: Facts,
    /// The auxiliary info, its party's primes included.
    pub aux: GroupAux,
}

impl AuxPackage {
    /// Opens a sealed file. Dev moduli are accepted only where the manifest says `dev`.
    ///
    /// # Errors
    /// [`PackageError`]; it says what is wrong and holds nothing secret.
    pub fn open(sealed: &[u8], identities: &Identities, manifest: &Manifest) -> Result<Self, PackageError> {
        let body = open(sealed, AUX, identities, manifest)?;
        let moduli = if manifest.is_dev() { Moduli::Dev } else { Moduli::Production };
        let aux = GroupAux::from_bytes(&secret(&body)?, moduli)
            .map_err(|error| field("secret", error.to_string()))?;
        if aux.party() != body.facts.role.index() {
            return Err(field("secret", "is the auxiliary info of another party"));
        }
        if aux.hash() != body.facts.aux_hash {
            return Err(field("aux_hash", "is not that of the auxiliary info inside"));
        }
        Ok(Self { facts: body.facts.clone(), aux })
    }
}
