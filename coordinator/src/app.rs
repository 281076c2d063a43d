//! Wiring: configuration to a running coordinator, and its orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quorate_audit::AuditError;
use quorate_manifest::{ManifestError, PersonKey, Pinned, SignedDocument, split_signatures};
use quorate_store::{Binding, Read, Store, StoreError};
use quorate_transport::local::{self, LocalEndpoint, LocalError, Readiness};
use quorate_transport::{Identity, ListenError, Listener, PeerRole, SpiffeId, TlsError};
use quorate_types::{Clock, UnixMillis};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::alerts;
use crate::checkpoints;
use crate::config::{Config, ConfigError, ManifestFiles};
use crate::coordinator::{Coordinator, Documents};
use crate::db::Db;
use crate::drills;
use crate::freezes;
use crate::loosening;
use crate::node_logs;
use crate::ops::settle::settle;
use crate::pin::{PinError, pin};
use crate::presence;
use crate::refill;
use crate::server;

const HANDSHAKE: Duration = Duration::from_secs(10);
const RELOAD_TLS: Duration = Duration::from_secs(60);
/// After a stop: how long running operations have to end, and then connections.
const DRAIN: Duration = Duration::from_secs(30);
const CLOSE: Duration = Duration::from_secs(5);

/// Why the coordinator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, or a file it names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Certificate, key or CA.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The local port for health and metrics.
    #[error(transparent)]
    Health(#[from] LocalError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log was altered.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What the store holds cannot be used.
    #[error("{0}")]
    Record(String),
    /// The system has no more threads.
    #[error("threads: {0}")]
    Threads(std::io::Error),
}

impl StartError {
    /// Whether the operator can put it right by changing the configuration or a file it names.
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Config(_) | Self::Tls(_) | Self::Manifest(_) | Self::Health(_) | Self::Listen(_) => true,
            Self::Store(error) => error.is_operators(),
            Self::Audit(_) | Self::Record(_) | Self::Threads(_) => false,
        }
    }
}

/// Why a coordinator stopped by itself.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Stopped {
    /// A sync failed: what was said from then on could not be trusted to be on disk.
    #[error("the store failed")]
    Store,
    /// The server ended.
    #[error("the server ended")]
    Server,
}

/// The coordinator, before it runs.
pub struct App;

/// A running coordinator. Dropped without [`Running::shutdown`], it goes on until its runtime ends.
pub struct Running {
    address: SocketAddr,
    pub(crate) core: Arc<Coordinator>,
    stop: CancellationToken,
    ended: CancellationToken,
    server: JoinHandle<()>,
    health: local::Running,
    reload: JoinHandle<()>,
}

impl App {
    /// Opens the store, settles what a crash left, binds the ports and serves.
    ///
    /// # Errors
    /// [`StartError`] naming the file, field or address.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
        config.check()?;
        let identity = identify(&config)?;
        let receivers = alerts::open(&config.alerts)
            .map_err(|(name, error)| field("alerts", format!("receiver {name}: {error}")))?;
        let now = clock.now();
        let (config, store, documents) = blocking(move || {
            let (store, documents) = prepare(&config, now)?;
            Ok((config, store, documents))
        })
        .await?;
        let db = Db::new(store).map_err(StartError::Threads)?;
        let settled = settle(&db, now).await.map_err(|error| StartError::Record(error.to_string()))?;
        if settled != Default::default() {
            tracing::warn!(?settled, "requests were under way when the coordinator stopped");
        }
        let core = Coordinator::new(db, documents, clock, (config.deadlines, config.pools));
        let listener = Listener::bind(config.listen, identity.clone(), HANDSHAKE).await?;
        let broken = core.db.broken().clone();
        let health = LocalEndpoint::start(config.health, move || readiness(&broken)).await?;
        freezes::measure(&core.freezes.load());
        drills::measure(&core.db).await.map_err(|error| StartError::Record(error.to_string()))?;
        let running = serve(core, listener, (identity, health), config.dev);
        alerts::start(&running.core, (&config.alerts, &config.coordinator), receivers, &running.stop)
            .await
            .map_err(|error| StartError::Record(error.to_string()))?;
        tokio::spawn(node_logs::run(running.core.clone(), running.stop.clone()));
        tokio::spawn(checkpoints::run(running.core.clone(), config.coordinator, running.stop.clone()));
        tracing::info!(address = %running.address, cluster = %config.cluster, "serving");
        Ok(running)
    }
}

fn readiness(broken: &CancellationToken) -> Readiness {
    if broken.is_cancelled() {
        return Readiness::NotReady { reason: "the store failed".to_owned() };
    }
    Readiness::Ready
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(StartError::Record(error.to_string())),
    }
}

/// The certificate must say what the configuration says.
fn identify(config: &Config) -> Result<Arc<Identity>, StartError> {
    let identity = Identity::load(&config.tls)?;
    let expected = SpiffeId::new(config.cluster.clone(), PeerRole::Coordinator, &config.coordinator);
    let id = identity.id();
    if expected.as_ref() != Ok(&id) {
        return Err(field("tls.certificate", format!("it is {id}'s, not this coordinator's")));
    }
    Ok(identity)
}

