//! `quorate-coordinator run --config coordinator.yaml`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand, ValueEnum};
use quorate_coordinator::{App, Config, Running};
use quorate_types::SystemClock;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Bad configuration (as of usage errors).
const CONFIG: u8 = 2;
/// An internal error, a failed disk above all (EX_SOFTWARE of sysexits.h).
const INTERNAL: u8 = 70;

/// Gates signatures behind policy, relays between signer nodes, keeps the record. Holds no key share.
#[derive(Parser)]
#[command(name = "quorate-coordinator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until told to stop.
    Run {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// How to write the log, to standard error. What is written is set by RUST_LOG.
        #[arg(long, value_enum, default_value = "text")]
        log: Log,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Log {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn main() -> ExitCode {
    let Command::Run { config, log } = Cli::parse().command;
    start_log(log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, INTERNAL),
    };
    let config = match Config::load(&config) {
        Ok(config) => config,
        Err(error) => return fail(&error, CONFIG),
    };
    runtime.block_on(run(config))
}

fn start_log(log: Log) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let writer =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match log {
        Log::Text => writer.init(),
        Log::Json => writer.json().init(),
    }
}

async fn run(config: Config) -> ExitCode {
    match App::start(config, Arc::new(SystemClock)).await {
        Ok(running) => serve(running).await,
        Err(error) => {
            let code = if error.is_configuration() { CONFIG } else { INTERNAL };
            fail(&error, code)
        }
    }
}

async fn serve(running: Running) -> ExitCode {
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => return fail(&error, INTERNAL),
        };
    tokio::select! {
        stopped = running.wait() => fail(&stopped, INTERNAL),
        _ = terminate.recv() => stop(running).await,
        _ = interrupt.recv() => stop(running).await,
    }
}

async fn stop(running: Running) -> ExitCode {
    tracing::info!("stopping");
    running.shutdown().await;
    ExitCode::SUCCESS
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    tracing::error!(%error, "stopped");
    ExitCode::from(code)
}
