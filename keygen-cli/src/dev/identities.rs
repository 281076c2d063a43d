//! Keys and certificates of a dev cluster.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use age::secrecy::ExposeSecret;
use quorate_manifest::NodeDraft;
use quorate_transport::pki::{Ca, Validity};
use quorate_transport::{PeerRole, SpiffeId};
use quorate_types::{ClusterId, Role};
use rand_core::{OsRng, RngCore};
use serde::Deserialize;
use ssh_key::{Algorithm, LineEnding, PrivateKey};
use zeroize::Zeroizing;

use super::layout::{CLUSTER, COORDINATOR, Layout, NODES};
use crate::files::{self, Mode};
use crate::refusal::{OrRefuse, Refusal};

/// Days the certificates of a dev cluster last.
const DAYS: u32 = 365;

/// A client of the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Operator,
    Gateway,
    Auditor,
}

/// Every client that gets a profile.
pub(super) const CLIENTS: [Client; 3] = [Client::Operator, Client::Gateway, Client::Auditor];

impl Client {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Client::Operator => "operator",
            Client::Gateway => "gateway",
            Client::Auditor => "auditor",
        }
    }

    const fn role(self) -> PeerRole {
        match self {
            Client::Operator => PeerRole::Operator,
            Client::Gateway => PeerRole::Gateway,
            Client::Auditor => PeerRole::Auditor,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes the authority and a certificate for every process and client, each in its own directory.
pub(super) fn certificates(layout: &Layout) -> Result<(), Refusal> {
    let cluster: ClusterId = CLUSTER.parse().or_internal("the dev cluster's name")?;
    let ca = Ca::generate(&cluster).or_internal("making an authority")?;
    files::private_dir(&layout.authority())?;
    files::create(&layout.authority().join("ca.key"), ca.key_pem().as_bytes(), Mode::Secret)?;
    files::create(&layout.authority().join("ca.pem"), ca.certificate_pem().as_bytes(), Mode::Public)?;
    let issue = |dir: &Path, role: PeerRole, id: &str| {
        let name = SpiffeId::new(cluster.clone(), role, id).or_internal("a certificate's name")?;
        let issued = ca.issue(&name, Validity::days(DAYS)).or_internal("issuing a certificate")?;
        files::private_dir(dir)?;
        files::create(&dir.join("tls.key"), issued.key_pem.as_bytes(), Mode::Secret)?;
        files::create(&dir.join("tls.pem"), issued.certificate_pem.as_bytes(), Mode::Public)?;
        files::create(&dir.join("ca.pem"), ca.certificate_pem().as_bytes(), Mode::Public)
    };
    issue(&layout.machine(COORDINATOR), PeerRole::Coordinator, COORDINATOR)?;
    for (node, _) in NODES {
        issue(&layout.machine(node), PeerRole::Node, node)?;
    }
    for client in CLIENTS {
        issue(&layout.client(client.as_str()), client.role(), client.as_str())?;
    }
    Ok(())
}

/// Makes each process's key-encryption key.
pub(super) fn keks(layout: &Layout) -> Result<(), Refusal> {
    for id in super::layout::processes() {
        let mut key = Zeroizing::new([0_u8; 32]);
        OsRng.fill_bytes(&mut *key);
        files::create(&layout.machine(id).join("kek"), &*key, Mode::Secret)?;
    }
    Ok(())
}

/// Makes the operator's ssh key; answers its public line.
pub(super) fn operator_key(layout: &Layout) -> Result<String, Refusal> {
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).or_internal("making an ssh key")?;
    key.set_comment("operator@dev");
    let path = layout.operator_key();
    files::private_dir(path.parent().unwrap_or(layout.root()))?;
    let pem = key.to_openssh(LineEnding::LF).or_internal("writing an ssh key")?;
    files::create(&path, pem.as_bytes(), Mode::Secret)?;
    let public = key.public_key().to_openssh().or_internal("writing an ssh public key")?;
    files::create(&files::with_suffix(&path, ".pub"), format!("{public}\n").as_bytes(), Mode::Public)?;
    Ok(public)
}

/// Makes the recovery identity; answers its recipient.
pub(super) fn recovery(layout: &Layout) -> Result<String, Refusal> {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let path = layout.recovery();
    files::private_dir(path.parent().unwrap_or(layout.root()))?;
    let secret = identity.to_string();
    let text = Zeroizing::new(format!(
        "# Opens the cold shares of this dev cluster.\n# OF A REAL CLUSTER this file is made on, and never leaves, a machine without a network.\n# public key: {recipient}\n{}\n",
        secret.expose_secret()
    ));
    files::create(&path, text.as_bytes(), Mode::Secret)?;
    Ok(recipient)
}

/// What `quorate-node init` prints.
#[derive(Debug, Deserialize)]
pub(crate) struct NodeKeyFile {
    /// The node's name.
    pub(crate) node: String,
    /// Its Ed25519 public key, 64 hex digits.
    pub(crate) key: String,
}

/// Has a node make its own identity key, in its own process: the secret half never passes through here.
pub(crate) fn init_node(binary: &Path, data_dir: &Path, id: &str) -> Result<NodeKeyFile, Refusal> {
    let output = Command::new(binary)
        .arg("init")
        .arg("--data-dir")
        .arg(data_dir)
        .args(["--id", id])
        .stdin(Stdio::null())
        .output()
        .or_internal(format!("running {}", binary.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Refusal::internal(format!(
            "{} init: {}: {}",
            binary.display(),
            output.status,
            said.trim()
        )));
    }
    serde_json::from_slice(&output.stdout).or_internal(format!("what {} init printed", binary.display()))
}

/// Has every node of the dev cluster make its key.
pub(super) fn nodes(layout: &Layout, binary: &Path) -> Result<Vec<NodeDraft>, Refusal> {
    let draft = |(id, role): (&str, Role)| {
        let made = init_node(binary, &layout.machine(id).join("data"), id)?;
        Ok(NodeDraft { id: made.node, role: role.to_string(), key: made.key })
    };
    NODES.into_iter().map(draft).collect()
}
