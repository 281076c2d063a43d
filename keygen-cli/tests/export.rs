//! The last resort: the whole key, in a file that another library opens, and nowhere else.
//!
//! Only with the feature `spof`: `cargo test -p quorate-cli --features spof --test export`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "recovery/bench.rs"]
#[allow(dead_code, reason = "one bench for both tests")]
mod bench;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use alloy_primitives::keccak256;
use quorate_types::Address;
use secp256k1::{PublicKey, Secp256k1, SecretKey};

use bench::{Bench, Ran, address};

const PASSPHRASE: &str = "correct horse battery staple";

fn export(bench: &Bench, pair: [&str; 2], confirm: &str, more: &[&str]) -> Ran {
    let how = ["--confirm", confirm, "--passphrase-file", "passphrase", "--out", "key.json"];
    bench.recover("export", pair, &[&how[..], more].concat())
}

fn sentence() -> String {
    format!("reconstruct the key of {}", address())
}

#[test]
fn the_whole_key_is_in_an_encrypted_file_that_another_library_opens() {
    for pair in [["agent", "cold"], ["cold", "service"], ["service", "agent"]] {
        let bench = Bench::new();
        fs::write(bench.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        let ran = export(&bench, pair, &sentence(), &["--dangerous-reconstruct"]);
        let (said, noted) = (ran.stdout.clone(), ran.stderr.clone());
        ran.json();
        let file = bench.path("key.json");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        let secret = eth_keystore::decrypt_key(&file, PASSPHRASE).unwrap();
        let key = SecretKey::from_byte_array(secret.as_slice().try_into().unwrap()).unwrap();
        let point = PublicKey::from_secret_key(&Secp256k1::new(), &key).serialize_uncompressed();
        assert_eq!(Address::from_word(keccak256(&point[1..])), address(), "by libsecp256k1");
        assert!(eth_keystore::decrypt_key(&file, "correct horse").is_err());

        // Not on the screen, nor in any file, in any spelling.
        let digits = hex::encode(&secret);
        assert!(!said.contains(&digits) && !noted.contains(&digits));
        for entry in fs::read_dir(bench.dir.path()).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
                assert!(!holds(&secret) && !holds(digits.as_bytes()), "{:?}", entry.path());
            }
        }
        let steps = bench.run(&["--json", "recover", "transcript", "--file", "ceremony.jsonl"]).json();
        let steps = steps["steps"].as_array().unwrap();
        assert_eq!(
            (&steps[0]["step"], &steps[1]["step"]),
            (&"reconstructing".into(), &"reconstructed".into())
        );
    }
}

#[test]
fn nothing_is_exported_by_mistake() {
    let bench = Bench::new();
    fs::write(bench.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    let danger = ["--dangerous-reconstruct"];
    let pair = ["agent", "cold"];
    let refused = |ran: Ran, code: i32, words: &str| {
        assert_eq!(ran.code, code, "{}", ran.stdout);
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
        assert!(!bench.path("key.json").exists() && !bench.path("ceremony.jsonl").exists(), "{words}");
    };
    refused(export(&bench, pair, &sentence(), &[]), 2, "--dangerous-reconstruct");
    refused(export(&bench, pair, &address().to_string(), &danger), 4, "--confirm");
    refused(export(&bench, ["agent", "agent"], &sentence(), &danger), 4, "two different nodes");
    fs::write(bench.path("passphrase"), "short\n").unwrap();
    refused(export(&bench, pair, &sentence(), &danger), 4, "--passphrase-file");
    fs::write(bench.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    fs::write(bench.path("key.json"), "something else").unwrap();
    let ran = export(&bench, pair, &sentence(), &danger);
    assert_eq!(ran.code, 4, "{}", ran.stdout);
    assert_eq!(fs::read(bench.path("key.json")).unwrap(), b"something else");
}
