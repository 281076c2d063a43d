//! `quorate`: provisions wallets, signs policies, asks for signatures, and runs a cluster on one machine.

mod agent_word;
mod attest;
mod check;
mod cli;
mod client;
mod commands;
mod dev;
mod files;
mod http;
mod output;
mod payload;
mod profile;
mod progress;
mod recover;
mod refusal;
mod signing;
mod ssh;
mod views;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::output::Output;
use crate::refusal::Refusal;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return unparsed(&error),
    };
    let output = Output::new(cli.globals.json);
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Refusal::internal(format!("could not start the runtime: {error}")))
        .and_then(|runtime| runtime.block_on(Box::pin(commands::run(cli, output))));
    match outcome {
        Ok(answer) => output.answer(&answer),
        Err(refusal) => output.refusal(&refusal),
    }
}

/// Help and the version are answers; anything else is a usage error, in JSON where that was asked for.
fn unparsed(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|arg| arg == "--json");
    if error.use_stderr() && json {
        let reason = error.to_string();
        let reason = reason.trim_end().trim_start_matches("error: ");
        return Output::new(true).refusal(&Refusal::usage(reason));
    }
    // Nothing is left to do where the terminal is gone.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
