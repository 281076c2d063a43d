//! What a cluster costs over real TLS on loopback, beside the bare library in the same run:
//! `foundation [wallets] [signatures]`. Prints figures and asserts none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod bare;
mod bytes;
mod figures;
mod memory;
mod online;

use std::time::Instant;

use figures::Figures;
use quorate_proto::v1::sign_response::Outcome;
use quorate_tests::{Cluster, FRIEND, WALLET, golden, transfer, usdc};

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("a number"));
    let (wallets, signatures) = (args.next().unwrap_or(200), args.next().unwrap_or(40));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("cluster: agent, service, cold and coordinator in one process, TLS on loopback, redb on disk");
    println!("  enrolment and first wallet, once per group: {:.1} s", enrolment().as_secs_f64());
    runtime.block_on(async {
        let cluster = Cluster::start(golden().world()).await;
        key_generation(&cluster, wallets).await;
        signing(&cluster, signatures).await;
        cluster.stop().await;
        online::print(signatures).await;
        bytes::print().await;
    });
    memory::print();
}

fn enrolment() -> std::time::Duration {
    let start = Instant::now();
    golden();
    start.elapsed()
}

/// A wallet, from the request to three attestations, and the library's own part of it.
async fn key_generation(cluster: &Cluster, wallets: u64) {
    let (mut whole, mut library) = (Figures::default(), Figures::default());
    for number in 0..wallets {
        library.time(bare::keygen(number)).await;
        whole.time(cluster.create_wallet(&format!("bench-{number}"))).await.unwrap();
    }
    println!("\ncreate wallet, {wallets} of them (goal: p99 below 100 ms)");
    whole.print("cluster");
    library.print("bare library");
}

/// A payment by the interactive protocol, from the gateway's request to its answer, and the library's own part of it.
async fn signing(cluster: &Cluster, signatures: u64) {
    let shares = bare::Shares::new().await;
    let (mut whole, mut library) = (Figures::default(), Figures::default());
    for number in 0..signatures {
        library.time(shares.sign(number)).await;
        let payload = transfer(FRIEND, usdc(1), number);
        let answer = whole.time(cluster.sign(WALLET, &payload, &format!("bench-{number}"))).await.unwrap();
        assert!(matches!(answer.outcome, Some(Outcome::Signed(_))), "{answer:?}");
    }
    println!("\ninteractive signature, {signatures} of them (goal: at most 1.15 times the library)");
    whole.print("cluster");
    library.print("bare library");
    println!("  ratio        p50 {:>9.2}", whole.p50() / library.p50());
}
