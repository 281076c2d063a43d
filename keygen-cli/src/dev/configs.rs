//! The configuration files of a dev cluster. Paths are relative to each file.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use quorate_types::Role;
use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};

use super::layout::{CLUSTER, COORDINATOR, Layout, NODES};
use crate::files::{self, Mode};
use crate::profile::{Profile, TlsPaths};
use crate::refusal::{OrRefuse, Refusal};

/// `quorate-node`'s configuration.
#[derive(Debug, Serialize)]
struct NodeConfig {
    cluster: &'static str,
    node: &'static str,
    role: Role,
    data_dir: &'static str,
    kek: Kek,
    coordinators: Vec<Coordinator>,
    tls: TlsPaths,
    manifest: ManifestFiles,
    roots: Vec<String>,
    health: SocketAddr,
    dev: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cold: Option<Cold>,
}

/// `quorate-coordinator`'s configuration.
#[derive(Debug, Serialize)]
struct CoordinatorConfig {
    cluster: &'static str,
    coordinator: &'static str,
    listen: SocketAddr,
    data_dir: &'static str,
    kek: Kek,
    tls: TlsPaths,
    manifest: ManifestFiles,
    roots: Vec<String>,
    health: SocketAddr,
    dev: bool,
}

#[derive(Debug, Serialize)]
struct Kek {
    file: &'static str,
}

#[derive(Debug, Serialize)]
struct Cold {
    export_dir: &'static str,
}

#[derive(Debug, Serialize)]
struct Coordinator {
    address: SocketAddr,
    id: &'static str,
}

#[derive(Debug, Serialize)]
struct ManifestFiles {
    document: &'static str,
    signatures: Vec<&'static str>,
}

/// Where a cold node puts its sealed files.
pub(super) const EXPORT_DIR: &str = "export";

const KEK: Kek = Kek { file: "kek" };

fn tls() -> TlsPaths {
    let [certificate, key, ca] = ["tls.pem", "tls.key", "ca.pem"].map(PathBuf::from);
    TlsPaths { certificate, key, ca }
}

fn manifest() -> ManifestFiles {
    ManifestFiles { document: "manifest.yaml", signatures: vec!["manifest.yaml.sig"] }
}

/// Ports that no system gives to outgoing connections by itself: one that is down for a while finds its own again.
const FIRST: u16 = 20_000;
/// How many there are of them.
const SPAN: u32 = 12_000;
/// Ports tried, most of which are free.
const TRIES: usize = 100;

/// Loopback addresses that were free a moment ago, all different.
struct Addresses {
    grpc: SocketAddr,
    coordinator_health: SocketAddr,
    node_health: [SocketAddr; NODES.len()],
}

impl Addresses {
    fn choose() -> Result<Self, Refusal> {
        let bind = || {
            let port = || u16::try_from(OsRng.next_u32() % SPAN).map_or(FIRST, |at| FIRST.saturating_add(at));
            let tried = (0..TRIES).find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, port())).ok());
            let listener = tried.map_or_else(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)), Ok)?;
            listener.local_addr().map(|address| (listener, address))
        };
        // All are held until the last is chosen, or one could be named twice.
        let one = || bind().or_internal("choosing a free loopback port");
        let (grpc, coordinator, a, b, c) = (one()?, one()?, one()?, one()?, one()?);
        Ok(Self { grpc: grpc.1, coordinator_health: coordinator.1, node_health: [a.1, b.1, c.1] })
    }
}

/// Writes every process's configuration and every client's profile.
pub(super) fn write(layout: &Layout, operator: &str) -> Result<(), Refusal> {
    let addresses = Addresses::choose()?;
    let roots = || vec![operator.to_owned()];
    let coordinator = CoordinatorConfig {
        cluster: CLUSTER,
        coordinator: COORDINATOR,
        listen: addresses.grpc,
        data_dir: "data",
        kek: KEK,
        tls: tls(),
        manifest: manifest(),
        roots: roots(),
        health: addresses.coordinator_health,
        dev: true,
    };
    create(&layout.config(COORDINATOR), &coordinator)?;
    for ((node, role), health) in NODES.into_iter().zip(addresses.node_health) {
        let config = NodeConfig {
            cluster: CLUSTER,
            node,
            role,
            data_dir: "data",
            kek: KEK,
            coordinators: vec![Coordinator { address: addresses.grpc, id: COORDINATOR }],
            tls: tls(),
            manifest: manifest(),
            roots: roots(),
            health,
            dev: true,
            cold: (role == Role::Cold).then_some(Cold { export_dir: EXPORT_DIR }),
        };
        create(&layout.config(node), &config)?;
    }
    for client in super::identities::CLIENTS {
        let paths = TlsPaths {
            certificate: format!("clients/{client}/tls.pem").into(),
            key: format!("clients/{client}/tls.key").into(),
            ca: format!("clients/{client}/ca.pem").into(),
        };
        let coordinator_id = COORDINATOR.to_owned();
        let coordinator = addresses.grpc.to_string();
        let profile =
            Profile { coordinator, coordinator_id, tls: paths, manifest: Some("manifest.yaml".into()) };
        create(&layout.profile(client.as_str()), &profile)?;
    }
    Ok(())
}

fn create(path: &std::path::Path, config: &impl Serialize) -> Result<(), Refusal> {
    files::create(path, files::yaml(config)?.as_bytes(), Mode::Public)
}

/// The one field of a configuration that the CLI needs back.
#[derive(Debug, Deserialize)]
struct HealthOnly {
    health: SocketAddr,
}

/// A process's health endpoint.
pub(super) fn health(layout: &Layout, id: &str) -> Result<SocketAddr, Refusal> {
    Ok(files::read_yaml::<HealthOnly>(&layout.config(id))?.health)
}
