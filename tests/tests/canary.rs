//! Secrets are where they should be and nowhere else: not in a log, a relay dump, a database file or an error.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use quorate_tests::{FRIEND, Stage, World, assert_signed, transfer, usdc};
use quorate_types::Role;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Every secret of the world that can be got at from outside, in the forms it could leak in.
fn secrets(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![("kek".to_owned(), std::fs::read(world.path("kek")).unwrap())];
    for role in Role::ALL {
        let key = std::fs::read(world.path(&format!("{role}/data/identity.key"))).unwrap();
        found.push((format!("identity of {role}"), key));
    }
    for file in world.files().into_iter().filter(|file| file.extension().is_some_and(|end| end == "age")) {
        let sealed = std::fs::File::open(&file).unwrap();
        let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(sealed)).unwrap();
        let identity = world.recovery();
        let mut plain = Vec::new();
        let mut reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).unwrap();
        reader.read_to_end(&mut plain).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let package: serde_json::Value = serde_json::from_slice(&plain).unwrap();
        let record = hex::decode(package["body"]["secret"].as_str().unwrap()).unwrap();
        // The last 32 bytes of a share's record are the share; of auxiliary info the head holds the primes.
        let secret = if name.contains("share") {
            record[record.len() - 32..].to_vec()
        } else {
            record[8..72].to_vec()
        };
        found.push((name, secret));
    }
    let hex: Vec<_> = found
        .iter()
        .map(|(name, secret)| (format!("{name} in hex"), hex::encode(secret).into_bytes()))
        .collect();
    found.extend(hex);
    found
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_found_outside_its_place() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_writer(log.clone()).with_env_filter("trace,h2=off,hyper=off");
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();

    let mut stage = Stage::signers().await;
    let payload = transfer(FRIEND, usdc(1), 1);
    let ending = stage.sign(&payload).await;
    assert_signed(&ending, &payload);
    let denied = stage.sign(&transfer(FRIEND, usdc(1_000), 2)).await;
    let errors = format!("{ending:?} {denied:?}").into_bytes();
    stage.stop(Role::Agent).await;
    stage.stop(Role::Service).await;

    let secrets = secrets(&stage.world);
    assert!(secrets.len() >= 2 * (1 + 3 + 2), "only {} secrets were found to look for", secrets.len());
    let log = log.0.lock().unwrap().clone();
    assert!(contains(&log, b"session done"), "the log is not being captured");
    let allowed = |file: &str| file.ends_with("/kek") || file.ends_with("identity.key");
    for (name, secret) in &secrets {
        assert!(!contains(&log, secret), "{name} is in the log");
        assert!(!contains(&ending.log, secret), "{name} passed through the relay");
        assert!(!contains(&errors, secret), "{name} is in an answer");
    }
    for file in stage.world.files() {
        let bytes = std::fs::read(&file).unwrap();
        let path = file.to_string_lossy();
        for (name, secret) in &secrets {
            assert!(allowed(&path) || !contains(&bytes, secret), "{name} is in {path}");
        }
    }
}
