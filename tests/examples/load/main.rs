//! Load on a cluster of real processes, over the public gRPC API with mutual TLS, policy, reservations, charges, synced
//! commits and the audit log on: `load [presignatures] [directory] [wallets]`. Makes some presignatures by the protocol to say
//! what they cost, signs while more are made and without any; then has so many dealt (4096), which takes no time, and spends
//! them in closed and open loops, behind a slow network, says no, and signs once more with so many wallets (1000) made. Prints figures, asserts none, and
//! writes them to `report.md` and two plots in the directory (`target/bench`). Every loop ends after a fixed number of
//! requests; the whole takes about five minutes on two cores.

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
mod stops;
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
const MANY: usize = 1000;

/// Presignatures made by the protocol for each of them: a CPU-second each.
const MADE: usize = 6;

/// Requests while pools are refilled, and while they are not.
const WHILE_REFILLING: usize = 40;

fn main() {
    let mut args = std::env::args().skip(1);
    let dealt =
        args.next().map_or(4096, |arg| arg.parse::<usize>().expect("a number of dealt presignatures"));
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "target/bench".to_owned()));
    let wallets = args.next().map_or(MANY, |arg| arg.parse().expect("a number of wallets"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = runtime.block_on(run((dealt / WALLETS).clamp(2, 1024), wallets));
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

async fn run(dealt: usize, wallets: usize) -> Report {
    let mut report = Report::new(library::measure().await);
    let mut cluster = Processes::start(WALLETS, MADE).await;
    let mut clients = Clients::new(&cluster, WALLETS).await;
    made(&mut report, &mut cluster, &mut clients).await;
    println!("dealing {} for {WALLETS} wallets", dealt * WALLETS);
    cluster.deal(dealt).await;
    clients.reconnect(&cluster).await;
    cluster.fill(&mut clients, dealt * WALLETS).await;
    // From here on nothing is made that is not asked for: what is measured is the path, and not the refill.
    cluster.keep(0).await;
    clients.reconnect(&cluster).await;
    let ready = cluster.ready().await;
    let mut budget = Budget { all: ready, left: ready };
    warm(&mut report, &mut cluster, &mut clients, &mut budget).await;
    behind_a_slow_network(&mut report, &mut cluster, &mut clients, &mut budget).await;
    report.stops(stops::measure(&cluster).await);
    report.wallets(wallets::make(&cluster, wallets).await);
    let name = format!("with {wallets} wallets more, 1 client");
    report.add(clients.closed(&cluster, &name, 1, budget.take(6)).await);
    report
}

/// What it costs to make presignatures, to sign meanwhile, and to sign without any.
async fn made(report: &mut Report, cluster: &mut Processes, clients: &mut Clients) {
    println!("presigning {} for {WALLETS} wallets", MADE * WALLETS);
    let filled = cluster.fill(clients, MADE * WALLETS).await;
    report.presigning(filled, library::presign().await);
    let refilling = clients.open(cluster, "while refilling, 4 a second", 4, WHILE_REFILLING).await;
    cluster.keep(0).await;
    clients.reconnect(cluster).await;
    report.add(clients.open(cluster, "the same, not refilling", 4, WHILE_REFILLING).await);
    report.add(refilling);
    while cluster.ready().await > 0 {
        clients.closed(cluster, "the rest", 4, 16).await;
    }
    for (number, requests) in [(1, 6), (8, 16)] {
        report.add(clients.closed(cluster, &format!("cold, {}", count(number)), number, requests).await);
    }
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
    for (ms, percent) in [(1, 4), (20, 4), (100, 4)] {
        cluster.delay(Duration::from_millis(ms));
        report.add(
            clients.closed(cluster, &format!("warm, {ms} ms to the agent"), 1, budget.take(percent)).await,
        );
    }
    cluster.delay(Duration::ZERO);
}

fn count(clients: usize) -> String {
    if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") }
}
