//! The endpoint for the machine itself: `/healthz`, `/readyz` and `/metrics` over plain HTTP, on loopback only.

mod answer;
mod recorder;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A scrape, two probes and a person with curl fit many times over.
const CONNECTIONS: usize = 16;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_BYTES: usize = 8 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Histograms are folded this often, or their samples would pile up between scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Whether the process can do its work now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It cannot; the reason is shown to whoever asks on this machine, so it must hold no secret.
    NotReady {
        /// what is waited for
        reason: String,
    },
}

/// Why the endpoint could not start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The address is reachable from other machines.
    #[error(
        "health: {address} is not a loopback address; metrics and health are served to this machine only"
    )]
    NotLoopback {
        /// as given
        address: SocketAddr,
    },
    /// The address cannot be bound.
    #[error("health: {address}: {source}")]
    Bind {
        /// as given
        address: SocketAddr,
        /// the system's reason
        source: io::Error,
    },
    /// The process already records its metrics elsewhere.
    #[error("health: another metrics recorder is installed in this process")]
    Recorder,
}

/// The endpoint, before it runs.
#[derive(Debug)]
pub struct LocalEndpoint;

/// A running endpoint. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl LocalEndpoint {
    /// Binds and serves. `ready` is asked at each `/readyz`; it must not block. The first call in a process installs
    /// the metrics recorder that all endpoints of the process show.
    ///
    /// # Errors
    /// [`LocalError`]: not a loopback address, not bindable, or a foreign metrics recorder.
    pub async fn start(
        address: SocketAddr,
        ready: impl Fn() -> Readiness + Send + Sync + 'static,
    ) -> Result<Running, LocalError> {
        if !address.ip().is_loopback() {
            return Err(LocalError::NotLoopback { address });
        }
        let bind = |source| LocalError::Bind { address, source };
        let metrics = recorder::shared().ok_or(LocalError::Recorder)?;
        let tcp = TcpListener::bind(address).await.map_err(bind)?;
        let running = Running {
            address: tcp.local_addr().map_err(bind)?,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let state = Arc::new(State { ready: Box::new(ready), metrics });
        running.tasks.spawn(serve(tcp, state, running.stop.clone(), running.tasks.clone()));
        running.tasks.close();
        Ok(running)
    }
}

impl Running {
    /// The address bound, with the port the system chose if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Closes the socket and every connection, and waits for both.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct State {
    ready: Box<dyn Fn() -> Readiness + Send + Sync>,
    metrics: PrometheusHandle,
}

async fn serve(tcp: TcpListener, state: Arc<State>, stop: CancellationToken, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut upkeep = tokio::time::interval(UPKEEP_EVERY);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((tcp.accept().await, place))
        };
        let next = tokio::select! {
            () = stop.cancelled() => return,
            _ = upkeep.tick() => {
                state.metrics.run_upkeep();
                continue;
            }
            next = next => next,
        };
        let Some((accepted, place)) = next else { return };
        match accepted {
            Ok((stream, _)) => {
                let (state, stop) = (Arc::clone(&state), stop.clone());
                tasks.spawn(async move {
                    let _place = place;
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection(stream, state)) => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "health: accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One request, one answer: nothing here is worth a kept connection, and an idle one would hold a place.
async fn connection(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| {
        let answer = answer::answer(&request, &*state.ready, || state.metrics.render());
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "health: connection failed");
    }
}