fn prepare(config: &Config, now: UnixMillis) -> Result<(Arc<dyn Store>, Documents), StartError> {
    let document = read_document(&config.manifest)?;
    let roots = config.roots.iter().map(|root| root.parse::<PersonKey>());
    let roots = roots.collect::<Result<Vec<_>, _>>().map_err(|error| field("roots", error.to_string()))?;
    let owner = format!("coordinator/{}", config.coordinator);
    let binding = Binding { cluster: config.cluster.clone(), owner, epoch: 0 };
    let store = quorate_store::open(&config.data_dir, &binding, &config.kek.load()?)?;
    let read: &dyn Read = store.as_ref();
    let head = quorate_audit::verify(read)?;
    tracing::info!(entries = head.sequence, head = %head.hash, "audit log verified");
    let pinned = pin(store.as_ref(), &document, &roots, now).map_err(|error| match error {
        PinError::Manifest(error) => StartError::Manifest(error),
        PinError::Record(error) => StartError::Record(error.to_string()),
    })?;
    check_manifest(config, &pinned)?;
    let read: &dyn Read = store.as_ref();
    let frozen = freezes::load(read).map_err(|error| StartError::Record(error.to_string()))?;
    Ok((store, (pinned, frozen)))
}

fn check_manifest(config: &Config, pinned: &Pinned) -> Result<(), StartError> {
    let manifest = pinned.manifest();
    if *manifest.cluster() != config.cluster {
        return Err(field("cluster", format!("the manifest is of cluster {}", manifest.cluster())));
    }
    if manifest.is_dev() != config.dev {
        return Err(field("dev", format!("the manifest says dev: {}", manifest.is_dev())));
    }
    if !manifest.coordinators().contains(&config.coordinator) {
        return Err(field("coordinator", "not among the manifest's coordinators".to_owned()));
    }
    Ok(())
}

fn read_document(files: &ManifestFiles) -> Result<SignedDocument, ConfigError> {
    let read = |path: &Path| {
        let failed = |source| ConfigError::Read { path: PathBuf::from(path), source };
        std::fs::read(path).map_err(failed)
    };
    let mut signatures = Vec::new();
    for path in &files.signatures {
        let refused = |reason: String| ConfigError::Parse { path: path.clone(), reason };
        let text = String::from_utf8(read(path)?).map_err(|_| refused("not text".to_owned()))?;
        signatures.extend(split_signatures(&text).map_err(|error| refused(error.to_string()))?);
    }
    Ok(SignedDocument { body: read(&files.document)?, signatures })
}

fn field(field: &'static str, reason: String) -> StartError {
    ConfigError::Field { field, reason }.into()
}

fn serve(
    core: Arc<Coordinator>,
    listener: Listener,
    (identity, health): (Arc<Identity>, local::Running),
    dev: bool,
) -> Running {
    let address = listener.local_addr();
    let (stop, ended) = (core.stopping.clone(), CancellationToken::new());
    let serving = server::serve(core.clone(), listener.into_stream(), stop.clone().cancelled_owned(), dev);
    tokio::spawn(halt_when_broken(core.clone(), stop.clone()));
    tokio::spawn(refill::run(core.clone(), stop.clone()));
    tokio::spawn(loosening::run(core.clone(), stop.clone()));
    tokio::spawn(presence::run(core.clone(), stop.clone()));
    let done = ended.clone().drop_guard();
    let server = tokio::spawn(async move {
        let _done = done;
        if let Err(error) = serving.await {
            tracing::error!(%error, "the server failed");
        }
    });
    let reload = identity.spawn_reload(RELOAD_TLS);
    Running { address, core, stop, ended, server, health, reload }
}

/// With a disk that cannot be trusted nothing more is said to anyone.
async fn halt_when_broken(core: Arc<Coordinator>, stop: CancellationToken) {
    tokio::select! {
        () = core.db.broken().cancelled() => {}
        () = stop.cancelled() => return,
    }
    stop.cancel();
    core.nodes.all().iter().for_each(|link| link.close());
}

impl Running {
    /// Where gRPC is served, with the port the system chose if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where health and metrics are served.
    pub fn health_addr(&self) -> SocketAddr {
        self.health.local_addr()
    }

    /// Waits until it stops by itself, which is never good.
    pub async fn wait(&self) -> Stopped {
        tokio::select! {
            () = self.core.db.broken().cancelled() => Stopped::Store,
            () = self.ended.cancelled() => {
                if self.core.db.broken().is_cancelled() { Stopped::Store } else { Stopped::Server }
            }
        }
    }

    /// Stops taking calls, lets what runs end within a bound, and closes.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.core.tasks.close();
        within(DRAIN, "operations", self.core.tasks.wait()).await;
        self.core.nodes.all().iter().for_each(|link| link.close());
        let abort = self.server.abort_handle();
        within(CLOSE, "connections", self.server).await;
        abort.abort();
        self.reload.abort();
        self.health.shutdown().await;
        let store = self.core.db.handle();
        drop(self.core);
        // The thread that writes may hold it a moment longer.
        let closed = async {
            while store.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within(CLOSE, "the store's last users", closed).await;
        tracing::info!("stopped");
    }
}

async fn within(bound: Duration, what: &str, end: impl Future) {
    if timeout(bound, end).await.is_err() {
        tracing::warn!("{what} did not end within {} s and are cut", bound.as_secs());
    }
}
