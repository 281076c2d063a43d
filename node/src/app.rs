//! Wiring: from a configuration to a running node, and back to nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use quorate_audit::Quota;
use quorate_failpoint::Failpoints;
use quorate_mpc::Moduli;
use quorate_session::NodePublicKey;
use quorate_store::{Binding, Store, StoreError, Writer};
use quorate_transport::local::{LocalEndpoint, LocalError, Readiness, Running as LocalRunning};
use quorate_transport::{Identity, PeerRole, SpiffeId, TlsError};
use quorate_types::{BootId, Clock, Role};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::asking::{Asking, AskingError};
use crate::attach::{Attached, Dial};
use crate::cold::Cold;
use crate::config::{Config, ConfigError};
use crate::documents::{Documents, DocumentsError, Expected, Offered};
use crate::fatal::{Fatal, Watched};
use crate::identity::{self, IdentityError};
use crate::mark;
use crate::maths::Maths;
use crate::node::Node;
use crate::own_log::{self, OwnLog};
use crate::pool::Pool;
use crate::primes::PrimesPool;
use crate::restored::{MarkError, Restored};
use crate::vault::Vault;

/// How often the certificate files are looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(60);

/// How long a shutdown waits for the last write to end and the store to close.
const CLOSING: Duration = Duration::from_secs(10);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    // The operator.
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The identity key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate, its key or the CA.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The certificate is someone else's.
    #[error("tls.certificate: is for {got}, this node is {expected}")]
    Certificate {
        /// whose it is
        got: SpiffeId,
        /// who this node is
        expected: String,
    },
    /// The manifest or a stored document.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    /// A dev node needs a build that can be one.
    #[error("dev: this build has no dev mode; use one with the `dev` feature, or a production cluster")]
    NoDevMode,
    /// The health endpoint.
    #[error(transparent)]
    Health(#[from] LocalError),
    /// The socket agents ask through.
    #[error(transparent)]
    Asking(#[from] AskingError),

    // The machine.
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The mark of a restore.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// Threads.
    #[error("threads: {0}")]
    Threads(String),
}

impl StartError {
    /// Whether the operator can put it right by changing the configuration or a file it names.
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::Identity(_)
            | Self::Tls(_)
            | Self::Certificate { .. }
            | Self::NoDevMode
            | Self::Health(_) => true,
            Self::Documents(error) => {
                !matches!(error, DocumentsError::Store(_) | DocumentsError::Malformed(_))
            }
            Self::Store(error) => error.is_operators(),
            Self::Asking(error) => error.is_configuration(),
            Self::Mark(_) | Self::Threads(_) => false,
        }
    }
}

/// A node that can be started.
pub struct App;

impl App {
    /// Opens everything, checks that it belongs together, and starts dialling.
    ///
    /// # Errors
    /// [`StartError`], naming the field or file.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
        config.check()?;
        config.check_export_dir()?;
        if config.dev && !cfg!(feature = "dev") {
            return Err(StartError::NoDevMode);
        }
        let tls = Identity::load(&config.tls)?;
        check_certificate(&config, &tls)?;
        let config = Arc::new(config);
        let (attached, fatal) = (Attached::default(), Fatal::default());
        // First, because it installs the recorder everything else tells its metrics to.
        let health = start_health(config.health, &attached, &fatal).await?;
        // Opening reads disks and stretches keys: off the async threads.
        let build = {
            let config = Arc::clone(&config);
            move || {
                let node = build(&config, clock, fatal)?;
                let asking = config.asking.clone().map(|asking| Asking::open(&node, asking)).transpose()?;
                Ok::<_, StartError>((node, asking))
            }
        };
        let built = tokio::task::spawn_blocking(build).await;
        let (node, asking) = built.map_err(|error| StartError::Threads(error.to_string()))??;
        let mut running = Running::start(&config, &node, &tls, (attached, health));
        if let Some(asking) = asking {
            running.tasks.spawn(asking.serve(node, running.stop.clone()));
        }
        Ok(running)
    }
}

fn check_certificate(config: &Config, tls: &Identity) -> Result<(), StartError> {
    let got = tls.id();
    if *got.cluster() == config.cluster && got.role() == PeerRole::Node && got.id() == config.node.as_str() {
        return Ok(());
    }
    let expected = format!("spiffe://{}/{}/{}", config.cluster, PeerRole::Node, config.node);
    Err(StartError::Certificate { got, expected })
}

fn build(config: &Config, clock: Arc<dyn Clock>, fatal: Fatal) -> Result<Arc<Node>, StartError> {
    let key = Arc::new(identity::load(&config.data_dir)?);
    let store = open_store(config, &fatal)?;
    let offered = Offered::read(&config.manifest, &config.roots)?;
    let documents = open_documents(config, key.public(), &store, (offered, Arc::clone(&clock)))?;
    warn_of_strangers(config, &documents);
    let moduli = moduli(config);
    let threads = |error: std::io::Error| StartError::Threads(error.to_string());
    Ok(Arc::new(Node {
        cluster: config.cluster.clone(),
        me: config.node.clone(),
        role: config.role,
        boot: BootId::from_bytes(rand::random()),
        key,
        clock,
        vault: Vault::new(Arc::clone(&store), config.role, moduli),
        cold: Cold::new(config.cold.as_ref().map(|cold| cold.export_dir.clone())),
        restored: Restored::load(Arc::clone(&store))?,
        own_log: OwnLog::load(&*store)?,
        attempts: Quota::default(),
        ended_holds: Quota::default(),
        primes: primes(config, &store)?,
        maths: Maths::new(config.threads.maths).map_err(threads)?,
        background: Maths::background(config.threads.presign).map_err(threads)?,
        pool: Pool::new(&config.presignatures, config.threads.presign),
        writer: Writer::new(Arc::clone(&store)).map_err(threads)?,
        store,
        documents,
        moduli,
        fatal,
        failpoints: Failpoints::new(),
    }))
}

