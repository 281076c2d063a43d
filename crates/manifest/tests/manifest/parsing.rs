//! What a manifest may say, one refusal at a time.

use quorate_manifest::{Manifest, ManifestError};
use quorate_types::{NodeId, Role};

use crate::rig::{ALICE, BODY, RECIPIENT};

fn refusal(body: &str) -> String {
    Manifest::parse(body.as_bytes()).unwrap_err().to_string()
}

fn swap(from: &str, to: &str) -> String {
    assert!(BODY.contains(from), "{from}");
    BODY.replacen(from, to, 1)
}

#[test]
fn the_fixture_says_what_it_says() {
    let manifest = Manifest::parse(BODY.as_bytes()).unwrap();
    assert_eq!((manifest.cluster().as_str(), manifest.version(), manifest.is_dev()), ("example", 1, false));
    assert_eq!(manifest.nodes().len(), 3);
    let node = |id: &str| id.parse::<NodeId>().unwrap();
    assert_eq!(manifest.node(&node("cold-1")).unwrap().role, Role::Cold);
    assert_eq!(manifest.node(&node("cold-2")), None);
    let group = manifest.group(&"group-1".parse().unwrap()).unwrap();
    assert_eq!(group.nodes(), [&node("agent-1"), &node("service-1"), &node("cold-1")]);
    for (index, id) in group.nodes().into_iter().enumerate() {
        let index = u16::try_from(index).unwrap();
        assert_eq!(group.member(index), Some(id));
        assert_eq!(group.index_of(id), Some(index));
    }
    assert_eq!((group.member(3), group.index_of(&node("agent-2"))), (None, None));
    let names: Vec<_> = manifest.operators().iter().map(|person| person.name.as_str()).collect();
    assert_eq!(names, ["Alice", "Bob"]);
    assert_eq!(manifest.approvers()[0].key, ALICE.parse().unwrap());
    assert_eq!(manifest.operator_quorum(), 2);
    assert_eq!(manifest.recovery(), [RECIPIENT]);
    assert_eq!(manifest.coordinators(), ["coordinator-1"]);
}

#[test]
fn every_refusal_names_its_field() {
    const NODE_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const SERVICE_KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let weak = format!("01{}", "0".repeat(62));
    let bob_key = BODY.split("key: ecdsa").nth(1).unwrap().lines().next().unwrap();
    let bob_key = format!("ecdsa{bob_key}");
    let cases: &[(&str, &str, &str)] = &[
        ("quorate/v1", "quorate/v2", "manifest: expected quorate/v1"),
        ("cluster: example", "cluster: Example", "cluster: cluster: only a-z, 0-9 and inner '-' are allowed"),
        ("version: 1", "version: 0", "version: must be at least 1"),
        ("id: service-1,", "id: agent-1,", "nodes[1].id: the same as nodes[0].id"),
        ("id: service-1,", "id: '',", "nodes[1].id: node: must be 1 to 63 characters, got 0"),
        ("role: cold", "role: warm", "nodes[2].role: role: expected agent, service or cold"),
        (SERVICE_KEY, "3d40", "nodes[1].key: node key: expected an Ed25519 public key of 64 hex digits"),
        (SERVICE_KEY, &weak, "nodes[1].key: node key: weak key of small order"),
        (SERVICE_KEY, NODE_KEY, "nodes[1].key: the same as nodes[0].key"),
        (NODE_KEY, &NODE_KEY.to_uppercase(), "nodes[0].key: expected lowercase hex"),
        ("agent: agent-1", "agent: agent-9", "groups[0].agent: names no node of this manifest"),
        ("agent: agent-1", "agent: service-1", "groups[0].agent: service-1 is of role service"),
        ("cold: cold-1", "cold: agent-1", "groups[0].cold: agent-1 is of role agent"),
        ("id: group-1", "id: group_1", "groups[0].id: group: only a-z, 0-9 and inner '-' are allowed"),
        ("name: Bob", "name: ALICE", "operators[1].name: the same as operators[0].name"),
        ("name: Bob", "name: ''", "operators[1].name: must be 1 to 64 characters"),
        (
            "name: Bob",
            "name: 'Bob '",
            "operators[1].name: only letters, digits, inner spaces and . _ @ + - are allowed",
        ),
        (
            "name: Bob",
            "name: \"B\\u202eob\"",
            "operators[1].name: only letters, digits, inner spaces and . _ @ + - are allowed",
        ),
        (&bob_key, ALICE.trim(), "operators[1].key: the same as operators[0].key"),
        (
            &bob_key,
            "ssh-ed25519 AAAA",
            "operators[1].key: expected an OpenSSH public key such as \"ssh-ed25519 AAAA...\"",
        ),
        ("operators: 2 }", "operators: 0 }", "quorum.operators: must be 1 to 2, got 0"),
        ("operators: 2 }", "operators: 3 }", "quorum.operators: must be 1 to 2, got 3"),
        (
            RECIPIENT,
            "age1qqqq",
            "recovery[0]: expected an age recipient: X25519 (age1...) or an age plugin's (age1NAME1...)",
        ),
        (
            RECIPIENT,
            &RECIPIENT.to_uppercase(),
            "recovery[0]: expected an age recipient: X25519 (age1...) or an age plugin's (age1NAME1...)",
        ),
        ("id: coordinator-1", "id: a/b", "coordinators[0].id: expected 1 to 63 of a-z, 0-9 and inner '-'"),
    ];
    for (from, to, expected) in cases {
        assert_eq!(refusal(&swap(from, to)), *expected, "{from} -> {to}");
    }
}

