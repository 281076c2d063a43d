//! `quorate-node`: makes a node's identity, and runs the node.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use quorate_node::{App, Config, RestoreFiles, harden, identity};
use quorate_types::{NodeId, SystemClock};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Something in the configuration, or in a file it names, must be put right.
const BAD_CONFIGURATION: u8 = 2;
/// The machine failed; after a failed sync the process must not go on.
const FATAL: u8 = 70;

/// A Quorate signer node.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the node's identity key and prints its public half, for the manifest. Never overwrites one.
    Init {
        /// Where the node keeps its key and its store. Made where it does not exist.
        #[arg(long)]
        data_dir: PathBuf,
        /// The node's name, as it will be in the manifest.
        #[arg(long)]
        id: NodeId,
    },
    /// Seals this node's shares and auxiliary info to the manifest's recovery recipients. The node must be stopped.
    Backup {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Where the sealed files and their signed index go: a new directory.
        #[arg(long)]
        out: PathBuf,
    },
    /// Fills an empty data directory from this node's backup. The node signs nothing before `readmit`.
    Restore {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The backup: sealed files and their signed index.
        #[arg(long)]
        backup: PathBuf,
        /// The age identity that opens it.
        #[arg(long)]
        identity: PathBuf,
        /// A file with the PIN of the token that the identity is in.
        #[arg(long)]
        pin_file: Option<PathBuf>,
        /// Where the draft of the operators' readmission goes: a new file.
        #[arg(long)]
        readmission: PathBuf,
    },
    /// Takes in the readmission of a restored node, signed by the operators' quorum. The node must be stopped.
    Readmit {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The readmission.
        #[arg(long)]
        document: PathBuf,
        /// Its signatures (`ssh-keygen -Y sign -n readmission@quorate`); repeat for more files.
        #[arg(long, required = true)]
        signature: Vec<PathBuf>,
    },
    /// Writes the node's own log to a new file, as `quorate audit verify` reads it, and the latest checkpoint of it that other
    /// nodes cosigned to FILE.checkpoint. The node must be stopped.
    ExportLog {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Runs the node until it is told to stop.
    Run {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let (code, result) = match cli.command {
        Command::Init { data_dir, id } => (BAD_CONFIGURATION, init(&data_dir, &id)),
        Command::Backup { config, out } => (BAD_CONFIGURATION, backup(&config, &out)),
        Command::Restore { config, backup, identity, pin_file, readmission } => {
            let files = RestoreFiles {
                backup: &backup,
                identity: &identity,
                pin: pin_file.as_deref(),
                readmission: &readmission,
            };
            (BAD_CONFIGURATION, restore(&config, &files))
        }
        Command::Readmit { config, document, signature } => {
            (BAD_CONFIGURATION, readmit(&config, &document, &signature))
        }
        Command::ExportLog { config, out } => (BAD_CONFIGURATION, export_log(&config, &out)),
        Command::Run { config } => match run(&config) {
            Ok(()) => (0, Ok(())),
            Err((code, error)) => (code, Err(error)),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The outermost text alone: ours name their cause, and the chain would say it twice.
            tracing::error!("{error}");
            ExitCode::from(code)
        }
    }
}

fn init(data_dir: &std::path::Path, id: &NodeId) -> anyhow::Result<()> {
    let key = identity::create(data_dir)?;
    let line = serde_json::json!({ "node": id, "key": key });
    writeln!(std::io::stdout(), "{line}").map_err(|error| anyhow::anyhow!("stdout: {error}"))
}

fn backup(config: &std::path::Path, out: &std::path::Path) -> anyhow::Result<()> {
    // Shares are opened here, if only to be sealed.
    let _memory = harden::harden()?;
    print(&quorate_node::backup(&Config::load(config)?, out, Arc::new(SystemClock))?)
}

fn restore(config: &std::path::Path, files: &RestoreFiles<'_>) -> anyhow::Result<()> {
    let _memory = harden::harden()?;
    print(&quorate_node::restore(&Config::load(config)?, files, Arc::new(SystemClock))?)
}

fn readmit(
    config: &std::path::Path,
    document: &std::path::Path,
    signatures: &[PathBuf],
) -> anyhow::Result<()> {
    let _memory = harden::harden()?;
    print(&quorate_node::readmit(&Config::load(config)?, document, signatures, Arc::new(SystemClock))?)
}

fn export_log(config: &std::path::Path, out: &std::path::Path) -> anyhow::Result<()> {
    // The store's key is in memory.
    let _memory = harden::harden()?;
    print(&quorate_node::export_log(&Config::load(config)?, out)?)
}

fn print(report: &impl serde::Serialize) -> anyhow::Result<()> {
    let line = serde_json::to_string(report)?;
    writeln!(std::io::stdout(), "{line}").map_err(|error| anyhow::anyhow!("stdout: {error}"))
}

fn run(config: &std::path::Path) -> Result<(), (u8, anyhow::Error)> {
    // Before any secret is read, and before there is a second thread.
    let hardening = harden::harden().map_err(|error| (FATAL, error.into()))?;
    let config = Config::load(config).map_err(|error| (BAD_CONFIGURATION, error.into()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| (FATAL, error.into()))?;
    let result = runtime.block_on(Box::pin(serve(config, hardening)));
    // A task that hangs on a dead disk must not keep a process that has said it is gone.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

async fn serve(config: Config, hardening: harden::Hardening) -> Result<(), (u8, anyhow::Error)> {
    let fatal = |error: std::io::Error| (FATAL, error.into());
    let mut terminate = signal(SignalKind::terminate()).map_err(fatal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fatal)?;
    let running = Box::pin(App::start(config, Arc::new(SystemClock))).await.map_err(|error| {
        let code = if error.is_configuration() { BAD_CONFIGURATION } else { FATAL };
        (code, error.into())
    })?;
    metrics::gauge!("quorate_node_memory_locked").set(f64::from(u8::from(hardening.memory_locked)));
    if !hardening.memory_locked {
        tracing::warn!(
            "memory is not locked: allow it (LimitMEMLOCK=infinity), or make sure there is no swap"
        );
    }
    let reason = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        reason = running.wait() => Some(reason),
    };
    match reason {
        None => {
            tracing::info!("stopping");
            running.shutdown().await;
            Ok(())
        }
        // Nothing is finished or closed: nobody knows what is on the disk.
        Some(reason) => Err((FATAL, anyhow::anyhow!(reason))),
    }
}
