//! Load on a cluster of real processes, over the public gRPC API with mutual TLS, policy, reservations, charges, synced
//! commits and the audit log on: `load [presignatures] [directory] [wallets]`. Makes so many presignatures (384), spends them in
//! closed and open loops and behind a slow network, then signs without any, and while they are made again; makes so many wallets (200). Prints figures,
//! asserts none, and writes them to `report.md` and two plots in the directory (`target/bench`). Every loop ends after a
//! fixed number of requests; the whole takes about a second for each presignature on two cores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "../foundation/bare.rs"]
mod bare;
mod library;
mod loops;
mod metrics;
mod plots;
mod point;
mod processes;
mod proxy;
mod report;
mod usage;
mod wallets;

use std::path::PathBuf;
use std::time::Duration;

use loops::Clients;
use processes::Processes;
use report::Report;

/// Wallets that share the load: more than a wallet's pool holds is asked of none.
const WALLETS: usize = 16;

/// Wallets made at the end, unless told otherwise.
const MANY: usize = 200;

fn main() {
    let mut args = std::env::args().skip(1);
    let presignatures =
        args.next().map_or(384, |arg| arg.parse::<usize>().expect("a number of presignatures"));
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "target/bench".to_owned()));
    let wallets = args.next().map_or(MANY, |arg| arg.parse().expect("a number of wallets"));
    let each = (presignatures / WALLETS).clamp(2, 64);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = runtime.block_on(run(each, wallets));
    println!("{report}");
    std::fs::create_dir_all(&dir).unwrap();
    report.write(&dir);
}

/// Shares of the presignatures there are, in hundredths: what each point may spend.
struct Budget {
    all: usize,
    left: usize,
}

impl Budget {
    fn take(&mut self, percent: usize) -> usize {
        let share = (self.all * percent / 100).min(self.left);
        self.left -= share;
        share
    }
}

async fn run(each: usize, wallets: usize) -> Report {
    let mut report = Report::new(library::measure().await);
    let mut cluster = Processes::start(WALLETS, each).await;
    let mut clients = Clients::new(&cluster, WALLETS).await;
    println!("presigning {} for {WALLETS} wallets, {each} each", each * WALLETS);
    report.presigning(cluster.fill(&mut clients, each * WALLETS).await);
    // From here on nothing is made that is not asked for: what is measured is the path, and not the refill.
    cluster.keep(0).await;
    clients.reconnect(&cluster).await;
    let ready = cluster.ready().await;
    let mut budget = Budget { all: ready, left: ready };
    warm(&mut report, &mut cluster, &mut clients, &mut budget).await;
    behind_a_slow_network(&mut report, &mut cluster, &mut clients, &mut budget).await;
    while cluster.ready().await > 0 {
        clients.closed(&cluster, "the rest", 4, 16).await;
    }
    for (number, requests) in [(1, 6), (8, 16)] {
        report.add(clients.closed(&cluster, &format!("cold, {}", count(number)), number, requests).await);
    }
    refilling(&mut report, &mut cluster, &mut clients, each).await;
    report.wallets(wallets::make(&cluster, wallets).await);
    report
}

async fn warm(report: &mut Report, cluster: &mut Processes, clients: &mut Clients, budget: &mut Budget) {
    for (number, percent) in [(1, 14), (8, 14), (32, 20), (128, 20)] {
        let name = format!("warm, {}", count(number));
        report.add(clients.closed(cluster, &name, number, budget.take(percent)).await);
    }
    for (rate, percent) in [(20, 6), (100, 8)] {
        let name = format!("warm, open loop, {rate} a second");
        report.add(clients.open(cluster, &name, rate, budget.take(percent)).await);
    }
}

/// The round trip between the coordinator and the agent node, by a proxy that holds back what passes.
async fn behind_a_slow_network(
    report: &mut Report,
    cluster: &mut Processes,
    clients: &mut Clients,
    budget: &mut Budget,
) {
    for (ms, percent) in [(1, 6), (20, 6), (100, 6)] {
        cluster.delay(Duration::from_millis(ms));
        report.add(
            clients.closed(cluster, &format!("warm, {ms} ms to the agent"), 1, budget.take(percent)).await,
        );
    }
    cluster.delay(Duration::ZERO);
}

/// The same rate on the same number of presignatures, while nothing else is done, and while more are made at full tilt.
async fn refilling(report: &mut Report, cluster: &mut Processes, clients: &mut Clients, each: usize) {
    let requests = (each * WALLETS / 6).clamp(8, 60);
    cluster.keep(each).await;
    clients.reconnect(cluster).await;
    cluster.fill(clients, requests * 2).await;
    let refilling = clients.open(cluster, "while refilling, 4 a second", 4, requests).await;
    cluster.keep(0).await;
    clients.reconnect(cluster).await;
    let quiet = clients.open(cluster, "the same, not refilling", 4, requests).await;
    report.add(quiet);
    report.add(refilling);
}

fn count(clients: usize) -> String {
    if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") }
}
