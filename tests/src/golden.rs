//! A cluster with an enrolled group, a wallet and a policy, made once per test process and copied for each test.

use std::sync::OnceLock;

use quorate_proto::v1;
use quorate_types::{B256, PublicKey};

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

/// The golden world, made at first use: key material of three nodes by the real protocols, about 20 CPU-seconds.
pub fn golden() -> &'static Golden {
    static GOLDEN: OnceLock<Golden> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        // Its own thread: the caller's may be a runtime already.
        std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(make())).join().unwrap()
    })
}

async fn make() -> Golden {
    let cluster = Cluster::start(World::new()).await;
    let group = cluster.enrol().await;
    assert_eq!(group.aux_hash.len(), 32);
    let wallet = cluster.create_wallet(WALLET).await.unwrap();
    assert_eq!(wallet.state(), v1::wallet::State::Active);
    let policy = cluster.world.policy(&policy_yaml(1, "25.00"));
    let in_force = cluster.apply_policy(&policy).await.unwrap();
    let policy_hash = B256::from_slice(&in_force.hash);
    Golden { world: cluster.stop().await, wallet, policy_hash }
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
