//! A cluster with an enrolled group, a wallet and a policy, made once per test process and copied for each test.

use std::sync::OnceLock;

use quorate_mpc::fixtures::{group_aux, group_bytes};
use quorate_proto::v1;
use quorate_recovery::{Entry, next_entry, seal_aux};
use quorate_store::{Store, StoreError, update};
use quorate_types::{B256, PublicKey, Role};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{CLUSTER, Cluster, FRIEND, World};

/// The wallet every golden world has.
pub const WALLET: &str = "wallet-1";

/// What every test starts from.
pub struct Golden {
    world: World,
    /// The wallet, as it was attested.
    pub wallet: v1::Wallet,
    /// The policy in force.
    pub policy_hash: B256,
}

impl Golden {
    /// A copy of the cluster's files.
    pub fn world(&self) -> World {
        self.world.fork()
    }

    /// The wallet's public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from_sec1(&self.wallet.public_key).unwrap()
    }
}

/// The golden world, made at first use: a wallet by the real protocols, in a group whose auxiliary info is the committed
/// dev group's. Making that by the real protocol takes 20 CPU-seconds, so one test does (`tests/cluster.rs`).
pub fn golden() -> &'static Golden {
    static GOLDEN: OnceLock<Golden> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        // Its own thread: the caller's may be a runtime already.
        std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(make())).join().unwrap()
    })
}

async fn make() -> Golden {
    let world = World::new();
    enrolled(&world);
    let cluster = Cluster::start(world).await;
    let wallet = cluster.create_wallet(WALLET).await.unwrap();
    assert_eq!(wallet.state(), v1::wallet::State::Active);
    let policy = cluster.world.policy(&policy_yaml(1, "25.00"));
    let in_force = cluster.apply_policy(&policy).await.unwrap();
    let policy_hash = B256::from_slice(&in_force.hash);
    Golden { world: cluster.stop().await, wallet, policy_hash }
}

/// Writes into the stores of a new world's coordinator and nodes what enrolling the group `g1` leaves there.
fn enrolled(world: &World) {
    let hash = group_aux(0).unwrap().hash();
    for role in Role::ALL {
        let mut records = vec![("vault.aux-hash", hash.to_vec())];
        if role != Role::Cold {
            records.push(("vault.aux", group_bytes(role.index()).to_vec()));
        }
        keep(world.store(role).as_ref(), &records);
    }
    sealed(world);
    let nodes = Role::ALL.map(|role| format!("{role}-1"));
    let group =
        json!({"v": 1, "record": {"group": "g1", "nodes": nodes, "aux_hash": hash, "enrolled_at": 1}});
    keep(world.coordinator_store().as_ref(), &[("coordinator.groups", serde_json::to_vec(&group).unwrap())]);
}

/// Writes what the cold node seals when a group is enrolled: its auxiliary info, and the first line of its index.
fn sealed(world: &World) {
    let (facts, aux) = (world.cold_facts(), group_aux(Role::Cold.index()).unwrap());
    let key = quorate_node::identity::load(&world.path("cold/data")).unwrap();
    let plain = seal_aux(&facts, &aux, &key).unwrap();
    let file = age::encrypt_and_armor(&world.recovery().to_public(), &plain).unwrap();
    let entry = Entry {
        version: 1,
        sequence: 0,
        previous: B256::ZERO,
        cluster: facts.cluster,
        node: facts.node,
        group: facts.group,
        aux_hash: facts.aux_hash,
        file: "group.g1.0000000000000000.aux.age".to_owned(),
        sha256: hex::encode(Sha256::digest(&file)),
        bytes: file.len() as u64,
        created_at_ms: facts.created_at_ms,
        wallet: None,
    };
    std::fs::write(world.path("cold/export").join(&entry.file), file).unwrap();
    let line = next_entry(None, entry).unwrap().sign(&key).unwrap();
    std::fs::write(world.path("cold/export/index.jsonl"), format!("{line}\n")).unwrap();
}

fn keep(store: &dyn Store, records: &[(&'static str, Vec<u8>)]) {
    let put = update(store, |txn| records.iter().try_for_each(|(table, bytes)| txn.put(table, b"g1", bytes)));
    let _synced = put.map_err(|error: StoreError| error).unwrap();
}

/// USDC on Base Sepolia to one friend, up to `cap` a payment.
pub fn policy_yaml(version: u64, cap: &str) -> String {
    format!(
        "policy: quorate/v1\ncluster: {CLUSTER}\nwallet: {WALLET}\nversion: {version}\nrules:\n  chains: [base-sepolia]\n  per_transaction:\n    - \
         {{asset: USDC, chain: base-sepolia, max: \"{cap}\"}}\n  max_fee:\n    - {{chain: base-sepolia, max: \
         \"0.002\"}}\n  recipients:\n    - {{address: \"{FRIEND}\", label: friend}}\n  \
         max_authorization_lifetime_s: 3600\n"
    )
}

/// The same policy with more lines under its rules.
pub fn with_limits(version: u64, limits: &str) -> String {
    policy_yaml(version, "25.00") + limits
}
