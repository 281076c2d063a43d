//! The cluster: a coordinator and three nodes, each a process of its own, started from the programs beside this one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_proto::v1;
use quorate_proto::v1::cluster_service_client::ClusterServiceClient;
use quorate_tests::{COORDINATOR, Cluster, World, golden, policy_yaml};
use quorate_transport::{Expect, Identity, PeerRole, connect};
use quorate_types::Role;
use rustix::process::{Pid, Signal, kill_process};
use tonic::transport::Channel;

use crate::loops::Clients;
use crate::metrics::scrape;
use crate::proxy::Proxy;
use crate::usage::{Process, Usage, loopback};

/// Those whose work is measured, with where their data is.
pub(crate) const PARTIES: [(&str, &str); 3] =
    [("coordinator", "coordinator"), ("agent node", "agent"), ("service node", "service")];

/// A running cluster. Dropped, its processes are killed.
pub(crate) struct Processes {
    world: World,
    programs: PathBuf,
    address: SocketAddr,
    proxy: Proxy,
    health: BTreeMap<&'static str, SocketAddr>,
    running: BTreeMap<&'static str, Child>,
    gateway: Arc<Identity>,
    operator: Arc<Identity>,
}

/// How presignatures come to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presignatures {
    /// By the protocol.
    Made,
    /// Without it, with public nonces: for what comes after, thousands of times.
    Dealt,
}

/// What making presignatures took.
pub(crate) struct Filled {
    pub(crate) made: usize,
    pub(crate) took: Duration,
    pub(crate) used: Usage,
}

impl Processes {
    /// Makes wallets and their policies, then starts everything. So many presignatures of each wallet are kept ready.
    pub(crate) async fn start(wallets: usize, each: usize) -> Self {
        let world = provisioned(wallets).await;
        let address = free();
        let proxy = Proxy::start(address).await;
        let health = PARTIES.iter().map(|(_, data)| (*data, free())).chain([("cold", free())]).collect();
        let (gateway, operator) =
            (world.identity(PeerRole::Gateway, "load"), world.identity(PeerRole::Operator, "load"));
        let programs = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
        let running = BTreeMap::new();
        let mut cluster = Self { world, programs, address, proxy, health, running, gateway, operator };
        cluster.start_coordinator(each);
        for role in Role::ALL {
            cluster.start_node(role, Presignatures::Made);
        }
        cluster.attached().await;
        cluster
    }

    /// Starts everything again, with empty pools, to be filled with so many dealt presignatures of each wallet.
    pub(crate) async fn deal(&mut self, each: usize) {
        for role in Role::ALL {
            self.stop(data(role));
            self.start_node(role, Presignatures::Dealt);
        }
        self.keep(each).await;
    }

