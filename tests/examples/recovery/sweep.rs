//! How fast a fleet is swept: real shares, and the real `quorate recover fleet`, one run.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use quorate_tests::{Cluster, World, golden, programs};
use quorate_types::{Role, SystemClock};

const TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

/// Each with one transfer of USDC and one of the chain's own coin.
pub(crate) const WALLETS: usize = 12;

/// A cluster's files, its agent's backed up, and what is to be swept in a plan.
pub(crate) fn fleet() -> World {
    let make = async {
        let cluster = Cluster::start(golden().world()).await;
        for number in 2..=WALLETS {
            cluster.create_wallet(&name(number)).await.unwrap();
        }
        cluster.stop().await
    };
    let world = tokio::runtime::Runtime::new().unwrap().block_on(make);
    let agent = world.node(Role::Agent, "127.0.0.1:1".parse().unwrap());
    quorate_node::backup(&agent, &world.path("agent-files"), Arc::new(SystemClock)).unwrap();
    fs::write(world.path("root.pub"), world.operator().public_key().to_openssh().unwrap()).unwrap();
    let wallet = |number| {
        format!(
            "  - wallet: {}\n    chains:\n      - {{chain: base-sepolia, nonce: 7, native_balance: '0.01', max_fee_per_gas: 2gwei, \
             max_priority_fee_per_gas: 1gwei, tokens: {{USDC: '12.50'}}}}\n",
            name(number)
        )
    };
    let plan: String = (1..=WALLETS).map(wallet).collect();
    fs::write(world.path("plan.yaml"), format!("wallets:\n{plan}")).unwrap();
    world
}

fn name(number: usize) -> String {
    format!("wallet-{number}")
}

/// Every wallet, by the program people use: each share opened by a process of its own, each signature by the whole protocol
/// and checked by a second library, each line of the journal synced.
pub(crate) fn sweep(world: &World) {
    let trust = ["--manifest", "manifest.yaml", "--manifest-signature", "manifest.sig", "--root", "root.pub"];
    let files = ["--package", "agent-files", "--package", "cold/export", "--identity", "recovery.key"];
    let swept = Command::new(programs().join("quorate"))
        .args(["--json", "recover", "fleet", "--plan", "plan.yaml", "--out", "swept"])
        .args(trust)
        .args(files)
        .args(["--to", TO, "--confirm-to", TO])
        .current_dir(world.path("plan.yaml").parent().unwrap())
        .output()
        .unwrap();
    assert!(swept.status.success(), "{}", String::from_utf8_lossy(&swept.stdout));
}
