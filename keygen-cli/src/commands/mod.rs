//! One file per command.

pub(crate) mod agent;
pub(crate) mod alert;
pub(crate) mod approval;
pub(crate) mod audit;
pub(crate) mod ceremony;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod freeze;
pub(crate) mod group;
pub(crate) mod lapse;
pub(crate) mod manifest;
pub(crate) mod node;
pub(crate) mod policy;
pub(crate) mod recover;
pub(crate) mod recovery;
mod rotate;
pub(crate) mod sign;
pub(crate) mod verify;
pub(crate) mod wallet;

use crate::cli::{Cli, Command};
use crate::output::{Answer, Output};
use crate::refusal::Refusal;

/// Does what the command line says.
pub(crate) async fn run(cli: Cli, output: Output) -> Result<Answer, Refusal> {
    let globals = &cli.globals;
    match cli.command {
        Command::Dev(command) => Box::pin(dev::run(command, globals, output)).await,
        Command::Node(command) => Box::pin(node::run(command, globals)).await,
        Command::Manifest(command) => Box::pin(manifest::run(command, globals)).await,
        Command::Group(command) => Box::pin(group::run(command, globals, output)).await,
        Command::Approval(command) => Box::pin(approval::run(command, globals)).await,
        Command::Agent(command) => agent::run(command),
        Command::Wallet(command) => Box::pin(wallet::run(command, globals)).await,
        Command::Policy(command) => Box::pin(policy::run(command, globals)).await,
        Command::Freeze(command) => Box::pin(freeze::freeze(command, globals)).await,
        Command::Unfreeze(command) => Box::pin(freeze::unfreeze(command, globals)).await,
        Command::Lapse(command) => Box::pin(lapse::run(command, globals)).await,
        Command::Alert(command) => Box::pin(alert::run(command, globals)).await,
        Command::Audit(command) => Box::pin(audit::run(command, globals, output)).await,
        Command::Sign(command) => Box::pin(sign::run(command, globals, output)).await,
        Command::Verify(command) => verify::run(&command, globals),
        Command::Recover(command) => recover::run(command, globals, output),
        Command::Ceremony(command) => Box::pin(ceremony::run(command, globals)).await,
        Command::Recovery(command) => recovery::run(command),
        Command::Demo(command) => Box::pin(demo::run(command, globals, output)).await,
    }
}
