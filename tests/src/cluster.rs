//! The real cluster, in process, over real TLS on free ports.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_manifest::SignedDocument;
use quorate_node::StartError;
use quorate_proto::v1;
use quorate_proto::v1::audit_service_client::AuditServiceClient;
use quorate_proto::v1::cluster_service_client::ClusterServiceClient;
use quorate_proto::v1::policy_service_client::PolicyServiceClient;
use quorate_proto::v1::signing_service_client::SigningServiceClient;
use quorate_proto::v1::wallet_service_client::WalletServiceClient;
use quorate_session::AgentPublicKey;
use quorate_store::StoreError;
use quorate_transport::{Expect, PeerRole, connect};
use quorate_types::{Clock, Payload, Role, SystemClock};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::{COORDINATOR, World};

/// A coordinator and its nodes. Nodes can be stopped and started one by one.
pub struct Cluster {
    /// Its files.
    pub world: World,
    address: SocketAddr,
    coordinator: Option<quorate_coordinator::Running>,
    nodes: BTreeMap<Role, quorate_node::Running>,
    clock: Arc<dyn Clock>,
}

impl Cluster {
    /// Starts everything and waits until the nodes are attached.
    pub async fn start(world: World) -> Self {
        Self::start_by(world, Arc::new(SystemClock)).await
    }

    /// The same, with a clock that all of it goes by.
    pub async fn start_by(world: World, clock: Arc<dyn Clock>) -> Self {
        let mut cluster = Self::coordinator_by(world, clock).await;
        for role in Role::ALL {
            cluster.start_node(role).await;
        }
        cluster.attached(&Role::ALL).await;
        cluster
    }

    /// Starts the coordinator alone.
    pub async fn coordinator_only(world: World) -> Self {
        Self::coordinator_by(world, Arc::new(SystemClock)).await
    }

    async fn coordinator_by(world: World, clock: Arc<dyn Clock>) -> Self {
        let coordinator = start_coordinator(&world, "127.0.0.1:0".parse().unwrap(), &clock).await;
        let address = coordinator.local_addr();
        Self { world, address, coordinator: Some(coordinator), nodes: BTreeMap::new(), clock }
    }

    /// Where the coordinator listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts one node.
    pub async fn start_node(&mut self, role: Role) {
        let running = start_node(&self.world, (role, self.address), &self.clock).await;
        self.nodes.insert(role, running);
    }

    /// Stops one node.
    pub async fn stop_node(&mut self, role: Role) {
        if let Some(running) = self.nodes.remove(&role) {
            running.shutdown().await;
        }
    }

    /// Stops the coordinator and starts it again on the same port, from what it wrote down.
    pub async fn restart_coordinator(&mut self) {
        self.coordinator.take().unwrap().shutdown().await;
        self.coordinator = Some(start_coordinator(&self.world, self.address, &self.clock).await);
    }

