//! Personal messages: sign-ins by site, other texts by pattern.

use quorate_intent::{Intent, decode};
use quorate_policy::Policy;
use quorate_types::Payload;

use crate::rig::{NOW_S, PAYER, SHOP, allows, decide, failures, with};

const LINES: &str = r#"  messages:
    sign_in:
      - { domain: app.example.com, chain: base }
      - { domain: strict.example, uri: "https://strict.example/in", chain: base, max_lifetime_s: 600 }
    texts:
      - { label: greeting, pattern: "^Hello, order [0-9]{1,6}$" }
"#;

fn time(seconds: u64) -> String {
    let minute = (seconds - NOW_S) / 60;
    format!("2023-11-14T22:{:02}:20Z", 13 + minute)
}

fn sign_in(domain: &str, uri: &str, rest: &str) -> String {
    format!(
        "{domain} wants you to sign in with your Ethereum account:\n{PAYER}\n\nWelcome.\n\nURI: {uri}\nVersion: 1\nChain ID: \
         8453\nNonce: abcdef12\nIssued At: {}{rest}",
        time(NOW_S)
    )
}

fn intent(text: &str) -> Intent {
    decode(&Payload::Message(text.as_bytes().to_vec().into())).unwrap().intent
}

fn allowed(text: &str) -> bool {
    allows(&with(LINES), &intent(text))
}

fn reason(text: &str) -> String {
    let mut failures = failures(decide(&with(LINES), &intent(text)));
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].rule, "messages");
    failures.remove(0).reason
}

const APP: &str = "app.example.com";
const URI: &str = "https://app.example.com/login";

#[test]
fn a_site_with_a_line_may_be_signed_in_to() {
    assert!(allowed(&sign_in(APP, URI, "")));
    assert!(allowed(&sign_in("https://app.example.com", URI, "")));
    assert!(allowed(&sign_in(APP, "https://app.example.com", "")));
    assert!(!allows(&with(""), &intent(&sign_in(APP, URI, ""))));
}

/// The story: a page asks for a sign-in to another site.
#[test]
fn another_site_another_uri_and_another_account_are_denied() {
    let none = "there is no line for this site on this chain";
    for site in [
        "evil.example",
        "xapp.example.com",
        "app.example.com.evil.example",
        "app.example.com:8443",
        "example.com",
    ] {
        assert_eq!(reason(&sign_in(site, URI, "")), none, "{site}");
    }
    let elsewhere = "what is signed in to is not what is allowed";
    for uri in [
        "https://evil.example/login",
        "https://app.example.com.evil.example/",
        "https://app.example.com@evil.example/",
        "http://app.example.com/login",
        "https://app.example.com:444/",
    ] {
        assert_eq!(reason(&sign_in(APP, uri, "")), elsewhere, "{uri}");
    }
    assert_eq!(reason(&sign_in("http://app.example.com", URI, "")), "the site is not asked for over https");
    let other = sign_in(APP, URI, "").replace(PAYER, SHOP);
    assert_eq!(failures(decide(&with(LINES), &intent(&other)))[0].rule, "signer_mismatch");
    let chain = sign_in(APP, URI, "").replace("Chain ID: 8453", "Chain ID: 84532");
    assert_eq!(reason(&chain), none);
}

#[test]
fn its_end_is_held_to_the_second() {
    let until = |seconds: u64| format!("\nExpiration Time: {}", time(seconds));
    let strict = |rest: &str| sign_in("strict.example", "https://strict.example/in", rest);
    assert!(allowed(&strict(&until(NOW_S + 600))));
    let long = "it would stay valid for too long";
    assert_eq!(reason(&strict("")), long);
    assert_eq!(reason(&strict(&until(NOW_S + 660))), long);
    assert_eq!(reason(&strict("\nExpiration Time: 2023-11-14T22:23:21Z")), long);
    assert_eq!(reason(&strict(&until(NOW_S))), "the sign-in is over");
    assert_eq!(reason(&sign_in(APP, URI, &until(NOW_S))), "the sign-in is over");
    assert_eq!(
        reason(&sign_in("strict.example", "https://strict.example/in/", &until(NOW_S + 60))),
        "what is signed in to is not what is allowed"
    );
}

