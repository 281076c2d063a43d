//! `quorate policy`: written by people, linted and signed here, in force once the nodes have it.

mod backtest;
mod cases;
mod diff;
mod history;
mod standing;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use quorate_manifest::Namespace;
use quorate_policy::{Finding, Severity, lint};
use quorate_proto::v1;
use quorate_types::WalletId;
use serde_json::json;

use crate::cli::Globals;
use crate::client::{Client, ORDINARY, refused, within};
use crate::files;
use crate::output::Answer;
use crate::profile::{Caller, Profile};
use crate::refusal::{Kind, Refusal};
use crate::ssh;
use standing::InForce;
pub(crate) use standing::instant;

/// Policies.
#[derive(Subcommand)]
pub(crate) enum Policy {
    /// Tell what is wrong with a policy, before anyone signs it
    Lint {
        /// The policy
        file: PathBuf,
    },
    /// Check what a policy must allow and deny, from a table of cases; needs no cluster
    Test {
        /// The policy
        file: PathBuf,
        /// The cases: docs/policy.md tells their format
        cases: PathBuf,
    },
    /// Tell what changes from one policy to another, and which way
    Diff {
        /// The policy in force
        old: PathBuf,
        /// The one to take its place
        new: PathBuf,
    },
    /// Ask a policy again what an exported log was asked, and tell what would be answered otherwise
    Backtest {
        /// The policy
        file: PathBuf,
        /// What `quorate audit export` wrote
        #[arg(long, value_name = "FILE")]
        log: PathBuf,
    },
    /// Show the versions a wallet's policy had
    History {
        /// The wallet
        wallet: WalletId,
    },
    /// Sign a policy with an operator's ssh key: writes FILE.sig beside it
    Sign {
        /// The policy
        file: PathBuf,
        /// An operator's ssh private key [default: the dev cluster's]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Put a signed policy in force
    Apply {
        /// The policy
        file: PathBuf,
        /// Its signatures; repeat for more files [default: FILE.sig]
        #[arg(long, value_name = "FILE")]
        sig: Vec<PathBuf>,
    },
    /// Show the policy in force for a wallet
    Show {
        /// The wallet
        wallet: WalletId,
    },
}

pub(crate) async fn run(command: Policy, globals: &Globals) -> Result<Answer, Refusal> {
    match command {
        Policy::Lint { file } => lint_file(&file),
        Policy::Test { file, cases } => cases::run(&file, &cases),
        Policy::Diff { old, new } => diff::run(&old, &new),
        Policy::Backtest { file, log } => backtest::run(&file, &log),
        Policy::History { wallet } => {
            let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
            history::run(&client, wallet.as_str()).await
        }
        Policy::Sign { file, key } => sign(globals, &file, key.as_deref()),
        Policy::Apply { file, sig } => apply(globals, &file, &sig).await,
        Policy::Show { wallet } => show(globals, wallet.as_str()).await,
    }
}

fn findings(file: &Path) -> Result<Vec<Finding>, Refusal> {
    Ok(lint(&files::read(file)?))
}

fn is_error(finding: &Finding) -> bool {
    finding.severity == Severity::Error
}

fn words(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn lint_file(file: &Path) -> Result<Answer, Refusal> {
    let found = findings(file)?;
    let bad = found.iter().any(is_error);
    let text = match (found.is_empty(), bad) {
        (true, _) => format!("{}: nothing to complain about.", file.display()),
        (false, true) => words(&found),
        (false, false) => format!("{}\n{}: can be signed.", words(&found), file.display()),
    };
    let code = if bad { Kind::Invalid.exit_code() } else { 0 };
    Ok(Answer::new(&json!({ "file": file, "ok": !bad, "findings": found }), text)?.code(code))
}

/// Refuses a policy that the nodes would refuse; answers its warnings.
fn check(file: &Path) -> Result<Vec<Finding>, Refusal> {
    let found = findings(file)?;
    if found.iter().any(is_error) {
        let refusal = Refusal::invalid(format!("{} has errors\n{}", file.display(), words(&found)));
        return Err(refusal.next("correct it; `quorate policy lint FILE` checks it again"));
    }
    Ok(found)
}

fn sign(globals: &Globals, file: &Path, key: Option<&Path>) -> Result<Answer, Refusal> {
    let warnings = check(file)?;
    let key = ssh::signing_key(globals, key)?;
    let signed = ssh::sign_file(file, Namespace::Policy, &key)?;
    let mut text = words(&warnings);
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!("Signed with {}. Next: quorate policy apply {}", signed.signer, file.display()));
    let object = json!({
        "file": file,
        "signer": signed.signer,
        "signatures": signed.count,
        "stale_signatures_dropped": signed.stale,
        "warnings": warnings,
    });
    Answer::new(&object, text)
}

async fn apply(globals: &Globals, file: &Path, sig: &[PathBuf]) -> Result<Answer, Refusal> {
    check(file)?;
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    let view = put_in_force(&client, file, sig).await?;
    let text = match &view.waiting {
        Some(_) => view.words().trim_end().to_owned(),
        None => format!("{}Next: quorate sign transfer --wallet {} ...", view.words(), view.wallet),
    };
    Answer::new(&view, text)
}

/// Sends a signed policy to the coordinator.
pub(crate) async fn put_in_force(client: &Client, file: &Path, sig: &[PathBuf]) -> Result<InForce, Refusal> {
    let request = v1::ApplyPolicyRequest { policy: Some(ssh::to_pb(ssh::document(file, sig)?)) };
    let answer = client.policies().apply_policy(within(request, ORDINARY)).await;
    Ok(answer.map_err(refused)?.into_inner().into())
}

/// Where a wallet's policies stand.
async fn standing(client: &Client, wallet: &str) -> Result<InForce, Refusal> {
    let request = v1::GetPolicyRequest { wallet: wallet.to_owned() };
    let answer = client.policies().get_policy(within(request, ORDINARY)).await.map_err(refused)?;
    Ok(answer.into_inner().into())
}

async fn show(globals: &Globals, wallet: &str) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    let view = standing(&client, wallet).await?;
    let text = format!("{}\n{}", view.words(), view.body.trim_end());
    Answer::new(&view, text)
}
