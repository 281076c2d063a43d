//! Where the money goes: an address typed twice, or what the operators decided beforehand.

use std::path::PathBuf;

use clap::Args;
use quorate_intent::ChainId;
use quorate_manifest::Manifest;
use quorate_recovery::SweepPolicy;
use quorate_types::{Address, Clock, SystemClock};
use serde_json::{Value, json};

use crate::refusal::{OrRefuse, Refusal};
use crate::ssh;

/// One of the two ways to say it.
#[derive(Args)]
pub(crate) struct To {
    /// Who gets it
    #[arg(long, value_name = "ADDRESS", requires = "confirm_to", required_unless_present = "sweep_policy")]
    to: Option<Address>,
    /// The same address, typed again
    #[arg(long, value_name = "ADDRESS", requires = "to")]
    confirm_to: Option<Address>,
    /// Or a sweep policy the operators signed, which names one address per chain
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    sweep_policy: Option<PathBuf>,
    /// The sweep policy's signatures; repeat for more files [default: FILE.sig]
    #[arg(long, value_name = "FILE", requires = "sweep_policy")]
    sweep_policy_signature: Vec<PathBuf>,
}

/// Where money may go.
#[derive(Debug)]
pub(crate) enum Destination {
    /// One address, on every chain.
    Typed(Address),
    /// What a signed policy says.
    Policy(SweepPolicy),
}

impl To {
    /// Whether both typings agree, before any file is read.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match (self.to, self.confirm_to) {
            (Some(to), Some(again)) if to != again => {
                let reason = format!("is {again}, and --to is {to}; nothing was signed");
                Err(Refusal::usage(reason).field("--confirm-to"))
            }
            _ => Ok(()),
        }
    }

    /// The destination, once both typings agree or the policy's signatures hold.
    pub(crate) fn destination(&self, manifest: &Manifest) -> Result<Destination, Refusal> {
        if let Some(file) = &self.sweep_policy {
            let document = ssh::document(file, &self.sweep_policy_signature)?;
            let verified = SweepPolicy::verify(&document, manifest, SystemClock.now()).map_err(|error| {
                Refusal::invalid(format!("{}: {error}; nothing was signed", file.display()))
                    .field("--sweep-policy")
                    .next("take the sweep policy and the signatures your operators made for this cluster")
            });
            return verified.map(Destination::Policy);
        }
        self.check()?;
        let typed = self.to.filter(|_| self.confirm_to.is_some()).map(Destination::Typed);
        typed.ok_or_else(|| Refusal::usage("give --to and --confirm-to, or --sweep-policy"))
    }
}

impl Destination {
    /// Who is paid on a chain.
    pub(crate) fn on(&self, chain: ChainId) -> Result<Address, Refusal> {
        match self {
            Self::Typed(to) => Ok(*to),
            Self::Policy(policy) => policy.destination(chain).ok_or_else(|| {
                Refusal::invalid(format!("names no destination on chain {chain}; nothing was signed"))
                    .field("--sweep-policy")
                    .next(
                        "leave that chain out of the plan, or have the operators sign a policy that names it",
                    )
            }),
        }
    }

    /// For the transcript.
    pub(crate) fn record(&self) -> Value {
        match self {
            Self::Typed(to) => json!({ "typed": to }),
            Self::Policy(policy) => json!({ "sweep_policy": policy.hash, "version": policy.version }),
        }
    }

    /// For the people at the screen.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Typed(to) => format!("to {to}"),
            Self::Policy(policy) => format!(
                "by sweep policy version {} ({}): is there a later one on paper?",
                policy.version, policy.hash
            ),
        }
    }
}

/// Checks a sweep policy before it is signed.
pub(crate) fn check(body: &[u8], name: impl std::fmt::Display) -> Result<(), Refusal> {
    SweepPolicy::check(body).or_invalid(name)
}