#[test]
fn lists_hold_each_thing_once() {
    let doubled = |line: &str| swap(line, &format!("{line}\n{line}"));
    let group = "  - { id: group-1, agent: agent-1, service: service-1, cold: cold-1 }";
    assert_eq!(refusal(&doubled(group)), "groups[1].id: the same as groups[0].id");
    let recipient = format!("  - {RECIPIENT}");
    assert_eq!(refusal(&doubled(&recipient)), "recovery[1]: the same as recovery[0]");
    let coordinator = "  - { id: coordinator-1 }";
    assert_eq!(refusal(&doubled(coordinator)), "coordinators[1].id: the same as coordinators[0].id");
}

#[test]
fn a_group_needs_somewhere_to_seal_its_cold_share() {
    let none = swap(&format!("recovery:\n  - {RECIPIENT}"), "recovery: []");
    assert_eq!(refusal(&none), "recovery: a group's cold shares need at least one age recipient");
    let group = "groups:\n  - { id: group-1, agent: agent-1, service: service-1, cold: cold-1 }\n";
    let no_group = none.replacen(group, "", 1);
    assert!(Manifest::parse(no_group.as_bytes()).unwrap().recovery().is_empty());
}

#[test]
fn someone_on_two_lists_is_one_person() {
    let approvers =
        |name: &str| swap("approvers:\n  - name: Alice", &format!("approvers:\n  - name: {name}"));
    let expected = "approvers[0]: this name and key belong to different people on another list";
    for name in ["Bob", "alice", "Carol"] {
        assert_eq!(refusal(&approvers(name)), expected, "{name}");
    }
}

#[test]
fn the_security_key_and_the_plain_key_of_one_secret_are_one_operator() {
    use ssh_key::public::{KeyData, SkEd25519};
    let alice = ssh_key::PublicKey::from_openssh(ALICE).unwrap();
    let sk = SkEd25519::new(*alice.key_data().ed25519().unwrap(), "ssh:");
    let sk = ssh_key::PublicKey::from(KeyData::SkEd25519(sk)).to_openssh().unwrap();
    let bob = BODY.split("  - name: Bob\n").nth(1).unwrap().lines().next().unwrap();
    let body = swap(bob, &format!("    key: {sk}"));
    assert_eq!(refusal(&body), "operators[1].key: the same as operators[0].key");
}

