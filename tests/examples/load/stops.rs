//! How fast no is said: a request that policy denies, and an order that freezes a wallet, until both deciding nodes obey.

use std::time::{Duration, Instant};

use quorate_freeze::{Action, Order};
use quorate_manifest::Namespace;
use quorate_proto::v1;
use quorate_proto::v1::freeze_service_client::FreezeServiceClient;
use quorate_proto::v1::sign_response::Outcome;
use quorate_proto::v1::signing_service_client::SigningServiceClient;
use quorate_tests::{FRIEND, transfer, usdc};

use crate::processes::{Processes, wallet};

/// Orders, and denied requests.
const TIMES: u64 = 200;

/// In the order they were measured.
pub(crate) struct Stops {
    pub(crate) denied: Vec<Duration>,
    pub(crate) frozen: Vec<Duration>,
}

/// Asks for a ticket of 4,000 USDC where 25 is the cap, and freezes wallets nobody signs with.
pub(crate) async fn measure(cluster: &Processes) -> Stops {
    let mut signing = SigningServiceClient::new(cluster.gateway().await);
    let mut freezes = FreezeServiceClient::new(cluster.operator().await);
    let (mut denied, mut frozen) = (Vec::new(), Vec::new());
    for number in 0..TIMES {
        let request = v1::SignRequest {
            wallet: wallet(0),
            payload: Some(quorate_proto::payload_to_pb(&transfer(FRIEND, usdc(4000), number))),
            idempotency_key: format!("ticket-{number}"),
            ..Default::default()
        };
        let start = Instant::now();
        let answer = signing.sign(request).await.unwrap().into_inner();
        denied.push(start.elapsed());
        assert!(matches!(answer.outcome, Some(Outcome::Denied(_))), "{answer:?}");
        let start = Instant::now();
        let applied = freezes.apply_freeze(order(cluster, number)).await.unwrap().into_inner();
        frozen.push(start.elapsed());
        assert_eq!(applied.order.unwrap().nodes.len(), 2, "both deciding nodes obey");
    }
    println!("  {TIMES} denied, {TIMES} frozen");
    Stops { denied, frozen }
}

fn order(cluster: &Processes, number: u64) -> v1::ApplyFreezeRequest {
    let order = Order {
        cluster: "dev".parse().unwrap(),
        sequence: 1,
        scope: format!("wallet/nobody-{number}").parse().unwrap(),
        action: Action::Freeze,
        reason: "a measurement".to_owned(),
    };
    let body = order.to_yaml().unwrap().into_bytes();
    let signatures = vec![cluster.world().sign(&body, Namespace::Freeze)];
    v1::ApplyFreezeRequest { order: Some(v1::SignedDocument { body, signatures }) }
}
