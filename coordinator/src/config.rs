//! The configuration file: YAML, unknown keys refused, relative paths taken from the file's own directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_store::KekConfig;
use quorate_transport::TlsFiles;
use quorate_types::{ClusterId, NodeId};
use serde::Deserialize;

use crate::alerts::AlertsConfig;

/// What a coordinator is told at its start.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The cluster it serves.
    pub cluster: ClusterId,
    /// Its own name, as in its certificate's SPIFFE id.
    pub coordinator: String,
    /// Where gRPC is served; port 0 picks one.
    pub listen: SocketAddr,
    /// The store's directory. Only this process may use it.
    pub data_dir: PathBuf,
    /// The key that opens the store.
    pub kek: KekConfig,
    /// Certificate, key and CA.
    pub tls: TlsFiles,
    /// The manifest it starts from.
    pub manifest: ManifestFiles,
    /// OpenSSH public keys of the operators who may sign the first manifest.
    pub roots: Vec<String>,
    /// Loopback address for health and metrics.
    pub health: SocketAddr,
    /// A development cluster: serves gRPC reflection. The manifest must say the same.
    #[serde(default)]
    pub dev: bool,
    /// How long each kind of operation may take.
    #[serde(default)]
    pub deadlines: Deadlines,
    /// How many presignatures the nodes are asked to keep ready.
    #[serde(default)]
    pub pools: PoolsConfig,
    /// Who is told what happens.
    #[serde(default)]
    pub alerts: AlertsConfig,
}

/// How many presignatures the nodes are asked to keep ready, by wallet. Each costs the two nodes about a CPU-second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolsConfig {
    /// Most for one wallet; the nodes keep no more than their own bound. 0 turns pools off.
    pub per_wallet: usize,
    /// Fewest for a wallet that signed within the last ten minutes.
    pub hot: usize,
    /// Fewest for one that signed within the last day.
    pub idle: usize,
    /// Presigning sessions at once, 1 to 64.
    pub sessions: usize,
}

impl Default for PoolsConfig {
    fn default() -> Self {
        Self { per_wallet: 16, hot: 4, idle: 1, sessions: 2 }
    }
}

/// A signed document in files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFiles {
    /// The body.
    pub document: PathBuf,
    /// Files of armored SSH signatures over it, one or several in each.
    pub signatures: Vec<PathBuf>,
}

/// Deadlines in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deadlines {
    /// One signing, over all its attempts.
    pub sign_ms: u32,
    /// One key generation.
    pub keygen_ms: u32,
    /// Enrolling one group; nodes without primes find them first.
    pub enrol_ms: u32,
    /// Waiting for nodes to acknowledge a policy, a manifest or an activation.
    pub policy_ms: u32,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { sign_ms: 30_000, keygen_ms: 10_000, enrol_ms: 600_000, policy_ms: 5_000 }
    }
}

impl Deadlines {
    pub(crate) fn sign(&self) -> Duration {
        Duration::from_millis(self.sign_ms.into())
    }

    pub(crate) fn keygen(&self) -> Duration {
        Duration::from_millis(self.keygen_ms.into())
    }

    pub(crate) fn enrol(&self) -> Duration {
        Duration::from_millis(self.enrol_ms.into())
    }

