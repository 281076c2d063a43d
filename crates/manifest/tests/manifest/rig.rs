//! A cluster on paper.

use quorate_manifest::{
    CoordinatorDraft, GroupDraft, ManifestDraft, Namespace, NodeDraft, Person, PersonDraft, PersonKey,
    QuorumDraft, SignedDocument, sign,
};
use quorate_session::NodeKey;
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

pub(crate) const BODY: &str = include_str!("../../fixtures/manifest.yaml");
pub(crate) const ALICE: &str = include_str!("../../fixtures/alice.pub");
pub(crate) const BOB: &str = include_str!("../../fixtures/bob.pub");
pub(crate) const ALICE_SIG: &str = include_str!("../../fixtures/manifest.alice.sig");
pub(crate) const ALICE_SHA256_SIG: &str = include_str!("../../fixtures/manifest.alice-sha256.sig");
pub(crate) const ALICE_POLICY_SIG: &str = include_str!("../../fixtures/manifest.alice-as-policy.sig");
pub(crate) const BOB_SIG: &str = include_str!("../../fixtures/manifest.bob.sig");

pub(crate) const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// The key the fixtures were signed with.
pub(crate) fn private(name: &str) -> PrivateKey {
    let text = match name {
        "alice" => include_str!("../../fixtures/alice"),
        "bob" => include_str!("../../fixtures/bob"),
        _ => include_str!("../../fixtures/locked"),
    };
    PrivateKey::from_openssh(text).unwrap()
}

pub(crate) fn person(name: &str, line: &str) -> Person {
    Person { name: name.to_owned(), key: line.parse().unwrap() }
}

pub(crate) fn alice_and_bob() -> Vec<Person> {
    vec![person("Alice", ALICE), person("Bob", BOB)]
}

pub(crate) fn document(body: &str, signatures: &[&str]) -> SignedDocument {
    let signatures = signatures.iter().map(|&text| text.to_owned()).collect();
    SignedDocument { body: body.into(), signatures }
}

/// An operator of the made-up cluster.
pub(crate) fn operator(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

pub(crate) fn public(seed: u8) -> PersonKey {
    PersonKey::try_from(operator(seed).public_key()).unwrap()
}

pub(crate) fn operator_draft(seed: u8) -> PersonDraft {
    PersonDraft { name: format!("operator-{seed}"), key: public(seed).to_string() }
}

pub(crate) fn node_draft(id: &str, role: &str, seed: u8) -> NodeDraft {
    let key = NodeKey::from_bytes([seed; 32].into()).public().to_string();
    NodeDraft { id: id.to_owned(), role: role.to_owned(), key }
}

pub(crate) fn group_draft(id: &str, [agent, service, cold]: [&str; 3]) -> GroupDraft {
    GroupDraft {
        id: id.to_owned(),
        agent: agent.to_owned(),
        service: service.to_owned(),
        cold: cold.to_owned(),
    }
}

/// Version 1: a group, a spare agent node, operators 1 to 3 of whom two must agree.
pub(crate) fn draft() -> ManifestDraft {
    ManifestDraft {
        nodes: vec![
            node_draft("agent-1", "agent", 11),
            node_draft("service-1", "service", 12),
            node_draft("cold-1", "cold", 13),
            node_draft("agent-2", "agent", 14),
        ],
        groups: vec![group_draft("group-1", ["agent-1", "service-1", "cold-1"])],
        quorum: QuorumDraft { operators: 2, manifests: None },
        recovery: vec![RECIPIENT.to_owned()],
        coordinators: vec![CoordinatorDraft { id: "coordinator-1".to_owned() }],
        ..ManifestDraft::new("example", vec![operator_draft(1), operator_draft(2), operator_draft(3)])
    }
}

/// The draft as a document signed by the operators `seeds`.
pub(crate) fn signed(draft: &ManifestDraft, seeds: &[u8]) -> SignedDocument {
    signed_body(draft.to_yaml().unwrap().as_bytes(), seeds)
}

pub(crate) fn signed_body(body: &[u8], seeds: &[u8]) -> SignedDocument {
    let sign = |seed: &u8| sign(body, Namespace::Manifest, &operator(*seed)).unwrap();
    SignedDocument { body: body.to_vec(), signatures: seeds.iter().map(sign).collect() }
}
