//! Many wallets: how long each takes to make, and what they cost in memory.

use std::time::{Duration, Instant};

use quorate_proto::v1;
use quorate_proto::v1::wallet_service_client::WalletServiceClient;

use crate::processes::Processes;
use crate::usage::Usage;

/// Wallets made one after another.
pub(crate) struct Wallets {
    /// In the order they were made.
    pub(crate) times: Vec<Duration>,
    pub(crate) before: Usage,
    pub(crate) after: Usage,
}

/// Makes so many.
pub(crate) async fn make(cluster: &Processes, wallets: usize) -> Wallets {
    let (mut client, before) = (WalletServiceClient::new(cluster.operator().await), cluster.usage());
    let mut times = Vec::new();
    for number in 0..wallets {
        let (wallet, agent) = (format!("many-{number}"), format!("agent-{number}"));
        let request = v1::CreateWalletRequest { wallet, agent, group: "g1".to_owned(), ..Default::default() };
        let start = Instant::now();
        client.create_wallet(request).await.unwrap();
        times.push(start.elapsed());
    }
    println!("  {wallets} wallets made");
    Wallets { times, before, after: cluster.usage() }
}
