//! The node's configuration: a YAML file, checked as a whole before anything is opened.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_manifest::PersonKey;
use quorate_store::KekConfig;
use quorate_transport::TlsFiles;
use quorate_types::{ClusterId, NodeId, Role};
use serde::Deserialize;

use crate::asking::AskingConfig;

mod presignatures;

pub use presignatures::PresignaturesConfig;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("config {}: {source}", .path.display())]
    Read {
        /// which file
        path: PathBuf,
        /// why not
        source: std::io::Error,
    },
    /// Not the YAML expected: unknown field, missing field, wrong type. The text names the field.
    #[error("config: {0}")]
    Syntax(#[from] serde_norway::Error),
    /// A value that cannot be meant.
    #[error("config: {field}: {reason}")]
    Invalid {
        /// the field's path, such as `coordinators[1].address`
        field: String,
        /// what is wrong with it
        reason: String,
    },
}

/// Everything a node is told from outside.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// Its name in the manifest.
    pub node: NodeId,
    /// Its role, which fixes its party index. Must be the manifest's.
    pub role: Role,
    /// Where its identity key and its store live.
    pub data_dir: PathBuf,
    /// What wraps the keys of the store.
    pub kek: KekConfig,
    /// The coordinators it dials.
    pub coordinators: Vec<CoordinatorConfig>,
    /// Its mutual TLS identity.
    pub tls: TlsFiles,
    /// The signed manifest it enrols with, or is offered a newer one in.
    pub manifest: ManifestFiles,
    /// The operators' public keys (OpenSSH lines) its first manifest must be signed by.
    pub roots: Vec<String>,
    /// The local health endpoint. Loopback only; port 0 takes a free one.
    pub health: SocketAddr,
    /// Whether this is a node of a dev cluster. Must be the manifest's word too.
    #[serde(default)]
    pub dev: bool,
    /// The prime pool.
    #[serde(default)]
    pub primes: PrimesConfig,
    /// Thread counts.
    #[serde(default)]
    pub threads: ThreadsConfig,
    /// Presignatures kept ready.
    #[serde(default)]
    pub presignatures: PresignaturesConfig,
    /// Where a cold node puts its sealed files. Required of a cold node, refused on others.
    pub cold: Option<ColdConfig>,
    /// The local socket agents ask through. Of an agent node only.
    #[serde(default)]
    pub asking: Option<AskingConfig>,
    /// Milliseconds a connection to a coordinator may take to come up.
    #[serde(default = "default_connect_timeout_ms")]
    pub connect_timeout_ms: u64,
}

/// One coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// `host:port`.
    pub address: String,
    /// Its name, which its certificate must carry.
    pub id: String,
}

/// A manifest on disk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFiles {
    /// The YAML document.
    pub document: PathBuf,
    /// Files of armored SSH signatures over it, one or several in each.
    pub signatures: Vec<PathBuf>,
}

/// The prime pool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrimesConfig {
    /// How many sets to keep ready, 1 to 16. One set enrols one group and takes 10 to 110 s of a core to find.
    pub pool: u32,
}

impl Default for PrimesConfig {
    fn default() -> Self {
        Self { pool: 1 }
    }
}

/// Thread counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreadsConfig {
    /// Threads for protocol arithmetic, 1 to 64.
    pub maths: usize,
    /// Threads for presigning, 1 to 64, at a low priority.
    #[serde(default = "default_presign_threads")]
    pub presign: usize,
}

impl Default for ThreadsConfig {
    fn default() -> Self {
        Self { maths: 2, presign: default_presign_threads() }
    }
}

const fn default_presign_threads() -> usize {
    1
}

/// What only a cold node has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColdConfig {
    /// The directory sealed files are written to, to be carried offline.
    pub export_dir: PathBuf,
}

const fn default_connect_timeout_ms() -> u64 {
    5_000
}