    pub(crate) fn policy(&self) -> Duration {
        Duration::from_millis(self.policy_ms.into())
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// which file
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// It is not the YAML of a configuration.
    #[error("{}: {reason}", path.display())]
    Parse {
        /// which file
        path: PathBuf,
        /// where and why
        reason: String,
    },
    /// A field's value is refused.
    #[error("{field}: {reason}")]
    Field {
        /// which field
        field: &'static str,
        /// why
        reason: String,
    },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file or the field.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let parse = |error: serde_norway::Error| ConfigError::Parse {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let mut config: Self = serde_norway::from_str(&text).map_err(parse)?;
        config.resolve(path.parent().unwrap_or(Path::new(".")));
        config.check()?;
        Ok(config)
    }

    fn resolve(&mut self, base: &Path) {
        let Self { data_dir, kek, tls, manifest, alerts, .. } = self;
        alerts.resolve(base);
        let mut paths =
            vec![data_dir, &mut tls.certificate, &mut tls.key, &mut tls.ca, &mut manifest.document];
        paths.extend(&mut manifest.signatures);
        if let KekConfig::File { file } = kek {
            paths.push(file);
        }
        for path in paths {
            // Joining an absolute path yields it unchanged.
            *path = base.join(&*path);
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let field = |field, reason: &str| Err(ConfigError::Field { field, reason: reason.to_owned() });
        if self.coordinator.parse::<NodeId>().is_err() {
            return field("coordinator", "must be 1 to 63 characters of a-z, 0-9 and inner '-'");
        }
        if !self.health.ip().is_loopback() {
            return field("health", "must be a loopback address");
        }
        if self.roots.is_empty() {
            return field("roots", "name at least one operator's ssh public key");
        }
        if self.manifest.signatures.is_empty() {
            return field("manifest.signatures", "name at least one signature file");
        }
        let Deadlines { sign_ms, keygen_ms, enrol_ms, policy_ms } = self.deadlines;
        if [sign_ms, keygen_ms, enrol_ms, policy_ms].contains(&0) {
            return field("deadlines", "must be above 0 ms");
        }
        if self.pools.per_wallet > 1024 {
            return field("pools.per_wallet", "must be 0 to 1024");
        }
        if !(1..=64).contains(&self.pools.sessions) {
            return field("pools.sessions", "must be 1 to 64");
        }
        self.alerts.check().or_else(|(name, reason)| field(name, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "
cluster: dev
coordinator: coordinator-1
listen: 127.0.0.1:7443
data_dir: data
kek: {file: kek}
tls: {certificate: tls/c.pem, key: /etc/k.pem, ca: tls/ca.pem}
manifest: {document: manifest.yaml, signatures: [manifest.yaml.sig]}
roots: ['ssh-ed25519 AAAA ops']
health: 127.0.0.1:9443
";

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, text).unwrap();
        let mut config = Config::load(&path)?;
        // So that tests can compare without the directory's random name.
        config.data_dir = config.data_dir.strip_prefix(dir.path()).unwrap().to_owned();
        Ok(config)
    }

    #[test]
    fn reads_the_sample_with_defaults_and_resolves_paths() {
        let config = load(SAMPLE).unwrap();
        assert_eq!(config.deadlines, Deadlines::default());
        assert_eq!(config.pools, PoolsConfig { per_wallet: 16, hot: 4, idle: 1, sessions: 2 });
        assert_eq!(config.data_dir, Path::new("data"));
        assert_eq!(config.tls.key, Path::new("/etc/k.pem"));
        assert!(config.tls.ca.is_absolute() && config.tls.ca.ends_with("tls/ca.pem"));
        assert!(config.manifest.signatures.iter().all(|path| path.is_absolute()));
        assert!(!config.dev);
        assert_eq!(config.alerts, AlertsConfig::default());
    }

    #[test]
    fn refusals_name_the_field() {
        let refusals = [
            ("health: 127.0.0.1:9443", "health: 0.0.0.0:9443", "health: must be a loopback address"),
            ("coordinator: coordinator-1", "coordinator: 'No'", "coordinator: must be"),
            ("roots: ['ssh-ed25519 AAAA ops']", "roots: []", "roots: name at least"),
            ("signatures: [manifest.yaml.sig]", "signatures: []", "manifest.signatures: name"),
            ("cluster: dev", "cluster: dev\ndeadlines: {sign_ms: 0}", "deadlines: must be above 0"),
            (
                "cluster: dev",
                "cluster: dev\npools: {per_wallet: 1025}",
                "pools.per_wallet: must be 0 to 1024",
            ),
            ("cluster: dev", "cluster: dev\npools: {sessions: 0}", "pools.sessions: must be 1 to 64"),
            ("cluster: dev", "cluster: dev\nalerts: {throttle_s: 86401}", "alerts.throttle_s: must be"),
            ("cluster: dev", "cluster: dev\nalerts: {give_up_s: 59}", "alerts.give_up_s: must be"),
            (
                "cluster: dev",
                "cluster: dev\nalerts: {webhooks: [{name: a, url: u, secret_file: s}, {name: a, url: u, secret_file: s}]}",
                "alerts: two receivers have one name",
            ),
            (
                "cluster: dev",
                "cluster: dev\nalerts: {webhooks: [{name: A, url: u, secret_file: s}]}",
                "alerts: a receiver's name must be",
            ),
            (
                "cluster: dev",
                "cluster: dev\nalerts: {webhooks: [{name: a, url: u, secret_file: s, secret: x}]}",
                "unknown field `secret`",
            ),
            ("cluster: dev", "cluster: dev\ncolour: red", "unknown field `colour`"),
            ("cluster: dev", "cluster: Dev", "cluster: only a-z"),
        ];
        for (from, to, expected) in refusals {
            let text = SAMPLE.replace(from, to);
            assert_ne!(text, SAMPLE);
            let Err(error) = load(&text) else { panic!("accepted: {to}") };
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