    /// Waits until the coordinator sees these nodes.
    pub async fn attached(&self, roles: &[Role]) {
        let mut client = self.clusters().await;
        for _ in 0..500 {
            let listed = client.list_nodes(v1::ListNodesRequest {}).await.unwrap().into_inner();
            let attached = |role: &Role| {
                let name = format!("{role}-1");
                listed.nodes.iter().any(|node| node.node == name && node.attached)
            };
            if roles.iter().all(attached) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{roles:?} did not attach");
    }

    /// Stops everything and gives the files back.
    pub async fn stop(mut self) -> World {
        for (_, running) in std::mem::take(&mut self.nodes) {
            running.shutdown().await;
        }
        if let Some(coordinator) = self.coordinator.take() {
            coordinator.shutdown().await;
        }
        self.world
    }

    /// A connection as `role`.
    pub async fn channel(&self, role: PeerRole) -> Channel {
        let identity = self.world.identity(role, "somebody");
        let expect = Expect { role: PeerRole::Coordinator, id: Some(COORDINATOR.to_owned()) };
        let address = self.address.to_string();
        connect(&address, identity, expect, Duration::from_secs(10)).await.unwrap()
    }

    /// The operator's view of the cluster.
    pub async fn clusters(&self) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channel(PeerRole::Operator).await)
    }

    /// The operator's view of wallets.
    pub async fn wallets(&self) -> WalletServiceClient<Channel> {
        WalletServiceClient::new(self.channel(PeerRole::Operator).await)
    }

    /// The gateway's view of signing.
    pub async fn signing(&self) -> SigningServiceClient<Channel> {
        SigningServiceClient::new(self.channel(PeerRole::Gateway).await)
    }

    /// Enrols the group.
    pub async fn enrol(&self) -> v1::Group {
        let request = v1::EnrolGroupRequest { group: "g1".to_owned() };
        let mut stream = self.clusters().await.enrol_group(request).await.unwrap().into_inner();
        while let Some(event) = stream.message().await.unwrap() {
            if let Some(v1::enrol_group_event::Event::Done(group)) = event.event {
                return group;
            }
        }
        panic!("the stream ended before the group was enrolled");
    }

    /// Creates a wallet that takes the gateway's word.
    pub async fn create_wallet(&self, wallet: &str) -> Result<v1::Wallet, Status> {
        self.create_agents_wallet(wallet, None).await
    }

    /// Creates a wallet that takes only the word of whoever has `agent_key`.
    pub async fn create_agents_wallet(
        &self,
        wallet: &str,
        agent_key: Option<AgentPublicKey>,
    ) -> Result<v1::Wallet, Status> {
        let agent_key = agent_key.map(|key| key.as_bytes().to_vec()).unwrap_or_default();
        self.create(v1::CreateWalletRequest { agent_key, ..asked(wallet) }).await
    }

    /// Creates a wallet whose policy is loosened by two, and late.
    pub async fn create_guarded_wallet(&self, wallet: &str, delay_s: u32) -> Result<v1::Wallet, Status> {
        self.create(v1::CreateWalletRequest { loosening_delay_s: Some(delay_s), ..asked(wallet) }).await
    }

    /// Creates a wallet that signs raw digests and nothing else.
    pub async fn create_raw_digest_wallet(&self, wallet: &str) -> Result<v1::Wallet, Status> {
        self.create(v1::CreateWalletRequest { raw_digest: true, ..asked(wallet) }).await
    }

    /// Creates one more wallet of an agent, on the gateway's word.
    pub async fn create_wallet_of(&self, agent: &str, wallet: &str) -> Result<v1::Wallet, Status> {
        self.create(v1::CreateWalletRequest { agent: agent.to_owned(), ..asked(wallet) }).await
    }

    async fn create(&self, request: v1::CreateWalletRequest) -> Result<v1::Wallet, Status> {
        self.wallets().await.create_wallet(request).await.map(Response::into_inner)
    }

    /// Puts a later manifest in force.
    pub async fn apply_manifest(
        &self,
        manifest: &SignedDocument,
    ) -> Result<v1::ApplyManifestResponse, Status> {
        let manifest =
            v1::SignedDocument { body: manifest.body.clone(), signatures: manifest.signatures.clone() };
        let request = v1::ApplyManifestRequest { manifest: Some(manifest) };
        self.clusters().await.apply_manifest(request).await.map(Response::into_inner)
    }

    /// Puts a signed policy in force.
    pub async fn apply_policy(&self, policy: &SignedDocument) -> Result<v1::PolicyInForce, Status> {
        let policy = v1::SignedDocument { body: policy.body.clone(), signatures: policy.signatures.clone() };
        let mut client = PolicyServiceClient::new(self.channel(PeerRole::Operator).await);
        let request = v1::ApplyPolicyRequest { policy: Some(policy) };
        client.apply_policy(request).await.map(Response::into_inner)
    }

    /// How each signature in the coordinator's log was made: `presignature` or `session`.
    pub async fn paths(&self) -> Vec<String> {
        let mut client = AuditServiceClient::new(self.channel(PeerRole::Auditor).await);
        let (mut paths, mut from) = (Vec::new(), 1);
        while from > 0 {
            let request = v1::ListEntriesRequest { from, page_size: 1000 };
            let page = client.list(request).await.unwrap().into_inner();
            for entry in &page.entries {
                let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
                if entry["kind"] == "sign.signed" {
                    paths.push(entry["fields"]["path"].as_str().unwrap().to_owned());
                }
            }
            from = page.next;
        }
        paths
    }

    /// Asks for a signature.
    pub async fn sign(&self, wallet: &str, payload: &Payload, key: &str) -> Result<v1::SignResponse, Status> {
        let request = v1::SignRequest {
            wallet: wallet.to_owned(),
            payload: Some(quorate_proto::payload_to_pb(payload)),
            idempotency_key: key.to_owned(),
            ..Default::default()
        };
        self.ask(request).await
    }

    /// Asks for a signature in these words.
    pub async fn ask(&self, request: v1::SignRequest) -> Result<v1::SignResponse, Status> {
        self.signing().await.sign(request).await.map(Response::into_inner)
    }
}

/// A wallet of an agent of its own, on the gateway's word.
fn asked(wallet: &str) -> v1::CreateWalletRequest {
    let (wallet, agent) = (wallet.to_owned(), format!("{wallet}-agent"));
    v1::CreateWalletRequest { wallet, agent, group: "g1".to_owned(), ..Default::default() }
}

/// Starts a node. Within one process one that was stopped holds its store until the last of its threads is done, and those that
/// presign stand back behind everything else the machine does.
pub(crate) async fn start_node(
    world: &World,
    (role, coordinator): (Role, SocketAddr),
    clock: &Arc<dyn Clock>,
) -> quorate_node::Running {
    for _ in 0..600 {
        let config = world.node(role, coordinator);
        match quorate_node::App::start(config, Arc::clone(clock)).await {
            Err(StartError::Store(StoreError::Locked { .. })) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            started => return started.unwrap(),
        }
    }
    panic!("the {role} node that was stopped holds its store for more than a minute")
}

async fn start_coordinator(
    world: &World,
    listen: SocketAddr,
    clock: &Arc<dyn Clock>,
) -> quorate_coordinator::Running {
    let yaml = world.coordinator_yaml(listen);
    let path = world.path("coordinator.yaml");
    std::fs::write(&path, yaml).unwrap();
    let config = quorate_coordinator::Config::load(&path).unwrap();
    quorate_coordinator::App::start(config, Arc::clone(clock)).await.unwrap()
}
