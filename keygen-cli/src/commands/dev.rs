//! `quorate dev`: a cluster on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use crate::cli::Globals;
use crate::dev::health::{ProcessView, look};
use crate::dev::layout::{GROUP, processes};
use crate::dev::{Layout, WARNING, init, process, up};
use crate::output::{Answer, Output};
use crate::refusal::{OrRefuse, Refusal};

/// A cluster on this machine.
#[derive(Subcommand)]
pub(crate) enum Dev {
    /// Make keys, certificates, a signed manifest and configurations in --dir
    Init,
    /// Start the coordinator and three nodes, and wait until all are ready
    Up {
        /// Seconds to wait
        #[arg(long, value_name = "S", default_value_t = 60)]
        timeout: u64,
    },
    /// Stop them
    Down {
        /// Seconds each process has to end before it is killed
        #[arg(long, value_name = "S", default_value_t = 10)]
        timeout: u64,
        /// Also delete --dir, with every key and share in it
        #[arg(long)]
        wipe: bool,
    },
    /// Tell what is running and what is missing
    Status,
}

pub(crate) async fn run(command: Dev, globals: &Globals, output: Output) -> Result<Answer, Refusal> {
    match command {
        Dev::Init => initialise(globals, output),
        Dev::Up { timeout } => start(globals, output, Duration::from_secs(timeout)).await,
        Dev::Down { timeout, wipe } => down(globals, Duration::from_secs(timeout), wipe).await,
        Dev::Status => status(globals).await,
    }
}

fn initialise(globals: &Globals, output: Output) -> Result<Answer, Refusal> {
    let layout = init::init(globals)?;
    say_warnings(&layout, output);
    let root = layout.root().display();
    let words = format!(
        "Made {root}: authority, certificates, a manifest signed by keys/operator, three nodes and a coordinator.\n\
         Next: quorate --dir {root} dev up"
    );
    let paths = json!({
        "dir": layout.root(),
        "manifest": layout.manifest(),
        "operator_key": layout.operator_key(),
        "recovery_identity": layout.recovery(),
        "profiles": [layout.profile("operator"), layout.profile("gateway"), layout.profile("auditor")],
        "dev": true,
    });
    Answer::new(&paths, words)
}

/// Said by `init`: once per cluster, and never on stdout.
pub(crate) fn say_warnings(layout: &Layout, output: Output) {
    output.note(WARNING);
    output.note(&format!(
        "!! RECOVERY KEY: {} opens every cold share. Of a real cluster it is made on a machine without a network,\n\
         !! and only its public half comes near the cluster.",
        layout.recovery().display()
    ));
}

async fn start(globals: &Globals, output: Output, patience: Duration) -> Result<Answer, Refusal> {
    Layout::new(&globals.dir).must_exist()?;
    output.note(WARNING);
    let up = Box::pin(up::up(globals, patience)).await?;
    let words = format!(
        "{}\nNext: quorate --dir {dir} group list, and once: quorate --dir {dir} group enrol {GROUP}",
        ProcessView::table(&up.processes),
        dir = globals.dir.display()
    );
    Answer::new(&json!({ "started": up.started, "processes": up.processes }), words)
}

async fn down(globals: &Globals, patience: Duration, wipe: bool) -> Result<Answer, Refusal> {
    let layout = Layout::new(&globals.dir);
    if !layout.exists() {
        if wipe && layout.root().exists() {
            return Err(Refusal::conflict(format!(
                "{} is not a dev cluster: it is not deleted",
                layout.root().display()
            ))
            .field("--dir"));
        }
        let words = format!("There is no cluster in {}.", layout.root().display());
        return Answer::new(&json!({ "stopped": {}, "wiped": false }), words);
    }
    let held = process::lock(&layout)?;
    let mut stopped = BTreeMap::new();
    // Nodes first: they need not watch their coordinator go.
    let ids: Vec<_> = processes().collect();
    for id in ids.into_iter().rev() {
        stopped.insert(id, process::stop(&layout, id, patience).await?);
    }
    if wipe {
        fs::remove_dir_all(layout.root()).or_internal(format!("deleting {}", layout.root().display()))?;
    }
    drop(held);
    let mut words: Vec<_> = stopped.iter().map(|(id, how)| format!("{id}: {}", in_words(*how))).collect();
    if wipe {
        words.push(format!("{} is deleted, keys and shares with it.", layout.root().display()));
    }
    Answer::new(&json!({ "stopped": stopped, "wiped": wipe }), words.join("\n"))
}

const fn in_words(how: process::Stopped) -> &'static str {
    match how {
        process::Stopped::NotRunning => "was not running",
        process::Stopped::Gracefully => "stopped",
        process::Stopped::Killed => "killed: it did not end in time",
    }
}

async fn status(globals: &Globals) -> Result<Answer, Refusal> {
    let layout = Layout::new(&globals.dir);
    layout.must_exist()?;
    let processes = look(&layout).await?;
    let well = processes.iter().all(ProcessView::is_well);
    let code = if well { 0 } else { crate::refusal::Kind::Unavailable.exit_code() };
    let mut words = ProcessView::table(&processes);
    if !well {
        words.push_str(&format!("\nNext: quorate --dir {} dev up", layout.root().display()));
    }
    Ok(Answer::new(&json!({ "ready": well, "processes": processes }), words)?.code(code))
}
