//! What of the log is an alert, and its words. Nothing of a payload, of the caller's notes or of an idempotency key goes out.

use quorate_alert::{Alert, Kind, Rule};
use quorate_audit::Entry;
use quorate_policy::codes;
use quorate_types::ClusterId;
use serde_json::Value;

use crate::link::quoted;

/// Rules whose numbers are told: they name amounts and counts, and repeat nothing of the request's text.
const COUNTED: [&str; 4] = [codes::CUMULATIVE, codes::VELOCITY, codes::PER_TRANSACTION, codes::MAX_FEE];
/// Rules told of one denial.
const MAX_RULES: usize = 16;

/// Who tells.
pub(super) struct Teller {
    pub(super) cluster: ClusterId,
    pub(super) coordinator: String,
}

/// The sequence number of the entry that allowed what this one says was signed.
pub(super) fn admitted_by(entry: &Entry) -> Option<u64> {
    if entry.kind == "sign.signed" { entry.fields.get("admitted_by")?.as_u64() } else { None }
}

impl Teller {
    /// The alert in an entry, if there is one. `admitted`: the entry [`admitted_by`] names.
    pub(super) fn alert(&self, entry: &Entry, admitted: Option<&Entry>) -> Option<Alert> {
        let (kind, text, rules) = told(entry, admitted)?;
        let about = match kind {
            Kind::Hold | Kind::ApprovalWaiting => Some(entry),
            Kind::Signed => admitted,
            _ => None,
        };
        // Asked again it is the same; one that began again, after a no or a freeze, is another.
        let request = about.and_then(|entry| {
            let payload_hash = entry.fields.get("payload_hash")?.as_str()?;
            let until = entry.fields.get("until_ms").and_then(Value::as_u64).unwrap_or_default();
            Some(format!("{payload_hash} {until}"))
        });
        Some(Alert {
            id: format!("{}/{}/{}", self.cluster, self.coordinator, entry.sequence),
            kind,
            cluster: self.cluster.clone(),
            coordinator: self.coordinator.clone(),
            at_ms: entry.at,
            sequence: entry.sequence,
            wallet: entry.wallet.clone(),
            text,
            rules,
            suppressed: 0,
            request,
        })
    }
}

/// What an entry says to people: its kind, its words, and the rules that said no.
fn told(entry: &Entry, admitted: Option<&Entry>) -> Option<(Kind, String, Vec<Rule>)> {
    let field = |name: &str| quoted(entry.fields.get(name).and_then(Value::as_str).unwrap_or_default());
    let number = |name: &str| entry.fields.get(name).and_then(Value::as_u64).unwrap_or_default();
    let wallet = entry.wallet.as_ref().map(ToString::to_string).unwrap_or_default();
    Some(match entry.kind.as_str() {
        "sign.denied" => denied(entry, &wallet)?,
        "sign.waiting" => {
            let until = instant(number("until_ms"));
            let (kind, what) = match field("tier").as_str() {
                "approval" => (Kind::ApprovalWaiting, "waits for approvers"),
                _ => (Kind::Hold, "is on hold"),
            };
            (kind, format!("{wallet}: a request {what} until {until}: {}", summary(entry)), Vec::new())
        }
        "sign.signed" => {
            let admitted = admitted.filter(|admitted| admitted.wallet == entry.wallet)?;
            let said = |name: &str| admitted.fields.get(name).and_then(Value::as_str);
            said("tier").filter(|tier| *tier == "notify")?;
            (Kind::Signed, format!("{wallet} signed: {}", summary(admitted)), Vec::new())
        }
        "freeze.applied" => {
            let (action, scope, sequence) = (field("action"), field("scope"), number("sequence"));
            let text = format!("order {sequence} for {scope}: {action} ({})", field("reason"));
            (Kind::Freeze, text, Vec::new())
        }
        "node.unavailable" => {
            let since = instant(number("since_ms"));
            (Kind::NodeUnavailable, format!("node {} is away since {since}", field("node")), Vec::new())
        }
        "policy.waiting" => {
            let (version, until) = (number("version"), instant(number("until_ms")));
            let fields = entry.fields.get("loosens").and_then(Value::as_array);
            let fields: Vec<_> = fields.into_iter().flatten().filter_map(Value::as_str).map(quoted).collect();
            let fields = fields.join(", ");
            let text =
                format!("{wallet}: policy {version} loosens {fields}, from {until} on; a freeze stops it");
            (Kind::PolicyWaiting, text, Vec::new())
        }
        "lapse.waiting" | "spend.lapsed" => {
            let what = match number("until_ms") {
                0 => "came back".to_owned(),
                until => format!("comes back from {} on; a freeze stops it", instant(until)),
            };
            let text =
                format!("{wallet}: by its operators an authorization ended unused, and its spend {what}");
            (Kind::Lapse, text, Vec::new())
        }
        "manifest.applied" => {
            (Kind::Manifest, format!("manifest {} is in force", number("version")), Vec::new())
        }
        "node.back" => (Kind::NodeBack, format!("node {} is attached again", field("node")), Vec::new()),
        "node.rolled_back" => {
            let text = format!(
                "node {} was put back to an older state, or is told so: {}",
                field("node"),
                field("reason")
            );
            (Kind::Rollback, text, Vec::new())
        }
        _ => return None,
    })
}