impl Config {
    /// Reads and checks the file. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file or the field.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads and checks a configuration whose relative paths are relative to `base`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the field.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = serde_norway::from_str(text)?;
        config.rebase(base);
        config.check()?;
        Ok(config)
    }

    /// How long a connection to a coordinator may take to come up.
    pub const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    fn rebase(&mut self, base: &Path) {
        // `join` keeps an absolute path as it is.
        let rebase = |path: &mut PathBuf| *path = base.join(&path);
        rebase(&mut self.data_dir);
        if let KekConfig::File { file } = &mut self.kek {
            rebase(file);
        }
        [&mut self.tls.certificate, &mut self.tls.key, &mut self.tls.ca].into_iter().for_each(rebase);
        rebase(&mut self.manifest.document);
        self.manifest.signatures.iter_mut().for_each(rebase);
        if let Some(cold) = &mut self.cold {
            rebase(&mut cold.export_dir);
        }
        if let Some(asking) = &mut self.asking {
            rebase(&mut asking.socket);
        }
    }

    /// Checks what the types do not: counts, addresses, keys, and what the role demands.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] naming the first field that is refused.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_coordinators()?;
        self.check_roots()?;
        if !self.health.ip().is_loopback() {
            return Err(invalid(
                "health",
                "must be a loopback address: a node accepts no connection from outside",
            ));
        }
        if self.manifest.signatures.is_empty() {
            return Err(invalid("manifest.signatures", "at least one signature file is needed"));
        }
        if !(1..=16).contains(&self.primes.pool) {
            return Err(invalid("primes.pool", "must be 1 to 16"));
        }
        if !(1..=64).contains(&self.threads.maths) {
            return Err(invalid("threads.maths", "must be 1 to 64"));
        }
        if !(1..=64).contains(&self.threads.presign) {
            return Err(invalid("threads.presign", "must be 1 to 64"));
        }
        self.presignatures.check(self.dev)?;
        if !(100..=60_000).contains(&self.connect_timeout_ms) {
            return Err(invalid("connect_timeout_ms", "must be 100 to 60000"));
        }
        if let Some(asking) = &self.asking {
            if self.role != Role::Agent {
                return Err(invalid("asking", "only an agent node signs for agents"));
            }
            if let Some((field, reason)) = asking.refusal() {
                return Err(invalid(field, reason));
            }
        }
        match (self.role, &self.cold) {
            (Role::Cold, None) => {
                Err(invalid("cold.export_dir", "a cold node must be told where its sealed files go"))
            }
            (Role::Agent | Role::Service, Some(_)) => {
                Err(invalid("cold", "only a cold node writes sealed files"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a cold node can write its sealed files: at start, and not when the first wallet is made.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] naming `cold.export_dir`.
    pub(crate) fn check_export_dir(&self) -> Result<(), ConfigError> {
        let Some(ColdConfig { export_dir }) = &self.cold else { return Ok(()) };
        let written = crate::cold::probe(export_dir);
        written.map_err(|error| {
            invalid("cold.export_dir", format!("{} cannot be written: {error}", export_dir.display()))
        })
    }

    fn check_coordinators(&self) -> Result<(), ConfigError> {
        if self.coordinators.is_empty() {
            return Err(invalid("coordinators", "at least one is needed"));
        }
        let mut seen = HashSet::new();
        for (i, coordinator) in self.coordinators.iter().enumerate() {
            let port = coordinator.address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
            if !matches!(port, Some((host, Ok(1..))) if !host.is_empty()) {
                return Err(invalid(format!("coordinators[{i}].address"), "expected host:port"));
            }
            // A coordinator's name has the alphabet every other name has.
            if let Err(error) = coordinator.id.parse::<NodeId>() {
                let reason = error.to_string().replacen("node: ", "", 1);
                return Err(invalid(format!("coordinators[{i}].id"), reason));
            }
            if !seen.insert(&coordinator.id) {
                return Err(invalid(format!("coordinators[{i}].id"), "named twice"));
            }
        }
        Ok(())
    }

    fn check_roots(&self) -> Result<(), ConfigError> {
        if self.roots.is_empty() {
            return Err(invalid("roots", "at least one operator key is needed"));
        }
        for (i, root) in self.roots.iter().enumerate() {
            root.parse::<PersonKey>().map_err(|error| invalid(format!("roots[{i}]"), error.to_string()))?;
        }
        Ok(())
    }
}

fn invalid(field: impl Into<String>, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { field: field.into(), reason: reason.into() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti olga";

    fn yaml() -> String {
        format!(
            r#"
cluster: dev
node: service-1
role: service
data_dir: data
kek: {{file: kek}}
coordinators: [{{address: "127.0.0.1:7000", id: coordinator-1}}]
tls: {{certificate: tls/node.pem, key: /abs/node.key, ca: tls/ca.pem}}
manifest: {{document: manifest.yaml, signatures: [manifest.sig]}}
roots: ["{KEY}"]
health: 127.0.0.1:0
"#
        )
    }

    fn refused(from: &str, to: &str) -> String {
        let text = yaml();
        assert!(text.contains(from), "{from}");
        match Config::parse(&text.replacen(from, to, 1), Path::new("/etc/quorate")) {
            Ok(_) => panic!("accepted {to}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn relative_paths_are_relative_to_the_file_and_defaults_hold() {
        let config = Config::parse(&yaml(), Path::new("/etc/quorate")).unwrap();
        assert_eq!(config.data_dir, Path::new("/etc/quorate/data"));
        assert_eq!(config.tls.certificate, Path::new("/etc/quorate/tls/node.pem"));
        assert_eq!(config.tls.key, Path::new("/abs/node.key"));
        assert_eq!(config.manifest.signatures, [Path::new("/etc/quorate/manifest.sig")]);
        assert!(matches!(&config.kek, KekConfig::File { file } if file == Path::new("/etc/quorate/kek")));
        assert_eq!((config.primes.pool, config.threads.maths, config.dev), (1, 2, false));
        assert_eq!(config.threads.presign, 1);
        let presignatures = PresignaturesConfig { per_pair: 32, ttl_s: 1800, memory_mib: 64, dealt: false };
        assert_eq!(config.presignatures, presignatures);
    }

    #[test]
    fn every_refusal_names_its_field() {
        let cases = [
            ("cluster: dev", "cluster: Dev", "cluster"),
            ("role: service", "role: signer", "role"),
            ("127.0.0.1:7000", "127.0.0.1", "coordinators[0].address"),
            ("127.0.0.1:7000", ":7000", "coordinators[0].address"),
            ("127.0.0.1:7000", "host:0", "coordinators[0].address"),
            ("id: coordinator-1", "id: Coord", "coordinators[0].id"),
            ("[{address: \"127.0.0.1:7000\", id: coordinator-1}]", "[]", "coordinators"),
            ("health: 127.0.0.1:0", "health: 0.0.0.0:9000", "health"),
            ("signatures: [manifest.sig]", "signatures: []", "manifest.signatures"),
            ("ssh-ed25519 ", "ssh-ed25519 x", "roots[0]"),
            ("health:", "primes: {pool: 0}\nhealth:", "primes.pool"),
            ("health:", "threads: {maths: 0}\nhealth:", "threads.maths"),
            ("health:", "threads: {maths: 1, presign: 0}\nhealth:", "threads.presign"),
            ("health:", "presignatures: {per_pair: 1025}\nhealth:", "presignatures.per_pair"),
            ("health:", "presignatures: {dealt: true}\nhealth:", "presignatures.dealt"),
            ("health:", "presignatures: {ttl_s: 9}\nhealth:", "presignatures.ttl_s"),
            ("health:", "presignatures: {memory_mib: 0}\nhealth:", "presignatures.memory_mib"),
            ("health:", "connect_timeout_ms: 1\nhealth:", "connect_timeout_ms"),
            ("health:", "cold: {export_dir: out}\nhealth:", "cold"),
            ("role: service", "role: cold", "cold.export_dir"),
            ("health:", "surprise: 1\nhealth:", "surprise"),
        ];
        for (from, to, field) in cases {
            let error = refused(from, to);
            assert!(error.contains(field), "{to}: {error}");
        }
    }

    #[test]
    fn a_coordinator_named_twice_is_refused() {
        let two = "{address: \"a:1\", id: c}, {address: \"b:1\", id: c}";
        let error = refused("{address: \"127.0.0.1:7000\", id: coordinator-1}", two);
        assert_eq!(error, "config: coordinators[1].id: named twice");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::load(Path::new("/nonexistent/node.yaml")).err().unwrap().to_string();
        assert!(error.contains("/nonexistent/node.yaml"), "{error}");
    }
}