/// Which moduli this node accepts.
pub(crate) const fn moduli(config: &Config) -> Moduli {
    if config.dev { Moduli::Dev } else { Moduli::Production }
}

pub(crate) fn open_documents(
    config: &Config,
    key: NodePublicKey,
    store: &Arc<dyn Store>,
    (offered, clock): (Offered, Arc<dyn Clock>),
) -> Result<Documents, DocumentsError> {
    let expected = Expected {
        cluster: config.cluster.clone(),
        me: config.node.clone(),
        role: config.role,
        key,
        dev: config.dev,
    };
    Documents::open(Arc::clone(store), clock, expected, offered)
}

pub(crate) fn open_store(config: &Config, fatal: &Fatal) -> Result<Arc<dyn Store>, StartError> {
    let kek = config.kek.load()?;
    let binding = Binding { cluster: config.cluster.clone(), owner: config.node.to_string(), epoch: 0 };
    let directory = config.data_dir.join("store");
    mark::check(&config.data_dir, &directory)?;
    let store = quorate_store::open(&directory, &binding, &kek)?;
    mark::leave(&config.data_dir)?;
    Ok(Arc::new(Watched::new(store, fatal.clone())))
}

fn primes(config: &Config, store: &Arc<dyn Store>) -> Result<PrimesPool, StartError> {
    #[cfg(feature = "dev")]
    if config.dev {
        tracing::warn!("DEV CLUSTER: its primes are public and its wallets are worth nothing");
        return Ok(PrimesPool::dev(config.role.index()));
    }
    let started = PrimesPool::start(Arc::clone(store), config.primes.pool);
    started.map_err(|error| StartError::Threads(error.to_string()))
}

/// A coordinator the manifest does not name is no danger, since none is believed; it may be a typing error.
fn warn_of_strangers(config: &Config, documents: &Documents) {
    let pinned = documents.manifest();
    for coordinator in &config.coordinators {
        if !pinned.manifest().coordinators().contains(&coordinator.id) {
            tracing::warn!(coordinator = coordinator.id, "the manifest names no such coordinator");
        }
    }
    if config.role == Role::Cold && pinned.manifest().recovery().is_empty() {
        tracing::warn!("the manifest names no recovery recipient; this node joins no key generation");
    }
}

/// A node at work.
pub struct Running {
    stop: CancellationToken,
    fatal: Fatal,
    attached: Attached,
    tasks: JoinSet<()>,
    store: Weak<dyn Store>,
    health: LocalRunning,
}

impl Running {
    fn start(
        config: &Config,
        node: &Arc<Node>,
        tls: &Arc<Identity>,
        (attached, health): (Attached, LocalRunning),
    ) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for coordinator in &config.coordinators {
            let dial = Dial {
                coordinator: coordinator.clone(),
                identity: Arc::clone(tls),
                timeout: config.connect_timeout(),
                attached: attached.clone(),
            };
            tasks.spawn(dial.run(Arc::clone(node), stop.clone()));
        }
        tasks.spawn(own_log::keep_growing(Arc::clone(node), stop.clone()));
        // Aborted with the set.
        let reload = tokio_util::task::AbortOnDropHandle::new(tls.spawn_reload(RELOAD_EVERY));
        let stopped = stop.clone();
        tasks.spawn(async move {
            stopped.cancelled().await;
            drop(reload);
        });
        let pinned = node.documents.manifest();
        tracing::info!(
            node = %node.me, role = %node.role, boot = %node.boot, key = %node.key.public(),
            manifest = pinned.manifest().version(), "node started"
        );
        Self { stop, fatal: node.fatal.clone(), attached, tasks, store: Arc::downgrade(&node.store), health }
    }

    /// Whether this node is attached to at least one coordinator and trusts its disk.
    pub fn ready(&self) -> bool {
        self.attached.count() > 0 && self.fatal.reason().is_none()
    }

    /// Where the health endpoint listens.
    pub fn health_addr(&self) -> SocketAddr {
        self.health.local_addr()
    }

    /// Returns when the node can no longer trust its disk, with the reason. The process must then end (exit code 70).
    pub async fn wait(&self) -> String {
        self.fatal.stopped().await
    }

    /// Ends streams and sessions, finishes what is being synced, and closes the store.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.health.shutdown().await;
        // A write may still be under way; the store closes with the last of those who hold it, the thread that writes among them.
        let closing = tokio::time::Instant::now() + CLOSING;
        while self.store.strong_count() > 0 && tokio::time::Instant::now() < closing {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if self.store.strong_count() > 0 {
            tracing::warn!("the store is still in use after the shutdown");
        }
    }
}

async fn start_health(
    addr: SocketAddr,
    attached: &Attached,
    fatal: &Fatal,
) -> Result<LocalRunning, LocalError> {
    let (attached, fatal) = (attached.clone(), fatal.clone());
    let not_ready = |reason: &str| Readiness::NotReady { reason: reason.to_owned() };
    let ready = move || match (fatal.reason(), attached.count()) {
        (Some(_), _) => not_ready("the store failed; the node is stopping"),
        (None, 0) => not_ready("attached to no coordinator"),
        (None, _) => Readiness::Ready,
    };
    LocalEndpoint::start(addr, ready).await
}
