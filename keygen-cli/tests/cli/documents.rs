//! Manifests and policies from the first draft to a signed document, and signatures checked without a cluster.

use std::fs;

use crate::bench::{Bench, Ran};
use quorate_manifest::{Manifest, Namespace, Pinned, SignedDocument, verify};

fn document(bench: &Bench, name: &str) -> SignedDocument {
    let body = fs::read(bench.path(name)).unwrap();
    let signatures = vec![fs::read_to_string(bench.path(&format!("{name}.sig"))).unwrap()];
    SignedDocument { body, signatures }
}

/// A cluster's directory for its keys, and a manifest of a real cluster drafted beside it.
fn drafted() -> Bench {
    let bench = Bench::new();
    bench.cluster();
    let recipient = fs::read_to_string(bench.path(".quorate-dev/manifest.yaml")).unwrap();
    let recipient = recipient.split_whitespace().find(|word| word.starts_with("age1")).unwrap().to_owned();
    let new = [
        "manifest",
        "new",
        "--out",
        "m.yaml",
        "--cluster",
        "prod",
        "--operator",
        "alice=.quorate-dev/keys/operator.pub",
        "--recovery",
        &recipient,
        "--coordinator",
        "c1",
    ];
    assert_eq!(bench.run(&new).code, 0);
    bench
}

fn enrol(bench: &Bench, id: &str, role: &str) -> Ran {
    let printed = std::process::Command::new(bench.path("bin/quorate-node"))
        .args(["init", "--data-dir", "/dev/null", "--id", id])
        .output()
        .unwrap();
    let file = bench.write(&format!("{id}.json"), &String::from_utf8(printed.stdout).unwrap());
    let args =
        ["node", "enrol", "--manifest", "m.yaml", "--role", role, "--key-file", file.to_str().unwrap()];
    bench.run(&args)
}

#[test]
fn a_manifest_from_draft_to_pinned() {
    let bench = drafted();
    for (id, role) in [("agent-1", "agent"), ("service-1", "service"), ("cold-1", "cold")] {
        let ran = enrol(&bench, id, role);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let group = [
        "group",
        "create",
        "--group",
        "g",
        "--agent",
        "agent-1",
        "--service",
        "service-1",
        "--cold",
        "cold-1",
        "--manifest",
        "m.yaml",
    ];
    assert_eq!(bench.run(&group).code, 0);
    let signed = bench.run(&["--json", "manifest", "sign", "--in", "m.yaml"]);
    assert_eq!((signed.code, signed.json()["version"].as_u64()), (0, Some(1)), "{}", signed.stderr);
    let root = fs::read_to_string(bench.path(".quorate-dev/keys/operator.pub")).unwrap();
    let document = document(&bench, "m.yaml");
    let pinned = Pinned::enrol(&document, &[root.parse().unwrap()]).unwrap();
    assert_eq!(pinned.manifest().groups().len(), 1);
    assert!(!pinned.manifest().is_dev());

    // That version can be in force: the next edit is the next version.
    let group = [
        "--json",
        "group",
        "create",
        "--group",
        "h",
        "--agent",
        "agent-1",
        "--service",
        "service-1",
        "--cold",
        "cold-1",
        "--manifest",
        "m.yaml",
    ];
    assert_eq!(bench.run(&group).json()["manifest_version"], 2);
    let signed = bench.run(&["--json", "manifest", "sign", "--in", "m.yaml"]);
    assert_eq!(signed.json()["version"], 2);
    assert!(pinned.advance(&self::document(&bench, "m.yaml")).is_ok());
}

#[test]
fn an_edit_that_every_node_would_refuse_is_not_written() {
    let bench = drafted();
    assert_eq!(enrol(&bench, "agent-1", "agent").code, 0);
    let before = fs::read(bench.path("m.yaml")).unwrap();
    let twice = enrol(&bench, "agent-1", "agent");
    assert_eq!(twice.code, 4);
    assert!(twice.stderr.contains("nodes[1]"), "{}", twice.stderr);
    let group = [
        "group",
        "create",
        "--group",
        "g",
        "--agent",
        "agent-1",
        "--service",
        "x",
        "--cold",
        "y",
        "--manifest",
        "m.yaml",
    ];
    let refused = bench.run(&group);
    assert_eq!(refused.code, 4);
    assert!(refused.stderr.contains("groups[0].service"), "{}", refused.stderr);
    assert_eq!(fs::read(bench.path("m.yaml")).unwrap(), before);
    assert_eq!(
        bench
            .run(&[
                "manifest",
                "new",
                "--out",
                "m.yaml",
                "--cluster",
                "x",
                "--operator",
                "a=.quorate-dev/keys/operator.pub",
                "--recovery",
                "age1",
                "--coordinator",
                "c"
            ])
            .code,
        4
    );
    assert_eq!(fs::read(bench.path("m.yaml")).unwrap(), before);
}

#[test]
fn a_signed_policy_verifies_under_the_operators_key_and_no_other_kind() {
    let bench = Bench::new();
    bench.cluster();
    bench.write(
        "p.yaml",
        "policy: quorate/v1\ncluster: dev\nwallet: w\nversion: 1\nrules: {chains: [base-sepolia]}\n",
    );
    let ran = bench.run(&["--json", "policy", "sign", "p.yaml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let manifest = Manifest::parse(&fs::read(bench.path(".quorate-dev/manifest.yaml")).unwrap()).unwrap();
    let document = document(&bench, "p.yaml");
    assert_eq!(verify(&document, Namespace::Policy, manifest.operators(), 1).unwrap(), ["operator"]);
    assert!(verify(&document, Namespace::Manifest, manifest.operators(), 1).is_err());
}

const PAYMENT: &str = r#"{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],"TransferWithAuthorization":[{"name":"from","type":"address"},{"name":"to","type":"address"},{"name":"value","type":"uint256"},{"name":"validAfter","type":"uint256"},{"name":"validBefore","type":"uint256"},{"name":"nonce","type":"bytes32"}]},"primaryType":"TransferWithAuthorization","domain":{"name":"USDC","version":"2","chainId":84532,"verifyingContract":"0x036CbD53842c5426634e7929541eC2318f3dCF7e"},"message":{"from":"0x857b06519E91e3A54538791bDbb0E22373e36b66","to":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C","value":"10000","validAfter":"1740672089","validBefore":"1740672154","nonce":"0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"}}"#;
const SIGNATURE: &str = "0x2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c";
const PAYER: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";

/// The example of the x402 specification, signed by another implementation.
#[test]
fn verify_says_what_was_signed_and_by_whom() {
    let bench = Bench::new();
    bench.write("payment.json", PAYMENT);
    let verify = |signature: &str, address: &str| {
        ["verify", "--payload-typed-data", "payment.json", "--signature", signature, "--address", address]
            .map(str::to_owned)
    };
    let run = |name: &str, signature: &str, address: &str| {
        let args = verify(signature, address);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        bench.snapshot(name, &args)
    };
    assert_eq!(run("verify-good", SIGNATURE, PAYER).code, 0);
    assert_eq!(run("verify-another-signer", SIGNATURE, "0x209693Bc6afc0C5328bA36FaF03C514EF312287C").code, 4);
    assert_eq!(run("verify-short-signature", "0x2d6a", PAYER).code, 4);
    let parity = format!("{}01", &SIGNATURE[..130]);
    assert_eq!(run("verify-parity-instead-of-v", &parity, PAYER).code, 4);
}