    fn spawn(&mut self, name: &'static str, program: &str, yaml: &str) {
        let yaml = yaml.replace("health: 127.0.0.1:0", &format!("health: {}", self.health[name]));
        let config = self.world.path(&format!("{name}.yaml"));
        fs::write(&config, yaml).unwrap();
        let log = File::options().create(true).append(true).open(self.world.path(&format!("{name}.log")));
        let child = Command::new(self.programs.join(program))
            .arg("run")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} beside this program: {error}"));
        self.running.insert(name, child);
    }

    fn start_node(&mut self, role: Role, how: Presignatures) {
        let through = if role == Role::Agent { self.proxy.address } else { self.address };
        let dealt = how == Presignatures::Dealt;
        let yaml = self.world.node_yaml(role, through).replace("maths: 1", "maths: 2")
            + &format!("presignatures: {{per_pair: 1024, ttl_s: 3600, dealt: {dealt}}}\n");
        self.spawn(data(role), "quorate-node", &yaml);
    }

    fn stop(&mut self, name: &str) {
        if let Some(mut child) = self.running.remove(name) {
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            kill_process(pid, Signal::TERM).unwrap();
            child.wait().unwrap();
        }
    }

    fn start_coordinator(&mut self, each: usize) {
        let yaml = self.world.coordinator_yaml(self.address);
        let pools = format!("pools: {{per_wallet: {each}, hot: {each}, sessions: 2}}\n");
        let yaml = yaml.lines().filter(|line| !line.starts_with("pools:")).map(|line| format!("{line}\n"));
        self.spawn("coordinator", "quorate-coordinator", &(yaml.collect::<String>() + &pools));
    }

    /// Starts the coordinator again, to have so many presignatures kept ready from now on. What the nodes hold stays.
    pub(crate) async fn keep(&mut self, each: usize) {
        self.stop("coordinator");
        self.start_coordinator(each);
        self.attached().await;
        // They tell what they hold once they are attached.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    async fn attached(&self) {
        for _ in 0..600 {
            if let Ok(channel) = self.channel(&self.operator).await
                && let Ok(listed) =
                    ClusterServiceClient::new(channel).list_nodes(v1::ListNodesRequest {}).await
                && listed.get_ref().nodes.iter().filter(|node| node.attached).count() == Role::ALL.len()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the nodes did not attach: see the logs in {}", self.world.path("").display());
    }

    async fn channel(&self, identity: &Arc<Identity>) -> Result<Channel, impl std::fmt::Debug + use<>> {
        let expect = Expect { role: PeerRole::Coordinator, id: Some(COORDINATOR.to_owned()) };
        connect(&self.address.to_string(), Arc::clone(identity), expect, Duration::from_secs(10)).await
    }

    /// Its files.
    pub(crate) const fn world(&self) -> &World {
        &self.world
    }

    /// A gateway's connection.
    pub(crate) async fn gateway(&self) -> Channel {
        self.channel(&self.gateway).await.unwrap()
    }

    /// An operator's connection.
    pub(crate) async fn operator(&self) -> Channel {
        self.channel(&self.operator).await.unwrap()
    }

    /// How long a round trip to the agent node takes longer, from now on.
    pub(crate) fn delay(&self, round_trip: Duration) {
        self.proxy.round_trip(round_trip);
    }

    /// Presignatures that both nodes hold.
    pub(crate) async fn ready(&self) -> usize {
        let mut least = usize::MAX;
        for node in ["agent", "service"] {
            least = least.min(scrape(self.health[node], "quorate_node_presignatures", "").await as usize);
        }
        least
    }

    /// Signatures with a presignature since the coordinator started.
    pub(crate) async fn with_presignature(&self) -> u64 {
        scrape(self.health["coordinator"], "quorate_sign_path_total", "presignature").await as u64
    }

    /// Has each wallet's pool filled, by signing with it, and waits for so many presignatures.
    pub(crate) async fn fill(&mut self, clients: &mut Clients, target: usize) -> Filled {
        let _one_each = clients.closed(self, "first", 4, clients.wallets()).await;
        let (start, before, held) = (Instant::now(), self.usage(), self.ready().await);
        let patience = Duration::from_secs(60 + 4 * target as u64);
        while self.ready().await < target {
            assert!(start.elapsed() < patience, "the pools do not fill");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let made = self.ready().await.saturating_sub(held);
        Filled { made, took: start.elapsed(), used: &self.usage() - &before }
    }

    /// What the processes have used so far.
    pub(crate) fn usage(&self) -> Usage {
        let read = |(party, name): (&str, &str)| {
            let data = self.world.path(&format!("{name}/data"));
            Some((party.to_owned(), Process::read(self.running.get(name)?.id(), &data)))
        };
        Usage { processes: PARTIES.into_iter().filter_map(read).collect(), bytes: loopback() }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _gone_already = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// A world with so many wallets, each with a policy, made by the real protocols.
async fn provisioned(wallets: usize) -> World {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    for number in 2..=wallets {
        let name = wallet(number - 1);
        cluster.create_wallet(&name).await.unwrap();
        let yaml = policy_yaml(1, "25.00").replace("wallet: wallet-1\n", &format!("wallet: {name}\n"));
        cluster.apply_policy(&cluster.world.policy(&yaml)).await.unwrap();
    }
    cluster.stop().await
}

/// Where a node's data is, which it goes by here.
const fn data(role: Role) -> &'static str {
    match role {
        Role::Agent => "agent",
        Role::Service => "service",
        Role::Cold => "cold",
    }
}

/// The name of a wallet, from 0.
pub(crate) fn wallet(number: usize) -> String {
    format!("wallet-{}", number + 1)
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
