//! Dialling a server as a tonic channel.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::dial::{Stream, Target};
use crate::error::ConnectError;
use crate::identity::Identity;
use crate::spiffe::{PeerRole, SpiffeId};
use crate::watch::Watched;

/// A dead peer is noticed after the sum of these two, even with no request under way.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(10);

/// Who must be at the other end. The cluster is always our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// the server's role
    pub role: PeerRole,
    /// its name, where it matters which one
    pub id: Option<String>,
}

impl Expect {
    /// Whether `id` is who is expected.
    pub fn accepts(&self, id: &SpiffeId) -> bool {
        self.role == id.role() && self.id.as_deref().is_none_or(|name| name == id.id())
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "{}/{id}", self.role),
            None => write!(f, "{}", self.role),
        }
    }
}

/// Connects to `address` (`host:port`, IPv6 in brackets) over mutual TLS 1.3 and waits until the server has taken
/// our certificate and answered, all within `timeout`. The channel reconnects by itself when it is next used after
/// a loss, with the identity's material of that moment; `timeout` bounds each such attempt, but no RPC. An RPC whose
/// reconnect failed ends with `UNAVAILABLE`, or `UNKNOWN` where the server refused our certificate meanwhile; calling
/// `connect` again tells which.
///
/// # Errors
/// [`ConnectError`]; its `is_identity` tells a refused certificate, of either side, from a server that is not there.
pub async fn connect(
    address: &str,
    identity: Arc<Identity>,
    expect: Expect,
    timeout: Duration,
) -> Result<Channel, ConnectError> {
    let target = Arc::new(Target::new(address, identity, expect, timeout)?);
    let attempt = tokio::time::timeout(target.timeout(), open(&target)).await;
    attempt.unwrap_or_else(|_| Err(target.timed_out()))
}

/// Boxed by its caller's future being large otherwise; one allocation per channel.
fn open(target: &Arc<Target>) -> impl Future<Output = Result<Channel, ConnectError>> + Send + use<> {
    let target = Arc::clone(target);
    Box::pin(async move {
        // The first connection is made here and not in the connector, so that its error keeps its type.
        let (first, verdict) = Watched::new(target.dial().await?, Arc::clone(&target));
        let endpoint = endpoint(&target)?;
        let first = Mutex::new(Some(first));
        let again = Arc::clone(&target);
        let connector = tower::service_fn(move |_: Uri| {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            let target = Arc::clone(&again);
            async move {
                match first {
                    Some(stream) => Ok(TokioIo::new(stream)),
                    None => redial(target).await.map(TokioIo::new),
                }
            }
        });
        let channel = endpoint.connect_with_connector(connector).await;
        // The server's first bytes decide; where the HTTP/2 start failed, they say why.
        match verdict.await {
            Ok(verdict) => verdict?,
            Err(_) => return Err(target.closed()),
        }
        channel.map_err(|e| target.protocol(e.to_string()))
    })
}

async fn redial(target: Arc<Target>) -> Result<Watched<Stream>, ConnectError> {
    let stream = target.dial().await.inspect_err(|error| tracing::debug!(%error, "not reconnected"))?;
    Ok(Watched::new(stream, target).0)
}

fn endpoint(target: &Target) -> Result<Endpoint, ConnectError> {
    let address = target.address();
    let uri = |scheme: &str| {
        format!("{scheme}://{address}")
            .parse::<Uri>()
            .map_err(|_| ConnectError::Address { address: address.to_owned() })
    };
    // tonic refuses an https address without its own TLS; the TLS is in the connector, the origin says https.
    Ok(Endpoint::from(uri("http")?)
        .origin(uri("https")?)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_ANSWER)
        .keep_alive_while_idle(true))
}