#[test]
fn nobody_to_sign_is_refused() {
    let start = BODY.find("operators:").unwrap();
    let end = BODY.find("quorum:").unwrap();
    let body = format!("{}operators: []\n{}", &BODY[..start], &BODY[end..]);
    assert_eq!(refusal(&body), "operators: at least one is needed");
}

#[test]
fn the_shape_is_strict() {
    let extra = [
        ("version: 1", "version: 1\nfuture: 1"),
        ("role: cold,", "role: cold, future: 1,"),
        ("cold: cold-1 }", "cold: cold-1, future: 1 }"),
        ("name: Bob", "name: Bob\n    future: 1"),
        ("{ operators: 2 }", "{ operators: 2, future: 1 }"),
        ("{ id: coordinator-1 }", "{ id: coordinator-1, future: 1 }"),
    ];
    for (from, to) in extra {
        let text = refusal(&swap(from, to));
        assert!(text.contains("unknown field `future`"), "{text}");
    }
    let cases = [
        (swap("version: 1", "version: 1\nversion: 2"), "duplicate field `version`"),
        (swap("version: 1\n", ""), "missing field `version`"),
        (swap("version: 1", "version: -1"), "version: invalid type"),
        (swap("version: 1", "version: '1'"), "version: invalid type"),
        (swap("version: 1", "version: 1.0"), "version: invalid type"),
        (swap("version: 1", "version: 18446744073709551616"), "version: invalid type"),
        (swap("version: 1", "version: 1\ndev: yes please"), "dev: invalid type"),
        (format!("{BODY}---\n{BODY}"), "more than one document"),
        (String::new(), "manifest: "),
        ("[]".to_owned(), "invalid type: sequence"),
        (swap("cluster: example", "cluster: [example]"), "cluster: invalid type"),
    ];
    for (body, expected) in cases {
        let text = refusal(&body);
        assert!(text.contains(expected), "{text} should contain {expected}");
    }
    assert_eq!(Manifest::parse(b"\xff\xfe").unwrap_err().to_string(), "manifest: not UTF-8");
}

#[test]
fn errors_are_short_and_printable() {
    let hostile = format!("\"\\e[2J{}\": 1\n{BODY}", "x".repeat(100_000));
    let Err(ManifestError::Yaml(text)) = Manifest::parse(hostile.as_bytes()) else { panic!("accepted") };
    assert!(text.chars().count() <= 240 && !text.chars().any(char::is_control), "{text:?}");
}

#[test]
fn counts_and_sizes_are_bounded() {
    let many = |line: &str, count: usize| swap(line, &vec![line; count].join("\n"));
    let group = "  - { id: group-1, agent: agent-1, service: service-1, cold: cold-1 }";
    assert_eq!(refusal(&many(group, 1025)), "groups: at most 1024 entries, got 1025");
    let recipient = format!("  - {RECIPIENT}");
    assert_eq!(refusal(&many(&recipient, 17)), "recovery: at most 16 entries, got 17");
    let coordinator = "  - { id: coordinator-1 }";
    assert_eq!(refusal(&many(coordinator, 17)), "coordinators: at most 16 entries, got 17");
    let node = "  - { id: cold-1, role: cold, key: '' }";
    let nodes = swap("nodes:", &format!("nodes:\n{}", vec![node; 1022].join("\n")));
    assert_eq!(refusal(&nodes), "nodes: at most 1024 entries, got 1025");
    let person = "  - { name: Carol, key: x }";
    for list in ["operators", "approvers"] {
        let body = swap(&format!("{list}:\n"), &format!("{list}:\n{}\n", vec![person; 64].join("\n")));
        assert!(refusal(&body).starts_with(&format!("{list}: at most 64 entries")));
    }
    let long = format!("{BODY}#{}", "x".repeat(256 * 1024));
    assert!(refusal(&long).starts_with("body: must be 1 to 262144 bytes"));
}
