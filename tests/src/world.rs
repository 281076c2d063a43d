//! A cluster's files: authority, certificates, identity keys, manifest, policies. What `quorate dev init` makes, by hand.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use age::secrecy::ExposeSecret;
use quorate_manifest::{Manifest, Namespace, PersonKey, SignedDocument};
use quorate_mpc::fixtures::group_aux;
use quorate_recovery::Facts;
use quorate_store::{Binding, KekConfig, Read, Store, StoreError};
use quorate_transport::pki::{Ca, Validity};
use quorate_transport::{Identity, PeerRole, SpiffeId, TlsFiles};
use quorate_types::Role;
use rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};
use tempfile::TempDir;

/// Every world's cluster.
pub const CLUSTER: &str = "dev";
/// Every world's coordinator.
pub const COORDINATOR: &str = "coordinator-1";

/// Every world's approvers.
pub const APPROVERS: [&str; 2] = ["anne", "ben"];

/// Every world's custodian.
pub const CUSTODIAN: &str = "carla";

/// A cluster on disk. Dropped, it is gone.
pub struct World {
    dir: TempDir,
}

impl World {
    /// A new cluster with three nodes, one group `g1` of them, two operators of whom one is a quorum, one recovery recipient.
    pub fn new() -> Self {
        let world = Self { dir: TempDir::new().unwrap() };
        let ca = Ca::generate(&CLUSTER.parse().unwrap()).unwrap();
        world.write("ca.pem", ca.certificate_pem().as_bytes());
        world.write("ca.key", ca.key_pem().as_bytes());
        world.write("kek", &[0x5a; 32]);
        let operator = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        world.write("operator", operator.to_openssh(LineEnding::LF).unwrap().as_bytes());
        let second = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        world.write("operator-2", second.to_openssh(LineEnding::LF).unwrap().as_bytes());
        let mut approvers = String::new();
        for name in APPROVERS {
            let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
            world.write(name, key.to_openssh(LineEnding::LF).unwrap().as_bytes());
            let public = key.public_key().to_openssh().unwrap();
            approvers.push_str(&format!("  - {{name: {name}, key: \"{public}\"}}\n"));
        }
        let custodian = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        world.write(CUSTODIAN, custodian.to_openssh(LineEnding::LF).unwrap().as_bytes());
        let recovery = age::x25519::Identity::generate();
        world.write("recovery.key", recovery.to_string().expose_secret().as_bytes());
        let mut nodes = String::new();
        for role in Role::ALL {
            let key = quorate_node::identity::create(&world.path(&format!("{role}/data"))).unwrap();
            nodes.push_str(&format!("  - {{id: {role}-1, role: {role}, key: \"{key}\"}}\n"));
            fs::create_dir_all(world.path("cold/export")).unwrap();
        }
        let manifest = format!(
            "manifest: quorate/v1\ncluster: {CLUSTER}\nversion: 1\ndev: true\nnodes:\n{nodes}groups:\n  - {{id: g1, agent: \
             agent-1, service: service-1, cold: cold-1}}\noperators:\n  - {{name: olga, key: \"{}\"}}\n  - {{name: otto, \
             key: \"{}\"}}\napprovers:\n{approvers}custodians:\n  - {{name: {CUSTODIAN}, key: \"{}\"}}\nquorum: \
             {{operators: 1, manifests: 2}}\nrecovery: [{}]\ncoordinators: [{{id: {COORDINATOR}}}]\n",
            operator.public_key().to_openssh().unwrap(),
            second.public_key().to_openssh().unwrap(),
            custodian.public_key().to_openssh().unwrap(),
            recovery.to_public(),
        );
        world.write("manifest.yaml", manifest.as_bytes());
        let signature = world.sign(manifest.as_bytes(), Namespace::Manifest);
        world.write("manifest.sig", signature.as_bytes());
        world
    }

    /// A copy of this cluster, shares and all, that goes its own way from here. Its processes must be stopped.
    #[must_use]
    pub fn fork(&self) -> Self {
        let dir = TempDir::new().unwrap();
        copy(self.dir.path(), dir.path());
        Self { dir }
    }

    /// Puts a node's data directory back to what it is in `other`. The node must be stopped.
    pub fn restore(&self, role: Role, other: &Self) {
        self.put_back(&format!("{role}/data"), other);
    }

    /// The same of the coordinator's.
    pub fn restore_coordinator(&self, other: &Self) {
        self.put_back("coordinator/data", other);
    }

    fn put_back(&self, directory: &str, other: &Self) {
        fs::remove_dir_all(self.path(directory)).unwrap();
        fs::create_dir(self.path(directory)).unwrap();
        let permissions = fs::metadata(other.path(directory)).unwrap().permissions();
        fs::set_permissions(self.path(directory), permissions).unwrap();
        copy(&other.path(directory), &self.path(directory));
    }