#[test]
fn resources_need_a_line_that_says_so() {
    let with_resources = sign_in(APP, URI, "\nResources:\n- urn:recap:abc");
    assert_eq!(reason(&with_resources), "it carries resources");
    let lines = LINES.replace("chain: base }", "chain: base, resources: true }");
    assert!(allows(&with(&lines), &intent(&with_resources)));
}

#[test]
fn other_texts_match_a_pattern_from_end_to_end() {
    assert!(allowed("Hello, order 123456"));
    let none = "no pattern is about this text";
    for text in ["Hello, order 1234567", "Hello, order 1\n", " Hello, order 1", "", "Hello, order x"] {
        assert_eq!(reason(text), none, "{text:?}");
    }
    let bytes = decode(&Payload::Message(vec![0xff, 0xfe].into())).unwrap().intent;
    assert_eq!(failures(decide(&with(LINES), &bytes))[0].reason, "the message is not text");
}

#[test]
fn what_only_looks_like_a_sign_in_is_denied_whatever_a_pattern_says() {
    let anything = "  messages: { texts: [{ label: x, pattern: \"^[\\\\s\\\\S]*$\" }] }\n";
    let good = sign_in(APP, URI, "");
    for text in [
        good.replace("Version: 1", "Version: 2"),
        good.replace("Nonce: abcdef12", "Nonce: short"),
        format!("{good}\n"),
        format!(" {good}"),
        good.replace("URI: ", "Uri: "),
        good.replace(PAYER, &PAYER.to_lowercase()),
        good.replace("wants you to", "WANTS  you to"),
    ] {
        let refused = failures(decide(&with(anything), &intent(&text))).remove(0);
        assert!(refused.reason.starts_with("it looks like a sign-in"), "{text}: {}", refused.reason);
    }
    assert!(allows(&with(anything), &intent("plain words")));
    // One that is a sign-in is judged as one.
    assert!(!allows(&with(anything), &intent(&good)));
    assert!(!allows(&with(anything), &intent(&"x".repeat(8193))));
}

#[test]
fn lines_are_refused_by_field() {
    let refusal = |from: &str, to: &str| {
        assert!(LINES.contains(from), "{from}");
        Policy::parse(with(&LINES.replace(from, to)).as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(
        refusal("app.example.com", "App.example.com"),
        "rules.messages.sign_in[0].domain: expected a host in small letters, and its port where it has one"
    );
    assert_eq!(
        refusal("chain: base }", "chain: moon }"),
        "rules.messages.sign_in[0].chain: no chain is called \"moon\""
    );
    assert_eq!(
        refusal("^Hello, order [0-9]{1,6}$", "Hello"),
        "rules.messages.texts[0].pattern: must begin with ^ and end with $: it is about the whole text"
    );
    assert_eq!(
        refusal("^Hello, order [0-9]{1,6}$", "^(Hello$"),
        "rules.messages.texts[0].pattern: not a regular expression"
    );
}

/// A certificate of a drill that was not held would silence the alarm for the next one.
#[test]
fn no_pattern_lets_a_drill_through() {
    let any = "  messages: { texts: [{ label: any, pattern: \"^(?s:.*)$\" }] }\n";
    let drill = "Quorate recovery drill, version 1. This moves nothing.\ncluster: dev";
    assert!(allows(&with(any), &intent(&format!(" {drill}"))), "the pattern lets everything else through");
    let failures = failures(decide(&with(any), &intent(drill)));
    assert!(failures[0].rule == "messages" && failures[0].reason.contains("drill"), "{failures:?}");
}
