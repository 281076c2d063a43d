//! The house's arrows, read from `cargo metadata`: who may depend on whom, and what must be out of reach.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Every crate of the house with the house's crates it may depend on, outside tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("intent", &["types"]),
    ("session", &["types"]),
    ("mpc", &["types", "intent"]),
    ("manifest", &["types", "session"]),
    ("conditions", &[]),
    ("policy", &["types", "intent", "session", "manifest", "conditions"]),
    ("approval", &["types", "manifest"]),
    ("freeze", &["types", "intent", "manifest", "policy"]),
    ("lapse", &["types", "intent", "manifest", "policy"]),
    ("failpoint", &[]),
    ("store", &["types"]),
    ("ledger", &["types", "intent", "lapse", "policy", "store"]),
    ("audit", &["types", "store"]),
    ("transport", &["types"]),
    ("alert", &["types"]),
    ("proto", &["types", "session"]),
    ("proto-codegen", &[]),
    ("ceremony", &["types", "intent", "manifest"]),
    ("recovery", &["types", "intent", "session", "manifest", "mpc"]),
    (
        "coordinator",
        &[
            "types",
            "alert",
            "intent",
            "policy",
            "manifest",
            "approval",
            "failpoint",
            "freeze",
            "lapse",
            "ceremony",
            "session",
            "store",
            "ledger",
            "audit",
            "transport",
            "proto",
        ],
    ),
    (
        "node",
        &[
            "types",
            "intent",
            "policy",
            "manifest",
            "approval",
            "failpoint",
            "freeze",
            "lapse",
            "session",
            "mpc",
            "recovery",
            "store",
            "ledger",
            "audit",
            "transport",
            "proto",
        ],
    ),
    // Through `recovery` it opens shares, offline; what is stored stays out of its reach.
    (
        "cli",
        &[
            "types",
            "intent",
            "policy",
            "manifest",
            "approval",
            "freeze",
            "lapse",
            "audit",
            "session",
            "transport",
            "proto",
            "recovery",
            "ceremony",
        ],
    ),
];

/// Crates without disk, sockets or a runtime.
const PURE: &[&str] = &[
    "types",
    "intent",
    "conditions",
    "policy",
    "manifest",
    "approval",
    "failpoint",
    "freeze",
    "lapse",
    "ceremony",
    "mpc",
    "session",
    "recovery",
];
const IMPURE: &[&str] = &["tokio", "tonic", "hyper", "redb", "sled", "rustls", "mio", "socket2"];

struct House {
    metadata: Metadata,
    edges: BTreeMap<PackageId, BTreeSet<PackageId>>,
}

impl House {
    fn read() -> Self {
        let metadata = MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .other_options(["--locked".to_owned()])
            .exec()
            .unwrap();
        let mut edges = BTreeMap::new();
        for node in &metadata.resolve.as_ref().unwrap().nodes {
            let linked = node
                .deps
                .iter()
                .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
            edges.insert(node.id.clone(), linked.map(|dep| dep.pkg.clone()).collect());
        }
        Self { metadata, edges }
    }

    fn name(&self, id: &PackageId) -> &str {
        &self.metadata[id].name
    }

    fn ours(&self, name: &str) -> PackageId {
        let name = format!("quorate-{name}");
        self.metadata
            .workspace_packages()
            .into_iter()
            .find(|package| *package.name == name)
            .unwrap()
            .id
            .clone()
    }

    fn reach(&self, from: &PackageId) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut left = vec![from];
        while let Some(id) = left.pop() {
            for dep in &self.edges[id] {
                if found.insert(dep) {
                    left.push(dep);
                }
            }
        }
        found.into_iter().map(|id| self.name(id)).collect()
    }
}

#[test]
fn arrows_point_down_only() {
    let house = House::read();
    let mut seen = BTreeSet::new();
    for (name, allowed) in ARROWS {
        let id = house.ours(name);
        for dep in house.edges[&id].iter().filter_map(|dep| house.name(dep).strip_prefix("quorate-")) {
            assert!(allowed.contains(&dep), "{name} -> {dep} is not an arrow of the house");
        }
        seen.insert(id);
    }
    for package in house.metadata.workspace_packages() {
        let known = seen.contains(&package.id) || *package.name == "quorate-tests";
        assert!(known, "{} has no place in the house: add it to ARROWS", package.name);
    }
}

#[test]
fn pure_crates_reach_no_runtime_disk_or_socket() {
    let house = House::read();
    for name in PURE {
        let reach = house.reach(&house.ours(name));
        for impure in IMPURE {
            assert!(!reach.contains(impure), "{name} reaches {impure}");
        }
    }
}

#[test]
fn the_coordinator_cannot_reach_a_share() {
    let house = House::read();
    let reach = house.reach(&house.ours("coordinator"));
    assert!(reach.contains("quorate-session"), "the test sees nothing");
    for secret in [
        "quorate-mpc",
        "quorate-recovery",
        "quorate-node",
        "cggmp24",
        "cggmp24-keygen",
        "key-share",
        "paillier-zk",
    ] {
        assert!(!reach.contains(secret), "the coordinator reaches {secret}");
    }
}

