//! A dev cluster's directory: made whole, private, never overwritten, deleted only when asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::bench::{Bench, files};
use age::secrecy::ExposeSecret;
use quorate_manifest::{Manifest, Pinned, SignedDocument};
use quorate_transport::{Identity, PeerRole, TlsFiles};
use ssh_key::PrivateKey;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_writes_private_keys_and_everything_parses_back() {
    let bench = Bench::new();
    let ran = bench.cluster();
    for warning in ["!! DEV CLUSTER", "!! RECOVERY KEY", "machine without a network"] {
        assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    }
    let root = bench.path(".quorate-dev");
    assert_eq!(mode(&root), 0o700);
    let secret = |path: &std::path::Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        matches!(name, "kek" | "tls.key" | "ca.key" | "operator" | "identity.txt")
    };
    let secrets: Vec<_> = files(&root).into_iter().filter(|path| secret(path)).collect();
    // Four KEKs, four machines' and three clients' TLS keys, the authority's, the operator's and the recovery key.
    assert_eq!(secrets.len(), 4 + 4 + 3 + 3, "{secrets:?}");
    for path in &secrets {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    for path in files(&root) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let holds_key = text.contains("PRIVATE KEY") || text.contains("AGE-SECRET-KEY");
        assert!(!holds_key || secret(&path), "{} holds a secret", path.display());
    }

    let operator = PrivateKey::read_openssh_file(&root.join("keys/operator")).unwrap();
    let line = operator.public_key().to_openssh().unwrap();
    let document = SignedDocument {
        body: fs::read(root.join("manifest.yaml")).unwrap(),
        signatures: vec![fs::read_to_string(root.join("manifest.yaml.sig")).unwrap()],
    };
    let pinned = Pinned::enrol(&document, &[line.parse().unwrap()]).unwrap();
    assert!(pinned.manifest().is_dev());
    let recovery = fs::read_to_string(root.join("recovery/identity.txt")).unwrap();
    let identity: age::x25519::Identity = recovery.lines().last().unwrap().parse().unwrap();
    assert!(identity.to_string().expose_secret().starts_with("AGE-SECRET-KEY-1"));
    assert_eq!(pinned.manifest().recovery(), [identity.to_public().to_string()]);
}

#[test]
fn every_machine_has_what_it_needs_and_its_own_name() {
    let bench = Bench::new();
    bench.cluster();
    let root = bench.path(".quorate-dev");
    let names = [
        ("machines/coordinator-1", PeerRole::Coordinator, "coordinator-1"),
        ("machines/agent-1", PeerRole::Node, "agent-1"),
        ("machines/service-1", PeerRole::Node, "service-1"),
        ("machines/cold-1", PeerRole::Node, "cold-1"),
        ("clients/operator", PeerRole::Operator, "operator"),
        ("clients/gateway", PeerRole::Gateway, "gateway"),
        ("clients/auditor", PeerRole::Auditor, "auditor"),
    ];
    for (dir, role, id) in names {
        let dir = root.join(dir);
        let [certificate, key, ca] = ["tls.pem", "tls.key", "ca.pem"].map(|name| dir.join(name));
        let identity = Identity::load(&TlsFiles { certificate, key, ca }).unwrap().id();
        assert_eq!((identity.cluster().as_str(), identity.role(), identity.id()), ("dev", role, id));
    }
    let mut ports = std::collections::BTreeSet::new();
    for id in ["coordinator-1", "agent-1", "service-1", "cold-1"] {
        let dir = root.join("machines").join(id);
        let text = fs::read_to_string(dir.join("config.yaml")).unwrap();
        assert!(!text.contains(bench.dir.path().to_str().unwrap()), "paths are relative: {text}");
        let config: serde_norway::Value = serde_norway::from_str(&text).unwrap();
        assert_eq!(config["dev"], serde_norway::Value::Bool(true));
        assert_eq!(config.get("cold").is_some(), id == "cold-1");
        for file in [
            &config["kek"]["file"],
            &config["tls"]["key"],
            &config["manifest"]["document"],
            &config["manifest"]["signatures"][0],
        ] {
            assert!(dir.join(file.as_str().unwrap()).is_file(), "{id}: {file:?}");
        }
        assert!(ports.insert(config["health"].as_str().unwrap().to_owned()), "{id}: its own port");
        Manifest::parse(&fs::read(dir.join("manifest.yaml")).unwrap()).unwrap();
    }
}

#[test]
fn init_never_overwrites_and_leaves_nothing_half_made() {
    let bench = Bench::new();
    bench.cluster();
    let kek = fs::read(bench.path(".quorate-dev/machines/agent-1/kek")).unwrap();
    assert_eq!(bench.snapshot("dev-init-twice", &["--bin-dir", "bin", "dev", "init"]).code, 4);
    assert_eq!(fs::read(bench.path(".quorate-dev/machines/agent-1/kek")).unwrap(), kek);

    let bench = Bench::new();
    assert_eq!(bench.snapshot("dev-init-without-programs", &["--bin-dir", ".", "dev", "init"]).code, 4);
    let node = bench.write("bin/quorate-node", "#!/bin/sh\necho broken >&2\nexit 1\n");
    fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).unwrap();
    let ran = bench.run(&["--bin-dir", "bin", "dev", "init"]);
    assert_eq!(ran.code, 70);
    assert!(ran.stderr.contains("broken"), "{}", ran.stderr);
    let left: Vec<_> =
        fs::read_dir(bench.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["bin"], "no half-made directory, no key left behind");
}

#[test]
fn up_says_why_a_process_ended_and_down_wipes() {
    let bench = Bench::new();
    assert_eq!(bench.snapshot("dev-up-without-init", &["dev", "up"]).code, 4);
    assert_eq!(bench.snapshot("dev-status-without-init", &["dev", "status"]).code, 4);
    assert_eq!(bench.snapshot("dev-down-without-init", &["dev", "down"]).code, 0);
    bench.cluster();
    let ran = bench.run(&["--bin-dir", "bin", "dev", "up", "--timeout", "20"]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("ended at once") && ran.stderr.contains(".log"), "{}", ran.stderr);
    assert!(ran.stderr.contains("tls: expired") || ran.stderr.contains("no such file"), "{}", ran.stderr);
    assert_eq!(bench.snapshot("dev-status-down", &["--json", "dev", "status"]).code, 5);
    let down = bench.run(&["--json", "dev", "down", "--wipe"]);
    assert_eq!((down.code, down.json()["wiped"].as_bool()), (0, Some(true)));
    assert!(!bench.path(".quorate-dev").exists());
}

#[test]
fn wipe_deletes_nothing_but_a_dev_cluster() {
    let bench = Bench::new();
    bench.write("precious/thesis.txt", "years of work");
    let ran = bench.snapshot("wipe-of-something-else", &["--dir", "precious", "dev", "down", "--wipe"]);
    assert_eq!(ran.code, 4);
    assert!(bench.path("precious/thesis.txt").exists());
}

#[test]
fn a_coordinator_that_is_not_there_is_5_and_says_where_it_was_looked_for() {
    let bench = Bench::new();
    bench.cluster();
    let ran = bench.run(&["--json", "wallet", "list"]);
    assert_eq!(ran.code, 5);
    assert_eq!(ran.json()["error"]["kind"], "unavailable");
    assert!(ran.json()["error"]["reason"].as_str().unwrap().contains("127.0.0.1:"), "{}", ran.stdout);
}
