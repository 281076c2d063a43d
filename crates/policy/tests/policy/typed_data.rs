//! Typed data that is no payment, read by `decode` as a node reads it.

use quorate_intent::{Intent, decode};
use quorate_policy::{Decision, Policy};
use quorate_types::Payload;
use serde_json::{Value, json};

use crate::rig::{NOW_S, SHOP, STRANGER, allows, decide, decide_at, failures, signed, usdc, with};

fn line() -> String {
    format!(
        "  typed_data:\n    - label: orders\n      domain: {{ name: Orders, version: \"1\", chain: base, contract: \"{SHOP}\" }}\n      \
         type: \"Order(Party maker,uint256 price,string note)Party(address account,bool live)\"\n      \
         fields: [{{ path: maker.account, one_of: [\"{STRANGER}\"] }}, {{ path: price, at_most: \"100\" }}]\n"
    )
}

fn order() -> Value {
    json!({
        "types": {
            "EIP712Domain": [
                { "name": "name", "type": "string" },
                { "name": "version", "type": "string" },
                { "name": "chainId", "type": "uint256" },
                { "name": "verifyingContract", "type": "address" },
            ],
            "Order": [
                { "name": "maker", "type": "Party" },
                { "name": "price", "type": "uint256" },
                { "name": "note", "type": "string" },
            ],
            "Party": [{ "name": "account", "type": "address" }, { "name": "live", "type": "bool" }],
        },
        "primaryType": "Order",
        "domain": { "name": "Orders", "version": "1", "chainId": 8453, "verifyingContract": SHOP },
        "message": { "maker": { "account": STRANGER, "live": true }, "price": "100", "note": "anything" },
    })
}

fn intent(json: &Value) -> Intent {
    decode(&Payload::TypedData(json.to_string())).unwrap().intent
}

fn changed(change: impl FnOnce(&mut Value)) -> Intent {
    let mut json = order();
    change(&mut json);
    intent(&json)
}

fn reason(intent: &Intent) -> String {
    let mut failures = failures(decide(&with(&line()), intent));
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].rule, "typed_data");
    failures.remove(0).reason
}

#[test]
fn what_a_line_describes_is_allowed_up_to_its_end() {
    assert!(allows(&with(&line()), &intent(&order())));
    assert!(!allows(&with(""), &intent(&order())));
    assert!(allows(&with(&line()), &changed(|json| json["message"]["note"] = json!("else"))));
    assert_eq!(
        reason(&changed(|json| json["message"]["price"] = json!("101"))),
        "field price is not one that is allowed"
    );
    assert_eq!(
        reason(&changed(|json| json["message"]["maker"]["account"] = json!(SHOP))),
        "field maker.account is not one that is allowed"
    );
}

#[test]
fn every_field_of_the_domain_and_of_the_type_counts() {
    let none = "there is no line for this domain and type";
    let drop_field = |json: &mut Value, name: &str| {
        json["domain"].as_object_mut().unwrap().remove(name);
        json["types"]["EIP712Domain"].as_array_mut().unwrap().retain(|field| field["name"] != name);
    };
    for change in [
        (|json: &mut Value| json["domain"]["name"] = json!("Order")) as fn(&mut Value),
        |json| json["domain"]["version"] = json!("2"),
        |json| json["domain"]["verifyingContract"] = json!(STRANGER),
        |json| json["types"]["Order"][1]["name"] = json!("cost"),
        |json| json["types"]["Order"][1]["type"] = json!("uint128"),
    ] {
        let mut json = order();
        change(&mut json);
        if json["types"]["Order"][1]["name"] == "cost" {
            json["message"] =
                json!({ "maker": { "account": STRANGER, "live": true }, "cost": "1", "note": "anything" });
        }
        assert_eq!(reason(&intent(&json)), none, "{json}");
    }
    for name in ["name", "version", "verifyingContract"] {
        assert_eq!(reason(&changed(|json| drop_field(json, name))), none, "{name}");
    }
    let polygon = changed(|json| json["domain"]["chainId"] = json!(137));
    let codes: Vec<_> = failures(decide(&with(&line()), &polygon)).into_iter().map(|f| f.rule).collect();
    assert_eq!(codes, ["chains", "typed_data"]);
    // Without a chain it needs a line without one.
    let nowhere = changed(|json| drop_field(json, "chainId"));
    assert_eq!(reason(&nowhere), none);
    assert!(allows(&with(&line().replace(", chain: base", "")), &nowhere));
}

#[test]
fn a_blocked_address_in_the_message_denies() {
    let blocked = with(&line()) + &format!("  blocked: [{{ address: \"{STRANGER}\", label: x }}]\n");
    assert_eq!(failures(decide(&blocked, &intent(&order())))[0].rule, "blocked");
}

#[test]
fn it_counts_as_a_signature_and_moves_nothing_that_is_known() {
    let policy = signed(&with(&line()));
    let Decision::Allow(approval) = decide_at(Some(&policy), &intent(&order()), NOW_S * 1000) else {
        panic!("denied")
    };
    assert_eq!(approval.charges(), []);
}

#[test]
fn lines_are_refused_by_field() {
    let refusal = |from: &str, to: &str| {
        assert!(line().contains(from), "{from}");
        Policy::parse(with(&line().replace(from, to)).as_bytes()).unwrap_err().to_string()
    };
    let shape = "rules.typed_data[0].type: expected encodeType of EIP-712, such as Mail(Person from,string text)Person(string name)";
    for bad in
        ["Order", "Order(", "Order(uint256)", "Order(Party maker)", "Order(uint price)", "(uint256 a)", ""]
    {
        assert_eq!(
            refusal("Order(Party maker,uint256 price,string note)Party(address account,bool live)", bad),
            shape,
            "{bad}"
        );
    }
    let path =
        "rules.typed_data[0].fields[1].path: names no field of one value; fields of arrays cannot be judged";
    for bad in ["path: cost", "path: maker", "path: price.x", "path: \"\""] {
        assert_eq!(refusal("path: price", bad), path, "{bad}");
    }
    assert_eq!(
        refusal("chain: base", "chain: moon"),
        "rules.typed_data[0].domain.chain: no chain is called \"moon\""
    );
    let token = with(&line().replace(SHOP, &usdc(8453).to_string()));
    let refused = Policy::parse(token.as_bytes()).unwrap_err().to_string();
    assert!(refused.starts_with("rules.typed_data[0].domain.contract: is a token's"), "{refused}");
    let empty = line()
        .replace(&format!("{{ name: Orders, version: \"1\", chain: base, contract: \"{SHOP}\" }}"), "{}");
    assert_eq!(
        Policy::parse(with(&empty).as_bytes()).unwrap_err().to_string(),
        "rules.typed_data[0].domain: names nothing: an empty domain would be every application's"
    );
}