/// What a request would do, where those are our words alone: of typed data and sign-ins they quote the caller's.
fn summary(entry: &Entry) -> String {
    let summary = quoted(entry.fields.get("summary").and_then(Value::as_str).unwrap_or_default());
    if summary.starts_with("sign ") { "typed data or a message".to_owned() } else { summary }
}

/// A denial, by the rule that tells most: a freeze before a loop, and a loop before an amount.
fn denied(entry: &Entry, wallet: &str) -> Option<(Kind, String, Vec<Rule>)> {
    let denial = entry.fields.get("denial")?;
    let failures = denial.get("failures")?.as_array()?;
    let rules: Vec<Rule> = failures.iter().take(MAX_RULES).map(rule).collect();
    let has = |codes: &[&str]| rules.iter().any(|rule| codes.contains(&rule.rule.as_str()));
    let kind = if has(&[quorate_freeze::RULE]) {
        Kind::Frozen
    } else if has(&[codes::VELOCITY]) {
        Kind::Velocity
    } else if has(&COUNTED) {
        Kind::Limit
    } else {
        Kind::Denied
    };
    let by = quoted(denial.get("decided_by").and_then(Value::as_str).unwrap_or_default());
    let names: Vec<&str> = rules.iter().map(|rule| rule.rule.as_str()).collect();
    Some((kind, format!("{wallet}: a request was denied by {by}: {}", names.join(", ")), rules))
}

fn rule(failure: &Value) -> Rule {
    let text = |name: &str| quoted(failure.get(name).and_then(Value::as_str).unwrap_or_default());
    let rule = text("rule");
    let counted = |name: &str| if COUNTED.contains(&rule.as_str()) { text(name) } else { String::new() };
    Rule {
        limit: counted("limit"),
        used: counted("used"),
        requested: counted("requested"),
        resets_at_ms: failure.get("resets_at_ms").and_then(Value::as_u64),
        rule,
    }
}

