//! `quorate policy backtest`: what a policy would have said to everything an exported log was asked.

use std::collections::BTreeMap;
use std::path::Path;

use quorate_audit::Exported;
use quorate_intent::decode;
use quorate_policy::{Facts, Per, Policy, Tier, Trial, tier};
use quorate_types::{Address, AgentId, B256, Payload, UnixMillis, WalletId};
use serde::Serialize;
use serde_json::{Value, json};

use super::diff::{namesake, read};
use crate::files;
use crate::output::Answer;
use crate::payload::source::hex_bytes;
use crate::refusal::{OrRefuse, Refusal};

/// Codes of denials that are not the policy's: they stand whatever it says.
const NOT_THE_POLICYS: [&str; 2] = ["frozen", "agent_signature"];

/// Codes of what only waits: it is taken as let pass.
const WAITING: [&str; 2] = ["approval", "delay"];

/// What the log was asked once.
struct Past {
    sequence: u64,
    at: UnixMillis,
    key: String,
    summary: String,
    /// Codes of the rules that failed; none where it was allowed.
    codes: Vec<String>,
    payload: Option<Payload>,
    metadata: BTreeMap<String, String>,
}

/// One request that would have been answered otherwise.
#[derive(Debug, Serialize)]
struct Changed {
    sequence: u64,
    at_ms: UnixMillis,
    summary: String,
    was: Vec<String>,
    would_be: Vec<String>,
}

#[derive(Default)]
struct Replayed {
    asked: u64,
    skipped: u64,
    changed: Vec<Changed>,
    /// What the agent's other wallets were allowed.
    beside: u64,
}

pub(super) fn run(policy: &Path, log: &Path) -> Result<Answer, Refusal> {
    let parsed = read(policy)?;
    let exported = Exported::read(&files::read_text(log)?)
        .map_err(|error| Refusal::invalid(format!("{}: {error}", log.display())))?;
    let mut entries = Vec::new();
    for entry in exported.entries() {
        let entry: Value = serde_json::from_str(&entry.json).or_internal("an entry of the log")?;
        entries.push(entry);
    }
    let own = |entry: &&Value| text(entry, "wallet") == parsed.wallet().as_str();
    let address = entries.iter().filter(own).find_map(address).ok_or_else(|| {
        Refusal::not_found(format!(
            "{}: wallet {} was never active in this log",
            log.display(),
            parsed.wallet()
        ))
    })?;
    let (mut trial, mut found) = (Trial::new(parsed.clone()), Replayed::default());
    let agent = entries.iter().filter(own).find_map(agent);
    // Rules know an agent by its wallets only.
    let named = agent.clone().map_or_else(|| namesake(&parsed), Ok)?;
    for entry in &entries {
        if own(&entry) {
            replay(&mut trial, (&parsed, &named, address), entry, &mut found);
        } else if agent.is_some() && self::agent(entry) == agent {
            beside(&mut trial, entry, &mut found);
        }
    }
    answer(&parsed, &found)
}

/// The wallet's address, in the entry that says it was born.
fn address(entry: &Value) -> Option<Address> {
    let born = entry.get("kind")? == "wallet.active";
    entry.get("fields")?.get("address").filter(|_| born)?.as_str()?.parse().ok()
}

