//! How to reach a coordinator, and as whom.

use std::path::{Path, PathBuf};

use quorate_transport::TlsFiles;
use serde::{Deserialize, Serialize};

use crate::cli::Globals;
use crate::dev::Layout;
use crate::files;
use crate::refusal::Refusal;

/// A client profile. Relative paths are relative to its file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// `host:port` of the coordinator.
    pub(crate) coordinator: String,
    /// The id its certificate must carry.
    pub(crate) coordinator_id: String,
    /// The client's certificate.
    pub(crate) tls: TlsPaths,
    /// The manifest that wallets' attestations are checked against. Without it an address is the coordinator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest: Option<PathBuf>,
}

/// A certificate, its key and the authority of both ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsPaths {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) ca: PathBuf,
}

impl TlsPaths {
    /// The files, for the transport.
    pub(crate) fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.certificate.clone(), key: self.key.clone(), ca: self.ca.clone() }
    }

    fn relative_to(self, base: &Path) -> Self {
        let Self { certificate, key, ca } = self;
        Self { certificate: base.join(certificate), key: base.join(key), ca: base.join(ca) }
    }
}

/// Whose certificate a command shows where the user names no profile.
#[derive(Clone, Copy)]
pub(crate) enum Caller {
    /// Provisions wallets and policies.
    Operator,
    /// Asks for signatures.
    Gateway,
}

impl Caller {
    /// The name of the dev cluster's profile.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Caller::Operator => "operator",
            Caller::Gateway => "gateway",
        }
    }
}

impl Profile {
    /// Reads a profile.
    pub(crate) fn load(path: &Path) -> Result<Self, Refusal> {
        let profile: Self = files::read_yaml(path)?;
        let base = path.parent().unwrap_or(Path::new("."));
        let manifest = profile.manifest.map(|path| base.join(path));
        Ok(Self { tls: profile.tls.relative_to(base), manifest, ..profile })
    }

    /// The profile the user named, or the dev cluster's for `caller`.
    pub(crate) fn find(globals: &Globals, caller: Caller) -> Result<Self, Refusal> {
        if let Some(path) = &globals.config {
            return Self::load(path).map_err(|refusal| refusal.field("--config"));
        }
        let layout = Layout::new(&globals.dir);
        if !layout.exists() {
            let reason = format!(
                "no client profile: --config is not given and there is no cluster in {}",
                layout.root().display()
            );
            return Err(Refusal::not_found(reason)
                .next("`quorate dev init` makes a cluster on this machine; `--config FILE` names a real one's profile"));
        }
        Self::load(&layout.profile(caller.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_profile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.yaml");
        let text = "coordinator: 127.0.0.1:1\ncoordinator_id: c\ntls: {certificate: a.pem, key: /k, ca: b.pem}\nmanifest: m.yaml\n";
        files::create(&path, text.as_bytes(), files::Mode::Public).unwrap();
        let profile = Profile::load(&path).unwrap();
        assert_eq!(profile.tls.certificate, dir.path().join("a.pem"));
        assert_eq!(profile.tls.key, Path::new("/k"));
        assert_eq!(profile.manifest, Some(dir.path().join("m.yaml")));
    }
}
