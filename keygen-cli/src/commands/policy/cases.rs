//! `quorate policy test`: what a policy must allow and deny, as a table in a file, checked without a cluster.

use std::collections::BTreeMap;
use std::path::Path;

use quorate_intent::{Decoded, chain_by_name, decode};
use quorate_policy::{Facts, Policy, Trial};
use quorate_types::{Address, B256, Bytes, Payload, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::diff::{namesake, read};
use crate::files;
use crate::output::Answer;
use crate::payload::authorization::{Authorization, Kind, Payment};
use crate::payload::source::{hex_bytes, raw_digest};
use crate::payload::transfer::{Gas, Transfer};
use crate::refusal::{self, OrRefuse, Refusal};

/// One gwei, and what a plain payment's gas may cost in a case that says nothing about it.
const GWEI: u128 = 1_000_000_000;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// The wallet's address.
    address: Address,
    cases: Vec<Case>,
}

/// One request, and what must come of it. What cases before it were allowed counts, where `fresh` does not say otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// When it is asked; as the case before where absent.
    at: Option<String>,
    #[serde(default)]
    fresh: bool,
    /// What is asked: exactly one of these. An unsigned transaction as hex.
    transaction: Option<String>,
    /// EIP-712 typed data.
    typed_data: Option<Value>,
    /// A personal message as text.
    message: Option<String>,
    /// A raw digest as hex.
    raw_digest: Option<String>,
    /// A plain payment.
    transfer: Option<Paid>,
    /// An EIP-3009 authorization.
    authorization: Option<Paid>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Who approved it.
    #[serde(default)]
    approved_by: Vec<String>,
    /// For how many seconds it has been on hold.
    held_s: Option<u64>,
    expect: Expected,
    /// Exactly the rules that must fail, in any order.
    codes: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paid {
    asset: String,
    chain: String,
    to: Address,
    amount: String,
    /// The account's transaction count, or what makes the authorization unique; the case's number where absent.
    nonce: Option<u64>,
    /// For an authorization: until when it is usable, from when it is asked.
    #[serde(default = "minute")]
    valid_for_s: u64,
    /// For a transaction: the highest price per gas in gwei.
    #[serde(default = "one")]
    max_fee_gwei: u128,
}

const fn minute() -> u64 {
    60
}

const fn one() -> u128 {
    1
}

/// What came of one case.
#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    ok: bool,
    expected: Expected,
    got: Expected,
    failures: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<String>,
}

pub(super) fn run(policy: &Path, cases: &Path) -> Result<Answer, Refusal> {
    let parsed = read(policy)?;
    let table: Table = serde_norway::from_slice(&files::read(cases)?)
        .map_err(|error| Refusal::invalid(format!("{}: {error}", cases.display())))?;
    let mut trial = Trial::new(parsed.clone());
    let (mut outcomes, mut at) = (Vec::new(), None);
    for (number, case) in table.cases.iter().enumerate() {
        if case.fresh {
            trial = Trial::new(parsed.clone());
        }
        at = instant(case)?.or(at);
        let now = at.ok_or_else(|| named(case, "at: the first case must say when it is asked"))?;
        let number = u64::try_from(number).or_internal("a case's number")?;
        outcomes.push(judge(&mut trial, &parsed, (table.address, now, number), case)?);
    }
    let bad = outcomes.iter().filter(|outcome| !outcome.ok).count();
    let mut lines: Vec<String> = outcomes.iter().map(words).collect();
    lines.push(format!(
        "{} of {} cases are as they should be.",
        outcomes.len().saturating_sub(bad),
        outcomes.len()
    ));
    let code = if bad == 0 { 0 } else { refusal::Kind::Invalid.exit_code() };
    let object = json!({ "policy": policy, "ok": bad == 0, "cases": outcomes });
    Ok(Answer::new(&object, lines.join("\n"))?.code(code))
}

fn named(case: &Case, reason: &str) -> Refusal {
    Refusal::invalid(format!("case {:?}: {reason}", case.name))
}

fn instant(case: &Case) -> Result<Option<UnixMillis>, Refusal> {
    let Some(text) = &case.at else { return Ok(None) };
    let at: Option<jiff::Timestamp> = text.parse().ok();
    let millis = at.and_then(|at| UnixMillis::try_from(at.as_millisecond()).ok());
    millis.map(Some).ok_or_else(|| named(case, "at: expected a moment such as 2026-01-31T09:00:00Z"))
}

