//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    agent, alert, approval, audit, ceremony, demo, dev, freeze, group, lapse, manifest, node, policy,
    recover, recovery, sign, verify, wallet,
};

/// Operates a Quorate cluster: wallets whose keys are never in one place, and policies that decide what they sign.
///
/// Exit codes: 0 done, 2 usage, 3 denied by policy, 6 waiting for time or people, 4 invalid, conflict or not found, 5 unavailable or timed out,
/// 70 internal.
#[derive(Parser)]
#[command(name = "quorate", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Args, Clone)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Globals {
    /// Print one JSON object on stdout; progress goes to stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Directory of a cluster on this machine
    #[arg(long, global = true, value_name = "DIR", default_value = ".quorate-dev")]
    pub(crate) dir: PathBuf,
    /// Client profile: the coordinator's address and the certificate to show it [default: one of --dir]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where quorate-node and quorate-coordinator are [default: beside this program]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) bin_dir: Option<PathBuf>,
}

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// A cluster on this machine: three nodes and a coordinator as separate processes
    #[command(subcommand)]
    Dev(dev::Dev),
    /// Nodes: their keys, and who is attached
    #[command(subcommand)]
    Node(node::Node),
    /// The manifest: nodes, groups, operators and recovery recipients, signed by people
    #[command(subcommand)]
    Manifest(manifest::Manifest),
    /// Groups: three nodes that share auxiliary information
    #[command(subcommand)]
    Group(group::Group),
    /// An agent's own key, for wallets that take nobody else's word
    #[command(subcommand)]
    Agent(agent::Agent),
    /// Wallets: one key each, born as three shares
    #[command(subcommand)]
    Wallet(wallet::Wallet),
    /// Policies: what each wallet may sign
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Say yes or no to requests that policy does not sign without people
    #[command(subcommand)]
    Approval(approval::Approval),
    /// Stop signing at once: a wallet, an agent, an asset, a chain or all; one operator or approver is enough
    #[command(subcommand)]
    Freeze(freeze::Freeze),
    /// Lift a freeze: takes the operators' quorum
    #[command(subcommand)]
    Unfreeze(freeze::Unfreeze),
    /// Give back the spend of an authorization that ended unused: takes the operators' quorum
    #[command(subcommand)]
    Lapse(lapse::LapseCommand),
    /// Alerts that did not arrive
    #[command(subcommand)]
    Alert(alert::Alert),
    /// The audit log: read it, and check it without the cluster
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Ask for a signature
    #[command(subcommand)]
    Sign(sign::Sign),
    /// Check a signature with another library than the cluster's, and say what was signed
    Verify(verify::Verify),
    /// Move the money when a node is gone: offline, from two nodes' sealed files
    #[command(subcommand)]
    Recover(recover::Recover),
    /// Tell the cluster what an offline ceremony did: it goes on record, and into the audit log
    #[command(subcommand)]
    Ceremony(ceremony::Ceremony),
    /// The identity that opens sealed shares, in custodians' pieces
    #[command(subcommand)]
    Recovery(recovery::Recovery),
    /// The whole story on this machine: keys in shares, a payment signed, two refused
    Demo(demo::Demo),
}
