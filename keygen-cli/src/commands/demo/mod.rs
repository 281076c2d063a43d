//! `quorate demo`: the whole story on one machine. Anything that does not come out as told ends it with an error.

mod expect;
mod policy;
mod story;
mod timings;

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::Globals;
use crate::client::Client;
use crate::commands::dev::say_warnings;
use crate::dev::layout::GROUP;
use crate::dev::{Layout, WARNING, init, up};
use crate::output::{Answer, Output};
use crate::profile::Profile;
use crate::refusal::Refusal;
use story::Story;
use timings::Timings;

/// The whole story on this machine: keys in shares, a payment signed, two refused.
#[derive(Args)]
pub(crate) struct Demo {
    /// Seconds to wait for the cluster to start
    #[arg(long, value_name = "S", default_value_t = 60)]
    timeout: u64,
}

pub(crate) async fn run(command: Demo, globals: &Globals, output: Output) -> Result<Answer, Refusal> {
    let mut timings = Timings::new();
    let layout = Layout::new(&globals.dir);
    let patience = Duration::from_secs(command.timeout);
    Box::pin(start(globals, output, &layout, patience, &mut timings)).await?;
    let operator = Client::connect(&Profile::load(&layout.profile("operator"))?).await?;
    let gateway = Client::connect(&Profile::load(&layout.profile("gateway"))?).await?;
    enrol(&operator, output, &mut timings).await?;
    let mut story = Story::new(layout, operator, gateway, output, timings);
    Box::pin(story.tell()).await?;
    let Story { layout, timings, signed, denied, wallets, .. } = story;
    output.say(&format!("\n{}", timings.table()));
    let names: Vec<_> = wallets.iter().map(|wallet| wallet.wallet.clone()).collect();
    let object = json!({
        "dir": layout.root(),
        "wallets": wallets,
        "signed": signed,
        "denied": denied,
        "timings_ms": timings.millis(),
    });
    Answer::new(&object, next(&layout, &names))
}

async fn start(
    globals: &Globals,
    output: Output,
    layout: &Layout,
    patience: Duration,
    timings: &mut Timings,
) -> Result<(), Refusal> {
    output.say("1. Three signer nodes and a coordinator, each its own process.");
    if layout.exists() {
        output.note(WARNING);
    } else {
        timings.time("keys, certificates, signed manifest", async { init::init(globals) }).await?;
        say_warnings(layout, output);
    }
    let up = timings.time("cluster up, nodes attached", Box::pin(up::up(globals, patience))).await?;
    for process in &up.processes {
        let pid = process.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        output.say(&format!("   {:<14} pid {pid}", process.name));
    }
    Ok(())
}

async fn enrol(operator: &Client, output: Output, timings: &mut Timings) -> Result<(), Refusal> {
    output.say(&format!("\n2. The group {GROUP} makes its auxiliary information, once for all its wallets."));
    let groups = super::group::groups(operator).await?;
    let known = groups.into_iter().find(|group| group.group == GROUP && group.enrolled);
    let group = match known {
        Some(group) => group,
        None => {
            let enrolling = super::group::enrol(operator, GROUP, output);
            timings.time("group enrolled (auxiliary info)", Box::pin(enrolling)).await?
        }
    };
    output.say(&format!("   enrolled, {}", group.aux_hash));
    Ok(())
}

fn next(layout: &Layout, wallets: &[String]) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "quorate".to_owned());
    let quorate = format!("{program} --dir {}", layout.root().display());
    let [shopper, researcher] =
        [wallets.first(), wallets.get(1)].map(|name| name.map_or("WALLET", String::as_str));
    let friend = policy::RECIPIENT;
    let down = match layout.root().display().to_string().as_str() {
        ".quorate-dev" => "make down".to_owned(),
        other => format!("make down DEMO_DIR={other}"),
    };
    format!(
        "The cluster is running. Try:\n\
         \x20 {quorate} wallet list\n\
         \x20 {quorate} policy show {shopper}\n\
         \x20 {quorate} sign transfer --wallet {shopper} --chain base-sepolia --asset USDC --to {friend} --amount 1.50 --nonce 1 --max-fee-per-gas 2gwei --max-priority-fee-per-gas 1gwei\n\
         \x20 {quorate} sign authorization --wallet {researcher} --chain base-sepolia --to {friend} --amount 0.01\n\
         \x20 {quorate} dev status\n\
         \x20 {down}"
    )
}