    /// The store of a stopped node.
    pub fn store(&self, role: Role) -> Arc<dyn Store> {
        self.open_store(&format!("{role}/data/store"), &format!("{role}-1"))
    }

    /// The store of the stopped coordinator.
    pub fn coordinator_store(&self) -> Arc<dyn Store> {
        self.open_store("coordinator/data", &format!("coordinator/{COORDINATOR}"))
    }

    fn open_store(&self, directory: &str, owner: &str) -> Arc<dyn Store> {
        let binding = Binding { cluster: CLUSTER.parse().unwrap(), owner: owner.to_owned(), epoch: 0 };
        let kek = KekConfig::File { file: self.path("kek") }.load().unwrap();
        // Within one process what was stopped holds its store until the last of its threads is done.
        for _ in 0..600 {
            match quorate_store::open(&self.path(directory), &binding, &kek) {
                Err(StoreError::Locked { .. }) => std::thread::sleep(Duration::from_millis(100)),
                opened => return opened.unwrap(),
            }
        }
        panic!("{directory}: what was stopped holds its store for more than a minute")
    }

    /// What a stopped node wrote in its log.
    pub fn log(&self, role: Role) -> Vec<quorate_audit::Entry> {
        let store = self.store(role);
        let read: &dyn Read = store.as_ref();
        quorate_audit::verify(read).unwrap();
        quorate_audit::entries(read, 1, usize::MAX).unwrap()
    }

    /// A path inside the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The cluster's authority.
    pub fn ca(&self) -> Ca {
        let read = |name| fs::read_to_string(self.path(name)).unwrap();
        Ca::from_pem(&read("ca.pem"), &read("ca.key")).unwrap()
    }

    /// The operator's ssh key.
    pub fn operator(&self) -> PrivateKey {
        PrivateKey::read_openssh_file(&self.path("operator")).unwrap()
    }

    /// The key that opens the cold node's files.
    pub fn recovery(&self) -> age::x25519::Identity {
        fs::read_to_string(self.path("recovery.key")).unwrap().parse().unwrap()
    }

    /// The operator's signature.
    pub fn sign(&self, body: &[u8], namespace: Namespace) -> String {
        quorate_manifest::sign(body, namespace, &self.operator()).unwrap()
    }

    /// The signature of one of [`APPROVERS`].
    pub fn approve(&self, name: &str, body: &[u8]) -> String {
        let key = PrivateKey::read_openssh_file(&self.path(name)).unwrap();
        quorate_manifest::sign(body, Namespace::Approval, &key).unwrap()
    }

    /// What the cold node signs beside whatever it seals of the group `g1`, whose auxiliary info is the committed dev
    /// group's.
    pub fn cold_facts(&self) -> Facts {
        let document = self.manifest();
        let manifest = Manifest::parse(&document.body).unwrap();
        let group = manifest.groups().first().unwrap();
        Facts {
            cluster: manifest.cluster().clone(),
            node: group.cold.clone(),
            role: Role::Cold,
            group: group.id.clone(),
            nodes: group.nodes().into_iter().cloned().collect(),
            manifest_hash: document.hash(Namespace::Manifest),
            aux_hash: group_aux(Role::Cold.index()).unwrap().hash(),
            created_at_ms: 1,
        }
    }

    /// The signed manifest.
    pub fn manifest(&self) -> SignedDocument {
        let signature = fs::read_to_string(self.path("manifest.sig")).unwrap();
        SignedDocument { body: fs::read(self.path("manifest.yaml")).unwrap(), signatures: vec![signature] }
    }

    /// A later manifest, signed by these operators: `operator`, `operator-2`.
    pub fn next_manifest(&self, yaml: &str, signers: &[&str]) -> SignedDocument {
        self.signed(yaml, Namespace::Manifest, signers)
    }

    /// Has everything that takes the operators' quorum take both of them, from the next start on: the next manifest, signed
    /// by both, is the one that coordinator and nodes are configured with.
    pub fn require_both_operators(&self) {
        let text = fs::read_to_string(self.path("manifest.yaml")).unwrap();
        assert!(text.contains("operators: 1,"), "{text}");
        let text = text.replace("version: 1\n", "version: 2\n").replace("operators: 1,", "operators: 2,");
        let next = self.next_manifest(&text, &["operator", "operator-2"]);
        self.write("manifest.yaml", &next.body);
        self.write("manifest.sig", next.signatures.concat().as_bytes());
    }

    /// A policy, signed by the operator.
    pub fn policy(&self, yaml: &str) -> SignedDocument {
        self.signed(yaml, Namespace::Policy, &["operator"])
    }

