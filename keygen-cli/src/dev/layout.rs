//! Where everything of a dev cluster is. Each machine's directory holds all that machine needs, and nothing else.

use std::path::{Path, PathBuf};

use quorate_types::Role;

use crate::refusal::Refusal;

/// The cluster's name.
pub(crate) const CLUSTER: &str = "dev";

/// The group every dev wallet is made in.
pub(crate) const GROUP: &str = "main";

/// The coordinator's id.
pub(crate) const COORDINATOR: &str = "coordinator-1";

/// The nodes, by index.
pub(crate) const NODES: [(&str, Role); 3] =
    [("agent-1", Role::Agent), ("service-1", Role::Service), ("cold-1", Role::Cold)];

/// The directory of a dev cluster.
#[derive(Debug, Clone)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// Whether a cluster was made here. `init` puts the directory in place whole, or not at all.
    pub(crate) fn exists(&self) -> bool {
        // Several signs: what passes for a cluster can be deleted by `dev down --wipe`.
        self.profile("operator").is_file() && self.config(COORDINATOR).is_file() && self.recovery().is_file()
    }

    /// The refusal of commands that need a cluster here.
    pub(crate) fn must_exist(&self) -> Result<(), Refusal> {
        if self.exists() {
            return Ok(());
        }
        Err(Refusal::not_found(format!("there is no cluster in {}", self.0.display()))
            .field("--dir")
            .next("make one with `quorate dev init`"))
    }

    /// A machine's own directory: a node's, or the coordinator's.
    pub(crate) fn machine(&self, id: &str) -> PathBuf {
        self.0.join("machines").join(id)
    }

    /// A machine's configuration.
    pub(crate) fn config(&self, id: &str) -> PathBuf {
        self.machine(id).join("config.yaml")
    }

    /// A client's profile.
    pub(crate) fn profile(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.yaml"))
    }

    /// A client's directory, for its certificate.
    pub(crate) fn client(&self, name: &str) -> PathBuf {
        self.0.join("clients").join(name)
    }

    /// The authority's directory.
    pub(crate) fn authority(&self) -> PathBuf {
        self.0.join("ca")
    }

    /// The signed manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.0.join("manifest.yaml")
    }

    /// The operator's ssh private key.
    pub(crate) fn operator_key(&self) -> PathBuf {
        self.0.join("keys").join("operator")
    }

    /// The recovery identity. Of a real cluster it is on a machine without a network.
    pub(crate) fn recovery(&self) -> PathBuf {
        self.0.join("recovery").join("identity.txt")
    }

    /// Policies written by the demo.
    pub(crate) fn policies(&self) -> PathBuf {
        self.0.join("policies")
    }

    /// A process's log.
    pub(crate) fn log(&self, id: &str) -> PathBuf {
        self.0.join("logs").join(format!("{id}.log"))
    }

    /// A process's pid file.
    pub(crate) fn pid(&self, id: &str) -> PathBuf {
        self.0.join("run").join(format!("{id}.pid"))
    }

    /// Held while processes are started or stopped.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("run").join("lock")
    }
}

/// Every process: the coordinator first, so that nodes find it.
pub(crate) fn processes() -> impl Iterator<Item = &'static str> {
    std::iter::once(COORDINATOR).chain(NODES.iter().map(|(id, _)| *id))
}