#[test]
fn the_cli_reaches_no_server_and_what_is_stored_only_through_audit() {
    let house = House::read();
    let reach = house.reach(&house.ours("cli"));
    assert!(reach.contains("quorate-mpc"), "the test sees nothing");
    for server in ["quorate-ledger", "quorate-node", "quorate-coordinator"] {
        assert!(!reach.contains(server), "the CLI reaches {server}");
    }
    // `audit verify` checks a log's chain, which the crate reads and writes through the store's. Nothing else leads there.
    let (_, allowed) = ARROWS.iter().find(|(name, _)| *name == "cli").unwrap();
    let to_store = |name: &&&str| house.reach(&house.ours(name)).contains("quorate-store");
    assert_eq!(allowed.iter().filter(to_store).collect::<Vec<_>>(), [&"audit"]);
}

#[test]
fn one_curve_library_is_resolved() {
    let house = House::read();
    for name in ["generic-ec", "cggmp24", "paillier-zk", "quorate-types", "rustls"] {
        let versions = house.metadata.packages.iter().filter(|package| *package.name == name).count();
        assert_eq!(versions, 1, "{name}");
    }
    let banned = ["cggmp21", "openssl", "native-tls", "serde_yaml"];
    for package in &house.metadata.packages {
        assert!(!banned.contains(&package.name.as_str()), "{} is banned", package.name);
    }
}

#[test]
fn no_forbidden_feature_is_on() {
    let house = House::read();
    let nodes = &house.metadata.resolve.as_ref().unwrap().nodes;
    for node in nodes.iter().filter(|node| house.name(&node.id).starts_with("cggmp24")) {
        for feature in ["insecure-assume-preimage-known", "spof", "hd-wallet"] {
            assert!(!node.features.iter().any(|on| on.as_str() == feature), "{feature} is on");
        }
    }
}

/// The features of `of` in a build of `package`. `cargo metadata` unites the features of everything, tests too; this asks
/// what a production build turns on.
fn features(package: &str, of: &str, extra: &[&str]) -> String {
    lines(package, extra).into_iter().find(|line| line.starts_with(&format!("{of} "))).unwrap()
}

/// What a build of `package` is made of, a package and its features a line.
fn lines(package: &str, extra: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["tree", "--locked", "-p", package, "-e", "normal", "--prefix", "none", "-f", "{p} [{f}]"])
        .args(extra)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// An approval is made by evaluating a policy, and in no other way.
#[test]
fn no_production_build_can_make_up_an_approval() {
    for package in ["quorate-node", "quorate-coordinator", "quorate-cli"] {
        let policy = features(package, "quorate-policy", &[]);
        assert!(policy.ends_with("[]"), "{package}: {policy}");
    }
}

/// A whole key is made by the CLI alone, and only where it was built for that.
#[test]
fn only_a_cli_built_for_it_makes_a_whole_key() {
    for package in ["quorate-node", "quorate-coordinator", "quorate-cli"] {
        for extra in
            [&[][..], &["--features", "dev"]].into_iter().take(1 + usize::from(package == "quorate-node"))
        {
            let tree = lines(package, extra);
            let spof = tree.iter().find(|line| features_in(line).any(|on| on == "spof"));
            assert_eq!(spof, None, "{package}");
        }
    }
    let built_for_it = lines("quorate-cli", &["--features", "spof"]);
    let mut with: Vec<&str> = built_for_it
        .iter()
        .filter(|line| features_in(line).any(|on| on == "spof"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    with.sort_unstable();
    with.dedup();
    assert_eq!(
        with,
        ["key-share", "quorate-cli", "quorate-mpc", "quorate-recovery"],
        "cggmp24's own dealer stays off"
    );
}

/// The features in a line of [`lines`].
fn features_in(line: &str) -> impl Iterator<Item = &str> {
    let list =
        line.rsplit_once('[').map_or("", |(_, list)| list.trim_end_matches(" (*)").trim_end_matches(']'));
    list.split(',')
}

#[test]
fn a_production_node_has_no_dev_primes() {
    let features = |extra: &[&str]| features("quorate-node", "quorate-mpc", extra);
    let production = features(&[]);
    assert!(!production.contains("dev-primes") && !production.contains("fixtures"), "{production}");
    assert!(features(&["--features", "dev"]).contains("dev-primes"), "the test sees nothing");
}

/// A point at which a process dies is of no use in production, and would be of some to others.
#[test]
fn no_production_build_dies_at_a_failpoint() {
    let armed = |package: &str, extra: &[&str]| {
        features_in(&features(package, "quorate-failpoint", extra)).any(|on| on == "armed")
    };
    for package in ["quorate-node", "quorate-coordinator"] {
        assert!(!armed(package, &[]), "{package}");
        assert!(armed(package, &["--features", "failpoints"]), "the test sees nothing");
    }
    // As `make build` builds them: in one go, with the dev primes.
    let as_for_the_demo = ["-p", "quorate-coordinator", "-p", "quorate-cli", "--features", "dev"];
    assert!(!armed("quorate-node", &as_for_the_demo));
    let cli = lines("quorate-cli", &[]);
    assert!(!cli.iter().any(|line| line.starts_with("quorate-failpoint ")), "the CLI has no points");
}
