//! The gRPC edge: one file per service, each method converts, calls its operation and converts back.

mod alerts;
pub(crate) mod approvals;
mod audit;
mod ceremony;
mod cluster;
mod freeze;
mod node_relay;
mod policy;
mod routes;
pub(crate) mod signing;
mod wallet;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use quorate_proto::{DESCRIPTORS, v1};
use quorate_transport::{AccessLayer, Connection};
use tokio_stream::Stream;
use tonic::transport::Server;
use v1::alert_service_server::AlertServiceServer;
use v1::approval_service_server::ApprovalServiceServer;
use v1::audit_service_server::AuditServiceServer;
use v1::ceremony_service_server::CeremonyServiceServer;
use v1::cluster_service_server::ClusterServiceServer;
use v1::freeze_service_server::FreezeServiceServer;
use v1::node_relay_server::NodeRelayServer;
use v1::policy_service_server::PolicyServiceServer;
use v1::signing_service_server::SigningServiceServer;
use v1::wallet_service_server::WalletServiceServer;

use crate::access::GRANTS;
use crate::coordinator::Coordinator;
use crate::ops::record_transcript::MAX_TRANSCRIPT_BYTES;
use routes::Routes;

/// Requests of people and gateways: the largest payload, as JSON or bytes, with room to spare.
const REQUEST_BYTES: usize = 512 * 1024;
/// Documents: the largest body and its signatures.
const DOCUMENT_BYTES: usize = 1 << 20;
/// The largest transcript, with its head beside it.
const TRANSCRIPT_BYTES: usize = MAX_TRANSCRIPT_BYTES + DOCUMENT_BYTES;
/// Frames of nodes.
const FRAME_BYTES: usize = 4 << 20;
/// Calls at once on one connection.
const CALLS_PER_CONNECTION: usize = 256;
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
const HEADER_BYTES: u32 = 16 * 1024;
/// Streams a peer opened and reset at once, before it is taken for an attack (CVE-2023-44487).
const PENDING_RESETS: usize = 32;

/// Serves until `stop` is done and the last connection has ended.
pub(crate) async fn serve(
    core: Arc<Coordinator>,
    incoming: impl Stream<Item = io::Result<Connection>>,
    stop: impl Future<Output = ()>,
    dev: bool,
) -> Result<(), tonic::transport::Error> {
    let (_reporter, health) = tonic_health::server::health_reporter();
    let mut routes = Routes::default()
        .with(
            SigningServiceServer::new(signing::Signing(core.clone()))
                .max_decoding_message_size(REQUEST_BYTES),
        )
        .with(
            WalletServiceServer::new(wallet::Wallets(core.clone())).max_decoding_message_size(REQUEST_BYTES),
        )
        .with(
            PolicyServiceServer::new(policy::Policies(core.clone()))
                .max_decoding_message_size(DOCUMENT_BYTES),
        )
        .with(
            ClusterServiceServer::new(cluster::Cluster(core.clone()))
                .max_decoding_message_size(DOCUMENT_BYTES),
        )
        .with(
            FreezeServiceServer::new(freeze::Freezes(core.clone())).max_decoding_message_size(DOCUMENT_BYTES),
        )
        .with(
            CeremonyServiceServer::new(ceremony::Ceremonies(core.clone()))
                .max_decoding_message_size(TRANSCRIPT_BYTES),
        )
        .with(
            ApprovalServiceServer::new(approvals::Approvals(core.clone()))
                .max_decoding_message_size(DOCUMENT_BYTES),
        )
        .with(AlertServiceServer::new(alerts::Alerts(core.clone())).max_decoding_message_size(REQUEST_BYTES))
        .with(AuditServiceServer::new(audit::Audit(core.clone())).max_decoding_message_size(REQUEST_BYTES))
        .with(NodeRelayServer::new(node_relay::Relay(core)).max_decoding_message_size(FRAME_BYTES))
        .with(health);
    if dev {
        let reflection =
            tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
        match reflection.build_v1() {
            Ok(reflection) => routes = routes.with(reflection),
            Err(error) => tracing::warn!(%error, "no reflection"),
        }
    }
    Server::builder()
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
        .max_concurrent_streams(u32::try_from(CALLS_PER_CONNECTION).ok())
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .http2_max_header_list_size(HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .layer(AccessLayer::new(GRANTS).refusing_with(crate::status::forbidden))
        .serve_with_incoming_shutdown(routes, incoming, stop)
        .await
}
