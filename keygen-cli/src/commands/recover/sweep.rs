//! `quorate recover sweep` and `fleet`: everything is planned, shown and checked before the first signature.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use quorate_ceremony::{Made, SIGNATURES};
use quorate_intent::{AssetId, chain_name, decimals, token};
use quorate_types::{B256, U256, WalletId};
use serde_json::{Value, json};

use super::{open, signer};
use crate::files;
use crate::output::{Answer, Output};
use crate::recover::{
    Broadcast, Chosen, Destination, Files, FleetPlan, Job, Journal, Move, Packages, Plan, Record, Source,
    Swept, To, WalletPlan, sweep,
};
use crate::refusal::{Kind, Refusal};

/// One wallet.
#[derive(Args)]
pub(crate) struct Sweep {
    #[command(flatten)]
    source: Source,
    /// Balances, nonce and fees on one chain, as YAML
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    #[command(flatten)]
    to: To,
    /// Directory of the journal and the raw transactions; the same one when this is run again
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Many wallets.
#[derive(Args)]
pub(crate) struct Fleet {
    #[command(flatten)]
    files: Files,
    /// Balances, nonces and fees of every wallet on each of its chains, as YAML
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    #[command(flatten)]
    to: To,
    /// Directory of the journal and the raw transactions; the same one when this is run again
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A wallet, its files, and what to sign for it.
struct Planned {
    wallet: WalletId,
    chosen: [Chosen; 2],
}

/// One run.
struct Run<'a> {
    files: &'a Files,
    manifest: B256,
    output: Output,
    record: Record,
    journal: Journal,
}

pub(super) fn one(command: &Sweep, output: Output) -> Result<Answer, Refusal> {
    command.to.check()?;
    let plan: Plan = files::read_yaml(&command.plan)?;
    let Source { files, wallet, address } = &command.source;
    let plans = [WalletPlan { wallet: wallet.clone(), address: *address, chains: vec![plan] }];
    let mut outcome = run(files, &plans, (&command.to, &command.out), output)?;
    // Of one wallet there is nothing else to tell than why it was not swept.
    if let Some((_, refusal)) = outcome.failed.pop() {
        return Err(refusal);
    }
    outcome.answer()
}

pub(super) fn fleet(command: &Fleet, output: Output) -> Result<Answer, Refusal> {
    command.to.check()?;
    let plan: FleetPlan = files::read_yaml(&command.plan)?;
    if plan.wallets.is_empty() {
        return Err(Refusal::invalid("names no wallet").field("--plan: wallets"));
    }
    run(&command.files, &plan.wallets, (&command.to, &command.out), output)?.answer()
}

/// What a run came to.
struct Outcome {
    jobs: Vec<Job>,
    swept: Vec<Swept>,
    again: usize,
    fees: BTreeMap<u64, U256>,
    failed: Vec<(WalletId, Refusal)>,
    broadcast: Broadcast,
    destination: Destination,
}

fn run(
    files: &Files,
    plans: &[WalletPlan],
    (to, out): (&To, &std::path::Path),
    output: Output,
) -> Result<Outcome, Refusal> {
    let pinned = files.trust.manifest()?;
    let destination = to.destination(pinned.manifest())?;
    let packages = files.packages(pinned.manifest())?;
    let (planned, jobs) = plan(&packages, plans, &destination)?;
    let journal = Journal::open(out)?;
    journal.check(&jobs)?;
    let record = Record::open(&files.transcript)?;
    let mut run = Run { files, manifest: pinned.hash(), output, record, journal };
    let fees = run.show(&planned, &jobs, &destination);
    let about = json!({ "wallets": jobs.len(), "transactions": count(&jobs), "to": destination.record() });
    run.record.step("sweeping", about)?;
    let (again, failed) = run.sweep(&planned, &jobs)?;
    let broadcast = run.journal.broadcast(&jobs)?;
    let signed = |job: &Job| -> Vec<Swept> {
        job.moves.iter().filter_map(|planned| run.journal.signed(job.from, planned).cloned()).collect()
    };
    let swept = jobs.iter().flat_map(signed).collect();
    Ok(Outcome { jobs, swept, again, fees, failed, broadcast, destination })
}

fn count(jobs: &[Job]) -> usize {
    jobs.iter().map(|job| job.moves.len()).sum()
}

/// Everything is found and built before anything is opened.
fn plan(
    packages: &Packages,
    plans: &[WalletPlan],
    destination: &Destination,
) -> Result<(Vec<Planned>, Vec<Job>), Refusal> {
    let (mut planned, mut jobs) = (Vec::new(), Vec::new());
    for one in plans {
        let chosen = packages.choose(&one.wallet, one.address)?;
        let [first, _] = &chosen;
        let from = first.address();
        let mut moves = Vec::new();
        for chain in &one.chains {
            let built = chain.moves(from, destination).map_err(|refusal| Refusal {
                reason: format!("wallet {}: {}", one.wallet, refusal.reason),
                ..refusal
            });
            moves.extend(built?);
        }
        planned.push(Planned { wallet: one.wallet.clone(), chosen });
        jobs.push(Job { from, moves });
    }
    Ok((planned, jobs))
}

impl Run<'_> {
    /// Says in words what is going to be signed, with totals. Answers the highest fees by chain.
    fn show(&self, planned: &[Planned], jobs: &[Job], destination: &Destination) -> BTreeMap<u64, U256> {
        let (mut fees, mut totals) = (BTreeMap::<u64, U256>::new(), BTreeMap::<AssetId, U256>::new());
        self.output.note(&destination.words());
        for (wallet, job) in planned.iter().zip(jobs) {
            self.output.note(&format!("from {} ({})", job.from, wallet.wallet));
            for one in &job.moves {
                let intent = &one.decoded.intent;
                self.output.note(&format!("  {}", intent.summary()));
                let fee = fees.entry(one.chain).or_default();
                *fee = fee.saturating_add(intent.max_native_fee);
                for charge in intent.charges().unwrap_or_default() {
                    let total = totals.entry(charge.asset).or_default();
                    *total = total.saturating_add(charge.amount);
                }
            }
        }
        let amounts = totals.iter().map(|(asset, total)| words(*asset, *total));
        self.output.note(&format!("in all, fees apart: {}", amounts.collect::<Vec<_>>().join(", ")));
        for (chain, fee) in &fees {
            let fee = alloy_primitives::utils::format_ether(*fee);
            let chain = chain_name(*chain).map_or_else(|| chain.to_string(), str::to_owned);
            self.output.note(&format!("fees of at most {fee} of {chain}'s own coin"));
        }
        fees
    }