    /// A document of any kind, signed with these keys: `operator`, `operator-2`, or the name of an approver.
    pub fn signed(&self, yaml: &str, namespace: Namespace, signers: &[&str]) -> SignedDocument {
        let sign = |name: &&str| {
            let key = PrivateKey::read_openssh_file(&self.path(name)).unwrap();
            quorate_manifest::sign(yaml.as_bytes(), namespace, &key).unwrap()
        };
        SignedDocument { body: yaml.as_bytes().to_vec(), signatures: signers.iter().map(sign).collect() }
    }

    /// A policy that both operators signed.
    pub fn policy_of_both(&self, yaml: &str) -> SignedDocument {
        self.signed(yaml, Namespace::Policy, &["operator", "operator-2"])
    }

    /// Issues and saves a certificate, and loads it.
    pub fn identity(&self, role: PeerRole, id: &str) -> Arc<Identity> {
        Identity::load(&self.certificate(role, id)).unwrap()
    }

    fn certificate(&self, role: PeerRole, id: &str) -> TlsFiles {
        let ca = self.ca();
        let spiffe = SpiffeId::new(CLUSTER.parse().unwrap(), role, id).unwrap();
        let directory = self.path(&format!("tls-{role}-{id}"));
        fs::create_dir_all(&directory).unwrap();
        ca.issue(&spiffe, Validity::days(1)).unwrap().save(&ca, &directory).unwrap()
    }

    fn tls(&self, role: PeerRole, id: &str) -> String {
        let files = self.certificate(role, id);
        format!(
            "tls: {{certificate: {}, key: {}, ca: {}}}\n",
            files.certificate.display(),
            files.key.display(),
            files.ca.display()
        )
    }

    /// The YAML of a client's profile, for the CLI.
    pub fn profile(&self, role: PeerRole, coordinator: SocketAddr) -> String {
        let manifest = self.path("manifest.yaml");
        format!(
            "coordinator: {coordinator}\ncoordinator_id: {COORDINATOR}\nmanifest: {}\n{}",
            manifest.display(),
            self.tls(role, "somebody")
        )
    }

    fn shared(&self) -> String {
        let root: PersonKey = self.operator().public_key().to_openssh().unwrap().parse().unwrap();
        format!(
            "cluster: {CLUSTER}\nkek: {{file: kek}}\nmanifest: {{document: manifest.yaml, signatures: \
             [manifest.sig]}}\nroots: [\"{root}\"]\nhealth: 127.0.0.1:0\ndev: true\n"
        )
    }

    /// The YAML of a node's configuration.
    pub fn node_yaml(&self, role: Role, coordinator: SocketAddr) -> String {
        let cold = if role == Role::Cold { "cold: {export_dir: cold/export}\n" } else { "" };
        format!(
            "{}{}node: {role}-1\nrole: {role}\ndata_dir: {role}/data\ncoordinators: [{{address: \"{coordinator}\", id: \
             {COORDINATOR}}}]\nthreads: {{maths: 1}}\n{cold}",
            self.shared(),
            self.tls(PeerRole::Node, &format!("{role}-1")),
        )
    }

    /// A node's configuration.
    pub fn node(&self, role: Role, coordinator: SocketAddr) -> quorate_node::Config {
        quorate_node::Config::parse(&self.node_yaml(role, coordinator), self.dir.path()).unwrap()
    }

    /// The YAML of the coordinator's configuration.
    pub fn coordinator_yaml(&self, listen: SocketAddr) -> String {
        format!(
            "{}{}{}coordinator: {COORDINATOR}\nlisten: {listen}\ndata_dir: coordinator/data\npools: {{per_wallet: {}}}\n",
            fs::read_to_string(self.path("alerts")).unwrap_or_default(),
            self.shared(),
            self.tls(PeerRole::Coordinator, COORDINATOR),
            fs::read_to_string(self.path("per_wallet")).unwrap_or_else(|_| "0".to_owned()),
        )
    }

    /// Has the coordinator keep so many presignatures of a wallet, where it is started after this. By default it keeps
    /// none, so that tests of other things do not wait for them.
    pub fn keep_presignatures(&self, per_wallet: usize) {
        self.write("per_wallet", per_wallet.to_string().as_bytes());
    }

    /// Has the coordinator tell people, where it is started after this: `alerts` is that part of its configuration. Secrets go
    /// into files beside it.
    pub fn tell(&self, alerts: &str, secrets: &[(&str, &str)]) {
        self.write("alerts", alerts.as_bytes());
        secrets.iter().for_each(|(name, secret)| self.write(name, secret.as_bytes()));
    }

    /// Every file below the world's directory, for searching.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut left = vec![self.dir.path().to_owned()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() { left.push(entry.path()) } else { found.push(entry.path()) }
            }
        }
        found
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            fs::set_permissions(&target, entry.metadata().unwrap().permissions()).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}
