//! Whoever is told: servers on this machine that take alerts as theirs would.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::World;

/// What the cluster and a webhook's receiver know, and nobody else.
pub const WEBHOOK_SECRET: &str = "what only the receiver knows";

/// Longest any test waits for an alert.
const PATIENCE: Duration = Duration::from_secs(30);

/// A receiver's server: where it is, and what it got.
pub struct Receiver {
    port: u16,
    got: mpsc::UnboundedReceiver<String>,
}

impl Receiver {
    /// A webhook's: it takes POSTs whose signature holds for now. The first are answered with `statuses`, one each, the others
    /// with 200.
    pub async fn webhook(statuses: &[u16]) -> Self {
        let statuses = Arc::new(Mutex::new(statuses.iter().copied().collect::<VecDeque<_>>()));
        Self::serve(move |stream| {
            let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
            take_post(stream, status)
        })
        .await
    }

    /// A mail server.
    pub async fn mail() -> Self {
        Self::serve(take_mail).await
    }

    /// Takes each connection with `serve`, and keeps what that got.
    async fn serve<F: Future<Output = String> + Send + 'static>(
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, got) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if tell.send(serve(stream).await).is_err() {
                    return;
                }
            }
        });
        Self { port, got }
    }

    /// Where it listens on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Has the coordinator of `world` tell this webhook, under the name `hook`, of these kinds: each alert, at once.
    pub fn is_told_by(&self, world: &World, kinds: &[&str]) {
        let (port, kinds) = (self.port, kinds.join(", "));
        let alerts = format!(
            "alerts:\n  throttle_s: 0\n  webhooks: [{{name: hook, url: \"http://127.0.0.1:{port}/\", secret_file: \
             hook.secret, kinds: [{kinds}]}}]\n"
        );
        world.tell(&alerts, &[("hook.secret", WEBHOOK_SECRET)]);
    }

    /// The next alert.
    ///
    /// # Panics
    /// Where none comes.
    pub async fn next(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.got.recv()).await.unwrap().unwrap()
    }

    /// The next alert of a webhook.
    ///
    /// # Panics
    /// Where none comes.
    pub async fn next_json(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.next().await).unwrap()
    }
}

/// Takes a POST whose signature holds for now, and gives back its body.
async fn take_post(stream: TcpStream, status: u16) -> String {
    let mut stream = BufReader::new(stream);
    let (mut length, mut signature) = (0, String::new());
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.trim().parse().unwrap();
        }
        if let Some(header) = line.strip_prefix("quorate-signature: ") {
            header.trim().clone_into(&mut signature);
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    stream.write_all(format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    let body = String::from_utf8(body).unwrap();
    let (time, signed) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
    mac.update(format!("{time}.{body}").as_bytes());
    mac.verify_slice(&hex::decode(signed).unwrap()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(time.parse().unwrap()) < 300, "an old one, sent again by somebody");
    body
}

/// Takes a mail as an SMTP server does.
async fn take_mail(stream: TcpStream) -> String {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test\r\n").await.unwrap();
    let (mut mail, mut data) = (String::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return mail;
        }
        if data && line != ".\r\n" {
            mail.push_str(&line);
            continue;
        }
        data = line == "DATA\r\n";
        let answer = if data { "354 go on" } else { "250 ok" };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}