    /// Wallet by wallet. One whose files are damaged does not keep the others from being swept; a disk that fails ends
    /// the run.
    fn sweep(
        &mut self,
        planned: &[Planned],
        jobs: &[Job],
    ) -> Result<(usize, Vec<(WalletId, Refusal)>), Refusal> {
        let (mut again, mut failed) = (0, Vec::new());
        for (at, (wallet, job)) in planned.iter().zip(jobs).enumerate() {
            let waiting = job.moves.iter().filter(|one| self.journal.signed(job.from, one).is_none()).count();
            again += job.moves.len() - waiting;
            if waiting == 0 {
                continue;
            }
            match self.wallet(wallet, job) {
                Ok(signed) => {
                    let place = format!("[{}/{}]", at + 1, jobs.len());
                    self.output.note(&format!("{place} {}: {signed} signed", wallet.wallet));
                }
                Err(refusal) if refusal.kind == Kind::Internal => return Err(refusal),
                Err(refusal) => {
                    self.output.note(&format!("{}: NOT SWEPT: {}", wallet.wallet, refusal.reason));
                    failed.push((wallet.wallet.clone(), refusal));
                }
            }
        }
        Ok((again, failed))
    }

    fn wallet(&mut self, wallet: &Planned, job: &Job) -> Result<usize, Refusal> {
        let chosen = (&wallet.wallet, &wallet.chosen);
        let (mut parties, _) = open(self.files, chosen, self.manifest, &mut self.record)?;
        let signed = sweep(&mut self.journal, job, |payload| parties.sign(payload))?;
        let made = |planned: &Move| {
            let swept = self.journal.signed(job.from, planned)?;
            let said = (swept.summary.clone(), planned.decoded.digest.digest());
            Some(Made::new(signer(&parties), said, &swept.signature()?))
        };
        let made: Vec<_> = job.moves.iter().filter_map(made).collect();
        self.record.step("swept", json!({ "from": job.from, SIGNATURES: made }))?;
        Ok(signed)
    }
}

fn view(swept: &Swept) -> Value {
    json!({
        "from": swept.from, "chain": swept.chain, "slot": swept.slot, "summary": swept.summary, "raw": swept.raw,
    })
}

/// An amount with its asset, as people say it.
fn words(asset: AssetId, units: U256) -> String {
    let chain = chain_name(asset.chain).map_or_else(|| asset.chain.to_string(), str::to_owned);
    let contract = crate::payload::amount::contract(asset);
    let symbol =
        contract.map_or(Some("native"), |address| token(asset.chain, address).map(|token| token.symbol));
    let number = decimals(asset).and_then(|places| alloy_primitives::utils::format_units(units, places).ok());
    match (number, symbol) {
        (Some(number), Some(symbol)) => format!("{number} {symbol} on {chain}"),
        _ => format!("{units} units of {asset}"),
    }
}

impl Outcome {
    fn answer(&self) -> Result<Answer, Refusal> {
        let senders: Vec<_> = self.jobs.iter().map(|job| job.from).collect();
        let failed: Vec<_> = self
            .failed
            .iter()
            .map(|(wallet, refusal)| json!({ "wallet": wallet, "error": refusal }))
            .collect();
        let fees: BTreeMap<_, _> = self
            .fees
            .iter()
            .map(|(chain, fee)| (chain.to_string(), alloy_primitives::utils::format_ether(*fee)))
            .collect();
        let answer = json!({
            "from": senders, "to": self.destination.record(), "signed_before": self.again, "max_fees": fees,
            "transactions": self.swept.iter().map(view).collect::<Vec<_>>(), "failed": failed,
            "file": self.broadcast.raw.display().to_string(),
            "authorizations": self.broadcast.calls.as_ref().map(|file| file.display().to_string()),
        });
        let mut words = format!(
            "SWEPT: {} transactions signed by {} wallets, {} of them before\n  broadcast them in this order, elsewhere: {}",
            self.swept.len(),
            senders.len() - failed.len(),
            self.again,
            self.broadcast.raw.display()
        );
        if let Some(calls) = &self.broadcast.calls {
            words.push_str(&format!("\n  and have somebody submit these calls: {}", calls.display()));
        }
        for (wallet, refusal) in &self.failed {
            words.push_str(&format!("\nNOT SWEPT: {wallet}: {}", refusal.reason));
        }
        let code = if self.failed.is_empty() { 0 } else { Kind::Invalid.exit_code() };
        Ok(Answer::new(&answer, words)?.code(code))
    }
}
