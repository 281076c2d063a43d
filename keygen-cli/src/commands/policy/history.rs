//! `quorate policy history`: the versions a wallet's policy had, as the coordinator's log tells it.

use serde::Serialize;
use serde_json::{Value, json};

use super::standing::instant;
use crate::commands::audit;
use crate::output::Answer;
use crate::refusal::{OrRefuse, Refusal};

/// One version, put in force or made to wait.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Version {
    version: u64,
    hash: String,
    at_ms: u64,
    by: String,
    /// When it was to come into force, where it had to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_until_ms: Option<u64>,
    /// The entry of the log that says so.
    sequence: u64,
}

pub(super) async fn run(client: &crate::client::Client, wallet: &str) -> Result<Answer, Refusal> {
    let mut versions = Vec::new();
    let mut from = 1;
    while from > 0 {
        let page = audit::page(client, from).await?;
        for entry in page.entries {
            let entry: Value = serde_json::from_str(&entry).or_internal("an entry of the log")?;
            versions.extend(version(&entry, wallet));
        }
        from = page.next;
    }
    if versions.is_empty() {
        return Err(Refusal::not_found(format!("wallet {wallet} never had a policy")).field("wallet"));
    }
    let mut lines: Vec<String> = versions.iter().map(words).collect();
    // What the log cannot say: whether it still waits.
    let now = super::standing(client, wallet).await?.waiting;
    lines.extend(now.as_ref().map(|waiting| waiting.words().trim_end().to_owned()));
    Answer::new(&json!({ "wallet": wallet, "versions": versions, "waiting": now }), lines.join("\n"))
}

fn version(entry: &Value, wallet: &str) -> Option<Version> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64);
    let fields = entry.get("fields")?;
    let waits = match text(entry, "kind")?.as_str() {
        "policy.applied" => false,
        "policy.waiting" => true,
        _ => return None,
    };
    if text(entry, "wallet")? != wallet {
        return None;
    }
    Some(Version {
        version: number(fields, "version")?,
        hash: text(fields, "hash")?,
        at_ms: number(entry, "at_ms")?,
        by: text(fields, "caller")?,
        waits_until_ms: number(fields, "until_ms").filter(|_| waits),
        sequence: number(entry, "seq")?,
    })
}

fn words(version: &Version) -> String {
    let waits =
        version.waits_until_ms.map_or_else(String::new, |until| format!(", waits until {}", instant(until)));
    format!(
        "version {}  {}  {}  by {} (entry {}){waits}",
        version.version,
        instant(version.at_ms),
        version.hash,
        version.by,
        version.sequence
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_put_a_policy_of_the_wallet_in_force_is_told() {
        let entry = |kind: &str, wallet: &str| {
            json!({ "at_ms": 1_700_000_000_000_u64, "kind": kind, "seq": 7, "wallet": wallet,
                "fields": { "version": 2, "hash": "0xab", "caller": "spiffe://acme/operator/olga" } })
        };
        let found = version(&entry("policy.applied", "w"), "w").unwrap();
        assert_eq!(
            words(&found),
            "version 2  2023-11-14T22:13:20Z  0xab  by spiffe://acme/operator/olga (entry 7)"
        );
        assert_eq!(version(&entry("policy.applied", "other"), "w"), None);
        let mut waits = entry("policy.waiting", "w");
        waits["fields"]["until_ms"] = json!(1_700_000_060_000_u64);
        let waits = words(&version(&waits, "w").unwrap());
        assert!(waits.ends_with("(entry 7), waits until 2023-11-14T22:14:20Z"), "{waits}");
        assert_eq!(version(&entry("sign.allowed", "w"), "w"), None);
    }
}
