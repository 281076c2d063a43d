//! What `deploy/` and the documents say is held against the code: samples parse and fit together, units and manifests
//! run programs that exist, metrics and files that are named are there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;
use quorate_failpoint::Point;
use quorate_manifest::{Manifest, PersonKey};
use quorate_policy::{Policy, lint};
use quorate_transport::TlsFiles;
use quorate_types::{NodeId, Role};
use serde_norway::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The documents of a YAML file.
fn yaml(name: &str) -> Vec<Value> {
    let text = read(name);
    text.split("\n---\n").map(|document| serde_norway::from_str(document).unwrap()).collect()
}

fn manifest() -> Manifest {
    Manifest::parse(read("deploy/samples/manifest.yaml").as_bytes()).unwrap()
}

fn node(role: Role) -> quorate_node::Config {
    quorate_node::Config::load(&path(&format!("deploy/samples/{role}.yaml"))).unwrap()
}

fn coordinator() -> quorate_coordinator::Config {
    quorate_coordinator::Config::load(&path("deploy/samples/coordinator.yaml")).unwrap()
}

/// Every file below `dir` whose name ends so, builds and dev clusters left out.
fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && name != "target" {
                files(&entry.path(), ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(entry.path());
        }
    }
}

/// Everything that can be run, by name.
fn programs() -> BTreeSet<String> {
    let metadata = MetadataCommand::new().manifest_path(path("Cargo.toml")).no_deps().exec().unwrap();
    let targets = metadata.packages.iter().flat_map(|package| &package.targets);
    targets.filter(|target| target.is_bin()).map(|target| target.name.clone()).collect()
}

#[test]
fn node_samples_are_the_manifests_nodes() {
    let manifest = manifest();
    for role in Role::ALL {
        let config = node(role);
        assert_eq!(config.cluster, *manifest.cluster(), "{role}");
        assert_eq!(config.role, role);
        assert_eq!(manifest.node(&config.node).unwrap().role, role);
        assert_eq!(config.cold.is_some(), role == Role::Cold);
        assert!(!config.dev && !manifest.is_dev());
        assert_roots(&config.roots, &manifest);
        for coordinator in &config.coordinators {
            assert!(manifest.coordinators().contains(&coordinator.id), "{role}: {}", coordinator.id);
        }
    }
    assert_eq!(manifest.groups().len(), 1);
}

#[test]
fn the_coordinator_and_client_samples_fit_the_manifest() {
    let (manifest, config) = (manifest(), coordinator());
    assert_eq!(config.cluster, *manifest.cluster());
    assert!(manifest.coordinators().contains(&config.coordinator));
    assert_roots(&config.roots, &manifest);
    let alerts = &config.alerts;
    assert_eq!((alerts.webhooks.len(), alerts.mail.len()), (1, 1));
    assert!(alerts.webhooks[0].secret_file.ends_with("deploy/samples/webhook.secret"));
    assert_ne!(config.health.port(), node(Role::Agent).health.port(), "both on one machine would collide");

    // As `keygen-cli/src/profile.rs` reads it.
    let profile = &yaml("deploy/samples/client.yaml")[0];
    let fields: Vec<&str> = profile.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap()).collect();
    assert_eq!(fields, ["coordinator", "coordinator_id", "tls"]);
    let tls: TlsFiles = serde_norway::from_value(profile["tls"].clone()).unwrap();
    let address = profile["coordinator"].as_str().unwrap();
    assert_eq!(profile["coordinator_id"].as_str().unwrap(), config.coordinator);
    assert_eq!(address, node(Role::Agent).coordinators[0].address);
    assert_eq!(tls.ca, Path::new("ca.pem"));
    assert!(address.ends_with(&format!(":{}", config.listen.port())));
}

fn assert_roots(roots: &[String], manifest: &Manifest) {
    let roots: Vec<PersonKey> = roots.iter().map(|root| root.parse().unwrap()).collect();
    let known = manifest.operators().iter().filter(|person| roots.contains(&person.key)).count();
    assert_eq!(known, roots.len(), "a root is no operator");
    assert!(known >= manifest.operator_quorum(), "the roots cannot meet the quorum");
}

