//! A coordinator in an attacker's hands: real TLS, a real certificate, and no honesty of its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_proto::v1;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::node_relay_server::{NodeRelay, NodeRelayServer};
use quorate_proto::v1::relay_frame;
use quorate_transport::{Listener, PeerRole};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{COORDINATOR, World};

/// Longest any test waits for a frame.
const PATIENCE: Duration = Duration::from_secs(90);

type Lines = Arc<Mutex<HashMap<String, mpsc::Sender<Result<v1::RelayFrame, Status>>>>>;

/// Accepts nodes and passes every frame to the test.
pub struct Relay {
    address: SocketAddr,
    lines: Lines,
    frames: mpsc::UnboundedReceiver<(String, Frame)>,
    /// What the nodes said of the presignatures they hold, as far as frames were read.
    pub pools: Vec<(String, v1::PoolChange)>,
    task: tokio::task::JoinHandle<()>,
}

impl Relay {
    /// Listens on a free port with the coordinator's own certificate.
    pub async fn start(world: &World) -> Self {
        let identity = world.identity(PeerRole::Coordinator, COORDINATOR);
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(any, identity, Duration::from_secs(5)).await.unwrap();
        let address = listener.local_addr();
        let lines = Lines::default();
        let (sender, frames) = mpsc::unbounded_channel();
        let service = NodeRelayServer::new(Service { lines: Arc::clone(&lines), sender })
            .max_decoding_message_size(8 << 20)
            .max_encoding_message_size(8 << 20);
        let task = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(listener.into_stream()).await.unwrap();
        });
        Self { address, lines, frames, pools: Vec::new(), task }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until each of these nodes has said hello.
    pub async fn attached(&mut self, nodes: &[&str]) {
        let wait = async {
            while !nodes.iter().all(|node| self.lines.lock().unwrap().contains_key(*node)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{nodes:?} did not attach"));
    }

    /// Waits until a node's stream has ended.
    pub async fn gone(&mut self, node: &str) {
        for _ in 0..500 {
            if !self.lines.lock().unwrap().contains_key(node) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{node} did not go");
    }

    /// The way to a node that is attached, for sending while something else is going on.
    pub fn line(&self, node: &str) -> mpsc::Sender<Result<v1::RelayFrame, Status>> {
        self.lines.lock().unwrap()[node].clone()
    }

    /// Sends a frame to a node.
    pub async fn send(&self, node: &str, frame: relay_frame::Frame) {
        let line = self.lines.lock().unwrap().get(node).cloned();
        if let Some(line) = line {
            // A node that is gone hears nothing; the test sees that by its silence.
            let _ = line.send(Ok(v1::RelayFrame { frame: Some(frame) })).await;
        }
    }

    /// The next frame of any node, heartbeats, progress and pools apart; `None` after `patience`.
    pub async fn next_within(&mut self, patience: Duration) -> Option<(String, Frame)> {
        let wait = async {
            loop {
                match self.frames.recv().await? {
                    (_, Frame::Heartbeat(_) | Frame::Progress(_)) => {}
                    (node, Frame::Pool(change)) => self.pools.push((node, change)),
                    other => return Some(other),
                }
            }
        };
        tokio::time::timeout(patience, wait).await.ok().flatten()
    }

    /// The next frame of any node.
    pub async fn next(&mut self) -> (String, Frame) {
        self.next_within(PATIENCE).await.expect("no node said anything")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Service {
    lines: Lines,
    sender: mpsc::UnboundedSender<(String, Frame)>,
}

#[tonic::async_trait]
impl NodeRelay for Service {
    type AttachStream = ReceiverStream<Result<v1::RelayFrame, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::NodeFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut incoming = request.into_inner();
        let Some(Ok(v1::NodeFrame { frame: Some(Frame::Hello(hello)) })) = incoming.next().await else {
            return Err(Status::invalid_argument("hello first"));
        };
        let (line, outgoing) = mpsc::channel(256);
        let welcome = relay_frame::Frame::Welcome(v1::Welcome { heartbeat_ms: 60_000 });
        line.send(Ok(v1::RelayFrame { frame: Some(welcome) })).await.unwrap();
        self.lines.lock().unwrap().insert(hello.node.clone(), line);
        let (lines, sender) = (Arc::clone(&self.lines), self.sender.clone());
        tokio::spawn(async move {
            while let Some(Ok(frame)) = incoming.next().await {
                if let Some(frame) = frame.frame {
                    let _ = sender.send((hello.node.clone(), frame));
                }
            }
            lines.lock().unwrap().remove(&hello.node);
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}
