//! Alerts, from what happened to a receiver on this machine.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_alert::WebhookConfig;
use quorate_transport::PeerRole;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::rig::{LARGE, PAYEE, Rig, SMALL, STRANGER, caller, payment, signature_of};
use crate::alerts::{AlertsConfig, Letter, open, start};
use crate::error::OpError;
use crate::ops::dead_letters;
use crate::records::page;

/// A server that answers each POST with the next status, 0 for never, and then with 200.
struct Server {
    config: AlertsConfig,
    posts: mpsc::UnboundedReceiver<Value>,
    _dir: tempfile::TempDir,
}

impl Server {
    async fn start(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, posts) = mpsc::unbounded_channel();
        let statuses = Arc::new(Mutex::new(statuses.iter().copied().collect::<VecDeque<_>>()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
                tokio::spawn(answer(stream, status, tell.clone()));
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let secret_file = dir.path().join("secret");
        std::fs::write(&secret_file, "0123456789abcdef").unwrap();
        std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let hook = WebhookConfig {
            name: "hook".to_owned(),
            url: format!("http://{address}/quorate"),
            secret_file,
            ca: None,
            kinds: None,
        };
        let config = AlertsConfig { throttle_s: 0, webhooks: vec![hook], ..AlertsConfig::default() };
        Self { config, posts, _dir: dir }
    }

    async fn next(&mut self) -> Value {
        tokio::time::timeout(Duration::from_secs(20), self.posts.recv()).await.unwrap().unwrap()
    }

    /// Tells it what happens at `rig`, until the token is cancelled.
    async fn told(&self, rig: &Rig) -> CancellationToken {
        let (stop, receivers) = (CancellationToken::new(), open(&self.config).unwrap());
        start(&rig.core, (&self.config, "coordinator-1"), receivers, &stop).await.unwrap();
        stop
    }
}

async fn answer(mut stream: TcpStream, status: u16, tell: mpsc::UnboundedSender<Value>) {
    let mut text = String::new();
    let body = loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.unwrap();
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            break body;
        }
    };
    tell.send(serde_json::from_str(body).unwrap()).unwrap();
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

async fn deny(rig: &Rig, key: &str) {
    rig.sign(key, payment(LARGE, PAYEE)).await.unwrap();
}

/// Waits until no letter is left: a receiver has an alert before its answer is back, and one that stops in between sends it
/// again after the next start.
async fn everything_is_told(rig: &Rig) {
    let left = || rig.core.db.read(|read| page::<Letter>(read, &[], 1));
    let told = async {
        while !left().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.unwrap();
}

#[tokio::test]
async fn a_denial_is_told_with_its_numbers_and_its_place_in_the_log() {
    let rig = Rig::new();
    let mut server = Server::start(&[]).await;
    let stop = server.told(&rig).await;
    deny(&rig, "k").await;
    let told = server.next().await;
    assert_eq!(told["format"], "quorate/alert/v1");
    assert_eq!((&told["kind"], &told["wallet"]), (&"limit".into(), &"w".into()));
    assert_eq!(told["id"], "demo/coordinator-1/2");
    assert_eq!(told["rules"][0]["rule"], "per_transaction");
    rig.sign("l", payment(SMALL, STRANGER)).await.unwrap();
    assert_eq!(server.next().await["kind"], "denied");
    stop.cancel();
}

#[tokio::test]
async fn what_did_not_arrive_is_sent_again_also_after_a_crash() {
    let rig = Rig::new();
    let mut server = Server::start(&[500, 503]).await;
    let stop = server.told(&rig).await;
    deny(&rig, "k").await;
    let first = server.next().await;
    assert_eq!(server.next().await["id"], first["id"], "tried again");
    stop.cancel();
    // It was never taken. Another denial comes while nobody follows the log.
    let rig = rig.restarted();
    deny(&rig, "l").await;
    let stop = server.told(&rig).await;
    let (again, later) = (server.next().await, server.next().await);
    assert_eq!(again["id"], first["id"]);
    assert_eq!(later["id"], "demo/coordinator-1/3");
    everything_is_told(&rig).await;
    stop.cancel();
    // And what arrived is not sent after the next start.
    let rig = rig.restarted();
    let stop = server.told(&rig).await;
    deny(&rig, "m").await;
    assert_eq!(server.next().await["id"], "demo/coordinator-1/4");
    stop.cancel();
}

#[tokio::test]
async fn what_a_receiver_refuses_is_put_aside_until_somebody_asks() {
    let rig = Rig::new();
    let mut server = Server::start(&[404]).await;
    let stop = server.told(&rig).await;
    deny(&rig, "k").await;
    let refused = server.next().await;
    let dead = loop {
        let dead = dead_letters::list(&rig.core).await.unwrap();
        if !dead.is_empty() {
            break dead;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(dead[0].letter.alert.id, refused["id"].as_str().unwrap());
    assert!(dead[0].reason.contains("404"), "{}", dead[0].reason);
    let operator = caller(PeerRole::Operator);
    let nobody = dead_letters::retry(&rig.core, &operator, "nobody").await;
    assert!(matches!(nobody, Err(OpError::NotFound { what: "receiver", .. })));
    assert_eq!(dead_letters::retry(&rig.core, &operator, "hook").await.unwrap(), 1);
    assert_eq!(server.next().await["id"], refused["id"]);
    assert!(dead_letters::list(&rig.core).await.unwrap().is_empty());
    assert!(rig.audit().contains(&"alerts.retried".to_owned()));
    stop.cancel();
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_nothing() {
    let rig = Rig::new();
    let stuck = vec![0; 64];
    let mut server = Server::start(&stuck).await;
    let stop = server.told(&rig).await;
    let (_agent, _service) =
        (rig.attach(quorate_types::Role::Agent, &[]), rig.attach(quorate_types::Role::Service, &[]));
    deny(&rig, "first").await;
    server.next().await;
    let began = std::time::Instant::now();
    for n in 0..10 {
        deny(&rig, &format!("denied-{n}")).await;
        let answer = rig.sign(&format!("signed-{n}"), payment(SMALL - n, PAYEE)).await.unwrap();
        signature_of(&answer);
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    stop.cancel();
}