/// Whose wallet it is, where the entry says so.
fn agent(entry: &Value) -> Option<AgentId> {
    entry.get("fields")?.get("agent")?.as_str()?.parse().ok()
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What another wallet of the agent was allowed, whatever its policy: for lines that count all of them together. Of what it was
/// denied the log does not say whether it counted.
fn beside(trial: &mut Trial, entry: &Value, found: &mut Replayed) {
    let (kind, fields) = (text(entry, "kind"), entry.get("fields").unwrap_or(&Value::Null));
    let (key, Ok(wallet)) = (text(fields, "idempotency_key"), text(entry, "wallet").parse::<WalletId>())
    else {
        return;
    };
    let at = entry.get("at_ms").and_then(Value::as_u64).unwrap_or_default();
    if fields.get("admitted_by").is_some() {
        if given_up(&kind, fields) {
            trial.give_up_beside(&wallet, &key);
        }
    } else if kind == "sign.allowed"
        && let Some(decoded) = payload(fields).and_then(|payload| decode(&payload).ok())
    {
        found.beside = found.beside.saturating_add(1);
        trial.beside(&wallet, &key, (&decoded.intent, at));
    }
}

/// Whether what was admitted was given up.
fn given_up(kind: &str, fields: &Value) -> bool {
    text(fields, "spend") == "given back" || kind == "sign.not_started"
}

fn replay(
    trial: &mut Trial,
    (policy, agent, address): (&Policy, &AgentId, Address),
    entry: &Value,
    found: &mut Replayed,
) {
    let (kind, fields) = (text(entry, "kind"), entry.get("fields").unwrap_or(&Value::Null));
    let key = text(fields, "idempotency_key");
    // What came of a request that was admitted.
    if fields.get("admitted_by").is_some() {
        if given_up(&kind, fields) {
            trial.give_up(&key);
        }
        return;
    }
    if kind != "sign.allowed" && kind != "sign.denied" {
        return;
    }
    let past = Past {
        sequence: entry.get("seq").and_then(Value::as_u64).unwrap_or_default(),
        at: entry.get("at_ms").and_then(Value::as_u64).unwrap_or_default(),
        key,
        summary: text(fields, "summary"),
        codes: codes(fields),
        payload: payload(fields),
        metadata: fields
            .get("metadata")
            .cloned()
            .and_then(|map| serde_json::from_value(map).ok())
            .unwrap_or_default(),
    };
    // It was put off, and is asked again when its time has come or people have said yes.
    if !past.codes.is_empty() && past.codes.iter().all(|code| WAITING.contains(&code.as_str())) {
        return;
    }
    found.asked = found.asked.saturating_add(1);
    match ask(trial, (policy, agent, address), &past) {
        None => found.skipped = found.skipped.saturating_add(1),
        Some(would_be) if would_be.is_empty() != past.codes.is_empty() => found.changed.push(Changed {
            sequence: past.sequence,
            at_ms: past.at,
            summary: past.summary,
            was: past.codes,
            would_be,
        }),
        Some(_) => {}
    }
}

/// Codes of the rules that would fail; `None` where it cannot be told.
fn ask(
    trial: &mut Trial,
    (policy, agent, address): (&Policy, &AgentId, Address),
    past: &Past,
) -> Option<Vec<String>> {
    if past.codes.iter().any(|code| NOT_THE_POLICYS.contains(&code.as_str())) {
        return Some(past.codes.clone());
    }
    let decoded = decode(past.payload.as_ref()?).ok()?;
    let facts = Facts {
        approved_by: &everyone(policy),
        metadata: Some(&past.metadata),
        // A policy is taken only by a wallet of its sort.
        raw_digest: policy.raw_digest().is_some(),
        ..Facts::of(policy.wallet(), agent, address, &decoded.intent, past.at)
    };
    let held_since = match tier(policy, &facts) {
        Tier::Delay(seconds) => Some(past.at.saturating_sub(seconds.saturating_mul(1000))),
        _ => None,
    };
    let facts = Facts { held_since, ..facts };
    Some(trial.ask(&past.key, &facts).into_iter().map(|failure| failure.rule).collect())
}

/// As many as must approve: what people would say is not the policy's answer.
fn everyone(policy: &Policy) -> Vec<String> {
    let named =
        policy.approval().map(|line| (line.names.iter().cloned().collect::<Vec<_>>(), line.threshold));
    match named {
        None => Vec::new(),
        Some((names, threshold)) if names.is_empty() => (0..threshold).map(|nth| nth.to_string()).collect(),
        Some((names, _)) => names,
    }
}

fn codes(fields: &Value) -> Vec<String> {
    let failures = fields.get("denial").and_then(|denial| denial.get("failures")).and_then(Value::as_array);
    let rules =
        failures.into_iter().flatten().filter_map(|failure| failure.get("rule").and_then(Value::as_str));
    rules.map(str::to_owned).collect()
}

/// The bytes that were asked for, where the log kept them.
fn payload(fields: &Value) -> Option<Payload> {
    let payload = fields.get("payload")?;
    let bytes = |name: &str| hex_bytes(name, payload.get(name)?.as_str()?).ok();
    bytes("transaction")
        .map(|bytes| Payload::Transaction(bytes.into()))
        .or_else(|| bytes("message").map(|bytes| Payload::Message(bytes.into())))
        .or_else(|| B256::try_from(bytes("raw_digest")?.as_slice()).ok().map(Payload::RawDigest))
        .or_else(|| String::from_utf8(bytes("typed_data")?).ok().map(Payload::TypedData))
}

fn answer(policy: &Policy, found: &Replayed) -> Result<Answer, Refusal> {
    let Replayed { asked, skipped, changed, beside } = found;
    let would_deny = changed.iter().filter(|change| change.was.is_empty()).count();
    let would_allow = changed.len().saturating_sub(would_deny);
    let mut lines: Vec<String> = changed.iter().map(words).collect();
    lines.push(format!(
        "{asked} requests of {}: {would_deny} more would be denied, {would_allow} more allowed.",
        policy.wallet()
    ));
    if *skipped > 0 {
        lines.push(format!(
            "{skipped} of them cannot be told: the log keeps no payload of more than 4096 bytes."
        ));
    }
    if counts_agent(policy) {
        lines.push(format!(
            "Lines per agent count what the agent's other wallets were allowed in this log, {beside} requests whose payload it \
             kept, and no denied attempts of theirs."
        ));
    }
    let object = json!({
        "wallet": policy.wallet(),
        "version": policy.version(),
        "asked": asked,
        "skipped": skipped,
        "beside": beside,
        "would_deny": would_deny,
        "would_allow": would_allow,
        "changed": changed,
    });
    Answer::new(&object, lines.join("\n"))
}

/// Whether any line counts all wallets of the agent together.
fn counts_agent(policy: &Policy) -> bool {
    let mut scopes =
        policy.velocity().iter().map(|line| line.per).chain(policy.cumulative().iter().map(|line| line.per));
    scopes.any(|per| per == Per::Agent)
}

fn words(change: &Changed) -> String {
    let told = |codes: &[String]| {
        if codes.is_empty() { "allowed".to_owned() } else { format!("denied by {}", codes.join(", ")) }
    };
    format!(
        "entry {}: {}: was {}, would be {}",
        change.sequence,
        change.summary,
        told(&change.was),
        told(&change.would_be)
    )
}