#[test]
fn the_policy_sample_has_nothing_to_complain_about() {
    let body = read("deploy/samples/policy.yaml");
    assert_eq!(lint(body.as_bytes()), []);
    let policy = Policy::parse(body.as_bytes()).unwrap();
    assert_eq!(policy.cluster(), manifest().cluster());
}

#[test]
fn units_run_programs_that_exist_with_nothing_they_could_do_without() {
    let wanted = [
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "LimitCORE=0",
        "MemoryDenyWriteExecute=yes",
        "CapabilityBoundingSet=",
        "PrivateDevices=yes",
        "ProtectHome=yes",
        "SystemCallFilter=@system-service",
        "RestartPreventExitStatus=2 70",
    ];
    for program in ["quorate-node", "quorate-coordinator"] {
        assert!(programs().contains(program), "{program}");
        let unit = read(&format!("deploy/systemd/{program}.service"));
        for line in wanted {
            assert!(unit.lines().any(|found| found == line), "{program}: {line}");
        }
        let command = format!("ExecStart=/usr/local/bin/{program} run --config /etc/{program}/config.yaml");
        assert!(unit.contains(&command), "{program}");
        // The samples take their key-encryption key by this name.
        assert!(unit.contains(&format!("LoadCredential=kek:/etc/{program}/kek\n")), "{program}");
        let users = read("deploy/systemd/quorate.sysusers.conf");
        assert!(unit.contains(&format!("User={program}\n")) && users.contains(&format!("u {program} ")));
        assert!(unit.contains(&format!("StateDirectory={program}")));
    }
    let named = |kek: quorate_store::KekConfig| matches!(kek, quorate_store::KekConfig::Credential { credential } if credential == "kek");
    assert!(Role::ALL.into_iter().all(|role| named(node(role).kek)) && named(coordinator().kek));
    assert!(Role::ALL.into_iter().all(|role| node(role).data_dir == Path::new("/var/lib/quorate-node")));
    assert!(coordinator().data_dir.starts_with("/var/lib/quorate-coordinator"));
    let export = node(Role::Cold).cold.unwrap().export_dir;
    assert_eq!(export, Path::new("/var/lib/quorate-node/export"), "the unit makes this directory");
}

#[test]
fn containers_run_the_samples_and_no_node_is_reachable() {
    let dockerfile = read("deploy/compose/Dockerfile");
    let copied = |line: &&str| line.contains("--from=build");
    let copied: Vec<&str> = dockerfile.lines().filter(copied).collect();
    assert_eq!(copied.len(), 3);
    for line in copied {
        let binary = line.split_whitespace().nth(2).unwrap().rsplit('/').next().unwrap();
        assert!(programs().contains(binary), "{binary}");
    }
    assert!(!dockerfile.contains("--features"), "an image has no dev primes");
    let compose = &yaml("deploy/compose/compose.yaml")[0];
    let manifest = manifest();
    for (name, service) in compose["services"].as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        if manifest.node(&name.parse::<NodeId>().unwrap()).is_some() {
            assert!(service.get("ports").is_none(), "{name} is published");
        } else {
            assert!(manifest.coordinators().iter().any(|id| id == name), "{name}");
        }
    }
    let port = |config: std::net::SocketAddr| format!("\"{}\"", config.port());
    assert!(dockerfile.contains(&port(node(Role::Service).health)));
    assert!(dockerfile.contains(&port(coordinator().health)));
    let kinds = |name: &str| -> Vec<String> {
        yaml(name).iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect()
    };
    let of_node = kinds("deploy/k8s/service-node.yaml");
    assert!(
        of_node.iter().any(|kind| kind == "StatefulSet") && !of_node.iter().any(|kind| kind == "Service")
    );
    let of_coordinator = kinds("deploy/k8s/coordinator.yaml");
    assert!(
        of_coordinator.iter().any(|kind| kind == "Deployment")
            && of_coordinator.iter().any(|kind| kind == "Service")
    );
    let pods = read("deploy/k8s/service-node.yaml");
    assert!(pods.contains(&port(node(Role::Service).health)));
}

/// Names such as `quorate_sign_total`, without what Prometheus appends to a histogram's.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with("quorate_") && word.len() > 8);
    names.map(|name| name.trim_end_matches("_bucket").trim_end_matches("_count").to_owned()).collect()
}

