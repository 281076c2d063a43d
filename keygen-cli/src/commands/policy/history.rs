//! `quorate policy history`: the versions a wallet's policy had, as the coordinator's log tells it.

use serde::Serialize;
use serde_json::{Value, json};

use crate::commands::audit;
use crate::output::Answer;
use crate::refusal::{OrRefuse, Refusal};

/// One version, put in force.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Version {
    version: u64,
    hash: String,
    at_ms: u64,
    by: String,
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
    let lines: Vec<String> = versions.iter().map(words).collect();
    Answer::new(&json!({ "wallet": wallet, "versions": versions }), lines.join("\n"))
}

fn version(entry: &Value, wallet: &str) -> Option<Version> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64);
    let fields = entry.get("fields")?;
    if text(entry, "kind")? != "policy.applied" || text(entry, "wallet")? != wallet {
        return None;
    }
    Some(Version {
        version: number(fields, "version")?,
        hash: text(fields, "hash")?,
        at_ms: number(entry, "at_ms")?,
        by: text(fields, "caller")?,
        sequence: number(entry, "seq")?,
    })
}

fn words(version: &Version) -> String {
    let at = i64::try_from(version.at_ms).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let at = at.map_or_else(|| format!("{} ms", version.at_ms), |at| at.to_string());
    format!(
        "version {}  {at}  {}  by {} (entry {})",
        version.version, version.hash, version.by, version.sequence
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
        assert_eq!(version(&entry("sign.allowed", "w"), "w"), None);
    }
}
