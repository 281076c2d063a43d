//! The schema editors use.

use quorate_policy::json_schema;
use serde_json::Value;

#[test]
fn the_schema_checked_in_is_the_one_the_types_make() {
    // As values: the order of keys depends on features other crates may turn on.
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        read(&json_schema()),
        read(include_str!("../../schema/policy.schema.json")),
        "run: cargo run -p quorate-policy --example policy_schema > crates/policy/schema/policy.schema.json"
    );
}

#[test]
fn the_schema_knows_every_field_and_no_others() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let names = |value: &Value| value["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&schema), ["cluster", "policy", "rules", "version", "wallet"]);
    assert_eq!(schema["additionalProperties"], Value::Bool(false));
    let rules = &schema["$defs"]["RulesDraft"];
    assert_eq!(
        names(rules),
        [
            "active_hours",
            "allowances",
            "blocked",
            "chains",
            "cumulative",
            "max_authorization_lifetime_s",
            "max_fee",
            "not_after",
            "not_before",
            "per_transaction",
            "recipients",
            "velocity"
        ]
    );
    for name in [
        "RulesDraft",
        "CapDraft",
        "FeeDraft",
        "RecipientDraft",
        "AllowanceDraft",
        "CumulativeDraft",
        "VelocityDraft",
        "WindowDraft",
        "ActiveHoursDraft",
        "SpanDraft",
    ] {
        assert_eq!(schema["$defs"][name]["additionalProperties"], Value::Bool(false), "{name}");
    }
}
