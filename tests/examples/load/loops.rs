//! Closed loops, in which each client waits for its answer, and open ones, in which requests come at their time whatever
//! became of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use quorate_proto::v1;
use quorate_proto::v1::sign_response::Outcome;
use quorate_proto::v1::signing_service_client::SigningServiceClient;
use quorate_tests::{FRIEND, transfer, usdc};
use tonic::transport::Channel;

use crate::point::Point;
use crate::processes::{Processes, wallet};

type Client = SigningServiceClient<Channel>;

/// Most clients of a loop.
const MOST: usize = 128;

/// Gateways, each with a connection of its own, that pay from all wallets in turn.
pub(crate) struct Clients {
    clients: Vec<Client>,
    wallets: usize,
    /// Payments asked for so far: no two are the same.
    asked: Arc<AtomicUsize>,
}

impl Clients {
    pub(crate) async fn new(cluster: &Processes, wallets: usize) -> Self {
        let mut clients = Self { clients: Vec::new(), wallets, asked: Arc::default() };
        clients.reconnect(cluster).await;
        clients
    }

    /// New connections, once the coordinator was started again.
    pub(crate) async fn reconnect(&mut self, cluster: &Processes) {
        self.clients.clear();
        for _ in 0..MOST {
            self.clients.push(Client::new(cluster.gateway().await));
        }
    }

    pub(crate) const fn wallets(&self) -> usize {
        self.wallets
    }

    /// So many clients make so many requests together.
    pub(crate) async fn closed(
        &self,
        cluster: &Processes,
        name: &str,
        clients: usize,
        requests: usize,
    ) -> Point {
        let left = Arc::new(AtomicUsize::new(requests));
        let measure = Measure::begin(cluster).await;
        let one = |client: &Client| {
            let (mut client, left, payments) = (client.clone(), Arc::clone(&left), self.payments());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok()
                {
                    let start = Instant::now();
                    pay(&mut client, payments()).await;
                    times.push(start.elapsed());
                }
                times
            })
        };
        let tasks: Vec<_> = self.clients.iter().take(clients).map(one).collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap());
        }
        measure.end(cluster, name, &times).await
    }

    /// Requests come at this rate, a second.
    pub(crate) async fn open(&self, cluster: &Processes, name: &str, rate: u32, requests: usize) -> Point {
        let measure = Measure::begin(cluster).await;
        let (start, mut tasks) = (Instant::now(), Vec::new());
        for (number, client) in (0..requests).zip(self.clients.iter().cycle()) {
            let due = start + Duration::from_secs(1) * u32::try_from(number).unwrap() / rate;
            tokio::time::sleep_until(due.into()).await;
            let (mut client, payments) = (client.clone(), self.payments());
            tasks.push(tokio::spawn(async move {
                pay(&mut client, payments()).await;
                due.elapsed()
            }));
        }
        let mut times = Vec::new();
        for task in tasks {
            times.push(task.await.unwrap());
        }
        measure.end(cluster, name, &times).await
    }

    fn payments(&self) -> impl Fn() -> v1::SignRequest + Send + 'static {
        let (asked, wallets) = (Arc::clone(&self.asked), self.wallets);
        move || {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            v1::SignRequest {
                wallet: wallet(number % wallets),
                payload: Some(quorate_proto::payload_to_pb(&transfer(FRIEND, usdc(1), number as u64))),
                idempotency_key: format!("load-{number}"),
                ..Default::default()
            }
        }
    }
}

async fn pay(client: &mut Client, payment: v1::SignRequest) {
    let answer = client.sign(payment).await.unwrap().into_inner();
    assert!(matches!(answer.outcome, Some(Outcome::Signed(_))), "{answer:?}");
}

struct Measure {
    start: Instant,
    before: crate::usage::Usage,
    online: u64,
}

impl Measure {
    async fn begin(cluster: &Processes) -> Self {
        let online = cluster.with_presignature().await;
        Self { online, before: cluster.usage(), start: Instant::now() }
    }

    async fn end(self, cluster: &Processes, name: &str, times: &[Duration]) -> Point {
        let (took, used) = (self.start.elapsed(), &cluster.usage() - &self.before);
        let mut latencies = Histogram::new_with_bounds(1, 600_000_000, 3).unwrap();
        for time in times {
            latencies.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
        let with_presignature = cluster.with_presignature().await - self.online;
        let point = Point { name: name.to_owned(), latencies, took, with_presignature, used };
        println!("  {name}: {} in {:.1} s, p50 {:.1} ms", point.count(), took.as_secs_f64(), point.ms(0.5));
        point
    }
}
