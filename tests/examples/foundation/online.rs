//! A payment with a presignature, from the gateway's request on an open connection to its answer. One at a time, with
//! pauses in which the pool is filled again, so that it is the path that is measured and not the refill.

use std::time::Duration;

use quorate_proto::v1;
use quorate_tests::{Cluster, FRIEND, WALLET, golden, transfer, usdc};

use crate::bare;
use crate::figures::Figures;

/// Longer than one presignature takes.
const PAUSE: Duration = Duration::from_secs(2);

/// Measures and prints so many payments, by how they were signed.
pub(crate) async fn print(payments: u64) {
    let world = golden().world();
    world.keep_presignatures(8);
    let cluster = Cluster::start(world).await;
    let mut client = cluster.signing().await;
    let mut times = Vec::new();
    for number in 0..payments {
        let request = v1::SignRequest {
            agent: None,
            wallet: WALLET.to_owned(),
            payload: Some(quorate_proto::payload_to_pb(&transfer(FRIEND, usdc(1), number))),
            idempotency_key: format!("online-{number}"),
            ..Default::default()
        };
        let mut one = Figures::default();
        one.time(client.sign(request)).await.unwrap();
        times.push(one);
        tokio::time::sleep(PAUSE).await;
    }
    let (mut online, mut session) = (Figures::default(), Figures::default());
    for (time, path) in times.into_iter().zip(cluster.paths().await) {
        if path == "presignature" { online.add(time) } else { session.add(time) }
    }
    println!("\nsignature with a presignature, {} of {payments} (goal: p50 below 4 ms)", online.len());
    online.print("presignature");
    session.print("session");
    library().await.print("bare library");
    cluster.stop().await;
}

/// Partial signatures of both parties, combined and verified.
async fn library() -> Figures {
    let (shares, mut figures) = (bare::Shares::new().await, Figures::default());
    for number in 0..3 {
        let halves = shares.presign(number).await;
        figures.time(async { shares.online(halves) }).await;
    }
    figures
}
