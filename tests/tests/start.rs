//! What a process is given at its start: taken where it is whole, refused by its field where it is not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::sync::Arc;

use quorate_manifest::{Namespace, sign};
use quorate_node::{App, StartError};
use quorate_tests::{Cluster, World};
use quorate_types::{Role, SystemClock};
use rand_core::OsRng;
use ssh_key::{Algorithm, PrivateKey};

async fn refusal(world: &World, role: Role) -> String {
    let config = world.node(role, "127.0.0.1:9".parse().unwrap());
    match App::start(config, Arc::new(SystemClock)).await {
        Err(error @ StartError::Store(_)) => panic!("{error}"),
        Err(error) => error.to_string(),
        Ok(_) => panic!("the {role} node started"),
    }
}

/// Two operators signed into one file, as `quorate manifest sign` does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_signature_file_holds_all_signatures() {
    let world = World::new();
    let bob = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
    let manifest = fs::read_to_string(world.path("manifest.yaml")).unwrap();
    let second =
        format!("operators:\n  - {{name: bob, key: \"{}\"}}\n", bob.public_key().to_openssh().unwrap());
    let manifest = manifest.replace("operators:\n", &second);
    let olga = world.sign(manifest.as_bytes(), Namespace::Manifest);
    let bob = sign(manifest.as_bytes(), Namespace::Manifest, &bob).unwrap();
    fs::write(world.path("manifest.yaml"), &manifest).unwrap();
    fs::write(world.path("manifest.sig"), format!("{olga}{bob}and more\n")).unwrap();
    let refused = refusal(&world, Role::Service).await;
    assert!(refused.contains("manifest.sig: signatures[2]"), "{refused}");

    fs::write(world.path("manifest.sig"), format!("{olga}{bob}")).unwrap();
    Cluster::start(world).await.stop().await;
}

/// A cold node that could not write what it is there for does not wait for the first wallet to say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_node_without_its_export_directory_does_not_start() {
    let world = World::new();
    fs::remove_dir(world.path("cold/export")).unwrap();
    let refused = refusal(&world, Role::Cold).await;
    assert!(refused.starts_with("config: cold.export_dir: "), "{refused}");
    fs::write(world.path("cold/export"), "a file").unwrap();
    let refused = refusal(&world, Role::Cold).await;
    assert!(refused.starts_with("config: cold.export_dir: "), "{refused}");
}