#[test]
fn metrics_that_are_named_are_recorded() {
    let mut sources = Vec::new();
    files(&path(""), ".rs", &mut sources);
    let recorded: BTreeSet<String> = sources
        .iter()
        .flat_map(|source| {
            let text = fs::read_to_string(source).unwrap();
            let calls = ["counter!(\"", "gauge!(\"", "histogram!(\""];
            let named = |call: &str| -> Vec<String> {
                text.split(call)
                    .skip(1)
                    .filter_map(|rest| rest.split('"').next().map(str::to_owned))
                    .collect()
            };
            calls.into_iter().flat_map(named).collect::<Vec<_>>()
        })
        .collect();
    for file in ["deploy/monitoring/alerts.yaml", "deploy/monitoring/dashboard.json"] {
        let named = metrics_in(&read(file));
        assert!(!named.is_empty(), "{file}");
        for name in named {
            assert!(recorded.contains(&name), "{file} names {name}, which nothing records");
        }
    }
    let documented = metrics_in(&read("docs/operations.md"));
    for name in
        recorded.iter().filter(|name| name.starts_with("quorate_") && !name.starts_with("quorate_test"))
    {
        assert!(documented.contains(name), "docs/operations.md does not tell of {name}");
    }
    yaml("deploy/monitoring/alerts.yaml");
    serde_json::from_str::<serde_json::Value>(&read("deploy/monitoring/dashboard.json")).unwrap();
}

#[test]
fn files_that_documents_name_exist() {
    let mut documents: Vec<PathBuf> = Vec::new();
    files(&path("docs"), ".md", &mut documents);
    let here = ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    documents.extend(here.map(path));
    assert!(documents.len() >= 9, "{documents:?}");
    let (mut links, mut names) = (0, 0);
    for document in documents {
        let (text, dir) = (fs::read_to_string(&document).unwrap(), document.parent().unwrap());
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.is_empty() && !target.contains("://") {
                assert!(dir.join(target).exists(), "{}: link to {target}", document.display());
                links += 1;
            }
        }
        for name in text.split('`').skip(1).step_by(2).filter(|name| is_source(name)) {
            assert!(path(name).exists(), "{}: {name}", document.display());
            names += 1;
        }
    }
    assert!(links > 10 && names > 50, "the test sees little: {links} links, {names} names");
}

#[test]
fn tests_that_the_threat_model_names_exist() {
    let mut sources = Vec::new();
    files(&path(""), ".rs", &mut sources);
    let sources: Vec<String> = sources.iter().map(|source| fs::read_to_string(source).unwrap()).collect();
    let words: BTreeSet<&str> = sources
        .iter()
        .flat_map(|text| text.split("fn ").skip(1))
        .filter_map(|rest| rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next())
        .collect();
    let model = read("docs/threat-model.md");
    let is_test = |name: &&str| name.matches('_').count() >= 2 && !name.contains(['/', ' ', ':']);
    let named: Vec<&str> = model.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(named.len() > 50, "the test sees little: {named:?}");
    for name in named {
        assert!(words.contains(name), "docs/threat-model.md names the test {name}, which is not there");
    }
}

/// A path from the repository's root, as documents write it.
fn is_source(name: &str) -> bool {
    let roots =
        ["crates/", "node/", "coordinator/", "keygen-cli/", "proto/", "tests/", "deploy/", "docs/", ".ci/"];
    roots.iter().any(|root| name.starts_with(root)) && !name.contains([' ', '{', '<', '*', '\n', ':'])
}

#[test]
fn the_threat_model_lists_every_failpoint_and_the_file_it_is_in() {
    let text = read("docs/threat-model.md");
    let section = text.split("\n## Crashes\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<_> = rows
        .map(|row| {
            let mut words = row.split('`');
            (words.next().unwrap(), words.nth(1).unwrap())
        })
        .collect();
    let names: Vec<_> = listed.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, Point::ALL.map(Point::name));
    for ((name, file), point) in listed.into_iter().zip(Point::ALL) {
        assert!(read(file).contains(&format!("pass(Point::{point:?})")), "{name} is not in {file}");
    }
}