/// To the second.
fn instant(at_ms: u64) -> String {
    let at = i64::try_from(at_ms / 1000).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    at.map_or_else(|| format!("{at_ms} Unix milliseconds"), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_audit::Event;
    use quorate_store::{MemStore, Read, update};
    use serde_json::json;

    /// What is told of these events, appended one after the other.
    fn told_of(events: &[Event]) -> Vec<Option<Alert>> {
        let store = MemStore::new();
        for event in events {
            let _synced = update(&store, |txn| quorate_audit::append(txn, 60_000, event).map(drop)).unwrap();
        }
        let teller = Teller { cluster: "dev".parse().unwrap(), coordinator: "c".to_owned() };
        let read: &dyn Read = &store;
        let entries = quorate_audit::entries(read, 1, 100).unwrap();
        let admitted = |entry: &Entry| admitted_by(entry).map(|at| entries[at as usize - 1].clone());
        entries.iter().map(|entry| teller.alert(entry, admitted(entry).as_ref())).collect()
    }

    fn denied(rules: &[&str]) -> Event {
        let failure = |rule: &&str| json!({"rule": rule, "reason": "r", "limit": "l", "used": "u", "requested": "canary", "resets_at_ms": 9});
        let failures: Vec<Value> = rules.iter().map(failure).collect();
        Event::new("sign.denied")
            .wallet(&"w".parse().unwrap())
            .field("payload", json!({"message": "canary"}))
            .field("metadata", json!({"note": "canary"}))
            .field("idempotency_key", json!("canary"))
            .field("summary", json!("canary"))
            .field("denial", json!({"failures": failures, "decided_by": "service-1"}))
    }

    #[test]
    fn a_denial_is_told_by_the_rule_that_tells_most_and_repeats_nothing_of_the_request() {
        let table: [(&[&str], Kind); 5] = [
            (&["recipients", "velocity", "frozen"], Kind::Frozen),
            (&["cumulative", "velocity"], Kind::Velocity),
            (&["recipients", "per_transaction"], Kind::Limit),
            (&["max_fee"], Kind::Limit),
            (&["recipients", "messages"], Kind::Denied),
        ];
        for (rules, kind) in table {
            let alert = told_of(&[denied(rules)]).remove(0).unwrap();
            assert_eq!(alert.kind, kind, "{rules:?}");
            assert_eq!(alert.id, "dev/c/1");
            assert_eq!(alert.rules.len(), rules.len());
            assert_eq!(alert.text, format!("w: a request was denied by service-1: {}", rules.join(", ")));
            for rule in &alert.rules {
                let numbers = COUNTED.contains(&rule.rule.as_str());
                assert_eq!(rule.requested == "canary", numbers, "{}", rule.rule);
            }
        }
        let text = told_of(&[denied(&["recipients"])]).remove(0).unwrap().json().unwrap();
        assert!(!text.contains("canary"), "{text}");
    }

    /// Or whoever begins one again while the alert of the first is fresh would have it run unheard.
    #[test]
    fn a_hold_that_begins_again_is_another() {
        let held = |until: u64| {
            let event =
                Event::new("sign.waiting").wallet(&"w".parse().unwrap()).field("payload_hash", json!("0x01"));
            event.field("tier", json!("delay")).field("until_ms", json!(until))
        };
        let told = told_of(&[held(120_000), held(120_000), held(180_000)]);
        let requests: Vec<_> = told.into_iter().map(|alert| alert.unwrap().request.unwrap()).collect();
        assert_eq!(requests[0], requests[1], "asked again it is the same");
        assert_ne!(requests[0], requests[2]);
    }

    #[test]
    fn what_is_signed_is_told_where_its_tier_says_so() {
        let wallet = "w".parse().unwrap();
        let allowed = |tier: &str| {
            Event::new("sign.allowed").wallet(&wallet).field("tier", tier).field("summary", "pays 3 USDC")
        };
        let signed = |at: u64| Event::new("sign.signed").wallet(&wallet).field("admitted_by", at);
        let other = Event::new("sign.signed").wallet(&"v".parse().unwrap()).field("admitted_by", 3_u64);
        let told = told_of(&[allowed("instant"), signed(1), allowed("notify"), signed(3), other]);
        let kinds: Vec<_> = told.iter().map(|alert| alert.as_ref().map(|alert| alert.kind)).collect();
        assert_eq!(kinds, [None, None, None, Some(Kind::Signed), None]);
        assert_eq!(told[3].as_ref().unwrap().text, "w signed: pays 3 USDC");
    }

    #[test]
    fn what_waits_and_what_happens_to_nodes_and_orders_is_told() {
        let waiting = |tier: &str| {
            Event::new("sign.waiting")
                .field("tier", tier)
                .field("until_ms", 61_000_u64)
                .field("summary", "sign in")
        };
        let order = Event::new("freeze.applied").field("action", "freeze").field("scope", "all");
        let told = told_of(&[
            waiting("delay"),
            waiting("approval"),
            order,
            Event::new("node.unavailable").field("node", "agent-1"),
            Event::new("node.back").field("node", "agent-1"),
            Event::new("node.rolled_back").field("node", "agent-1"),
            Event::new("policy.applied"),
            Event::new("sign.denied"),
            Event::new("policy.waiting").field("version", 4_u64).field("loosens", json!(["recipients"])),
            Event::new("manifest.applied").field("version", 2_u64),
            Event::new("lapse.waiting").field("until_ms", 61_000_u64),
            Event::new("spend.lapsed"),
        ]);
        let kinds: Vec<_> = told.iter().map(|alert| alert.as_ref().map(|alert| alert.kind)).collect();
        let expected = [
            Some(Kind::Hold),
            Some(Kind::ApprovalWaiting),
            Some(Kind::Freeze),
            Some(Kind::NodeUnavailable),
            Some(Kind::NodeBack),
            Some(Kind::Rollback),
            None,
            None,
            Some(Kind::PolicyWaiting),
            Some(Kind::Manifest),
            Some(Kind::Lapse),
            Some(Kind::Lapse),
        ];
        assert_eq!(kinds, expected);
        let text = &told[0].as_ref().unwrap().text;
        assert!(text.ends_with("is on hold until 1970-01-01T00:01:01Z: typed data or a message"), "{text}");
        let text = &told[8].as_ref().unwrap().text;
        assert!(text.contains("policy 4 loosens recipients, from 1970"), "{text}");
        let texts = [10, 11].map(|n: usize| told[n].as_ref().unwrap().text.clone());
        assert!(texts[0].contains("comes back from 1970-01-01T00:01:01Z on"), "{}", texts[0]);
        assert!(texts[1].ends_with("its spend came back"), "{}", texts[1]);
    }
}
