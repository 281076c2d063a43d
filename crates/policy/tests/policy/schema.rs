//! The schema editors use. `UPDATE=1 cargo test --workspace --test policy schema` writes it anew.

use std::collections::BTreeSet;

use quorate_policy::json_schema;
use serde_json::Value;

#[test]
fn the_schema_checked_in_is_the_one_the_types_make() {
    // As values: the order of keys depends on features other crates may turn on.
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/policy.schema.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{}\n", json_schema().trim_end())).unwrap();
    }
    assert!(
        read(&json_schema()) == read(&std::fs::read_to_string(path).unwrap()),
        "run: UPDATE=1 cargo test --workspace --test policy schema"
    );
}

#[test]
fn the_schema_knows_every_field_and_no_others() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let names =
        |value: &Value| value["properties"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&schema), set(&["cluster", "policy", "rules", "version", "wallet"]));
    assert_eq!(schema["additionalProperties"], Value::Bool(false));
    let rules = &schema["$defs"]["RulesDraft"];
    assert_eq!(
        names(rules),
        set(&[
            "active_hours",
            "allowances",
            "approval",
            "blocked",
            "calls",
            "chains",
            "conditions",
            "cumulative",
            "max_authorization_lifetime_s",
            "max_fee",
            "merchants",
            "messages",
            "not_after",
            "not_before",
            "per_transaction",
            "raw_digest",
            "recipients",
            "tiers",
            "typed_data",
            "velocity"
        ])
    );
    for name in [
        "RulesDraft",
        "CapDraft",
        "FeeDraft",
        "RecipientDraft",
        "AllowanceDraft",
        "CallDraft",
        "ArgumentDraft",
        "TypedDataDraft",
        "DomainDraft",
        "FieldDraft",
        "ConditionsDraft",
        "MetadataDraft",
        "ConditionDraft",
        "MerchantsDraft",
        "MessagesDraft",
        "SignInDraft",
        "TextDraft",
        "CumulativeDraft",
        "VelocityDraft",
        "WindowDraft",
        "ActiveHoursDraft",
        "SpanDraft",
        "TiersDraft",
        "ApproversDraft",
    ] {
        assert_eq!(schema["$defs"][name]["additionalProperties"], Value::Bool(false), "{name}");
    }
}

/// The order of keys depends on features other crates may turn on.
fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