fn judge(
    trial: &mut Trial,
    policy: &Policy,
    (address, now, number): (Address, UnixMillis, u64),
    case: &Case,
) -> Result<Outcome, Refusal> {
    let payload = payload(case, (address, now, number))?;
    // Its other wallets sign nothing here.
    let agent = namesake(policy)?;
    // What cannot be read is never signed.
    let failures = match decode(&payload) {
        Ok(Decoded { intent, .. }) => {
            let facts = Facts {
                approved_by: &case.approved_by,
                held_since: case.held_s.map(|held_s| now.saturating_sub(held_s.saturating_mul(1000))),
                metadata: Some(&case.metadata),
                // A policy is taken only by a wallet of its sort.
                raw_digest: policy.raw_digest().is_some(),
                ..Facts::of(policy.wallet(), &agent, address, &intent, now)
            };
            trial.ask(&number.to_string(), &facts)
        }
        Err(error) => return Err(named(case, &error.to_string())),
    };
    let got = if failures.is_empty() { Expected::Allow } else { Expected::Deny };
    let sorted = |codes: Vec<&str>| {
        let mut codes = codes;
        codes.sort_unstable();
        codes.dedup();
        codes.join(", ")
    };
    let failed = sorted(failures.iter().map(|failure| failure.rule.as_str()).collect());
    let must = case.codes.as_ref().map(|codes| sorted(codes.iter().map(String::as_str).collect()));
    let wrong = match must {
        _ if got != case.expect => Some("the other answer was expected".to_owned()),
        Some(must) if must != failed => Some(format!("expected to fail: {must}")),
        _ => None,
    };
    Ok(Outcome {
        name: case.name.clone(),
        ok: wrong.is_none(),
        expected: case.expect,
        got,
        failures: failures.iter().map(ToString::to_string).collect(),
        wrong,
    })
}

fn payload(case: &Case, (from, now, number): (Address, UnixMillis, u64)) -> Result<Payload, Refusal> {
    let Case { transaction, typed_data, message, raw_digest: digest, transfer, authorization, .. } = case;
    match (transaction, typed_data, message, digest, transfer, authorization) {
        (Some(hex), None, None, None, None, None) => {
            let bytes = hex_bytes("transaction", hex).map_err(|error| named(case, &error.words()))?;
            Ok(Payload::Transaction(bytes.into()))
        }
        (None, Some(data), None, None, None, None) => Ok(Payload::TypedData(data.to_string())),
        (None, None, Some(text), None, None, None) => {
            Ok(Payload::Message(Bytes::from(text.clone().into_bytes())))
        }
        (None, None, None, Some(hex), None, None) => {
            raw_digest("raw_digest", hex).map_err(|error| named(case, &error.words()))
        }
        (None, None, None, None, Some(paid), None) => transfer_of(case, paid, number),
        (None, None, None, None, None, Some(paid)) => authorization_of(case, paid, (from, now, number)),
        _ => Err(named(
            case,
            "expected one of: transaction, typed_data, message, raw_digest, transfer, authorization",
        )),
    }
}

fn transfer_of(case: &Case, paid: &Paid, number: u64) -> Result<Payload, Refusal> {
    let price = paid.max_fee_gwei.saturating_mul(GWEI);
    let transfer = Transfer {
        chain: chain(case, &paid.chain)?,
        asset: paid.asset.clone(),
        to: paid.to,
        amount: paid.amount.clone(),
        nonce: paid.nonce.unwrap_or(number),
        gas: Gas { limit: None, max_fee: price, max_priority_fee: price },
    };
    transfer.payload()
}

fn authorization_of(
    case: &Case,
    paid: &Paid,
    (from, now, number): (Address, UnixMillis, u64),
) -> Result<Payload, Refusal> {
    let (asset, amount) = (paid.asset.clone(), paid.amount.clone());
    let payment = Payment { chain: chain(case, &paid.chain)?, asset, amount, kind: Kind::Transfer };
    let until = (now / 1000).saturating_add(paid.valid_for_s);
    payment.payload(&Authorization {
        from,
        to: paid.to,
        value: payment.units()?,
        valid_after: "0".to_owned(),
        valid_before: until.to_string(),
        nonce: B256::left_padding_from(&paid.nonce.unwrap_or(number).to_be_bytes()),
    })
}

fn chain(case: &Case, name: &str) -> Result<u64, Refusal> {
    chain_by_name(name).ok_or_else(|| named(case, &format!("chain: no chain is called {name:?}")))
}

fn words(outcome: &Outcome) -> String {
    let verdict = match outcome.got {
        Expected::Allow => "allowed",
        Expected::Deny => "denied",
    };
    let mark = if outcome.ok { "ok   " } else { "WRONG" };
    let mut text = format!("{mark}  {}: {verdict}", outcome.name);
    for line in outcome.failures.iter().chain(&outcome.wrong) {
        text.push_str(&format!("\n         {line}"));
    }
    text
}
