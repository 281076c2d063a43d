//! What does not: every refusal names the file or field, says what is wrong and what to do, and signs nothing.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use age::secrecy::ExposeSecret;
use quorate_recovery::{Frame, Hello, read_frame, write_frame};
use quorate_types::{B256, Payload};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};

use crate::bench::Bench;

const PAIR: [&str; 2] = ["agent", "cold"];

fn refused(bench: &Bench, pair: [&str; 2], more: &[&str], words: &[&str]) {
    let ran = bench.recover("verify", pair, more);
    assert_ne!(ran.code, 0, "accepted; expected {words:?}");
    let error: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let error = error["error"].to_string();
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {error}");
    }
    assert!(!error.contains("AGE-SECRET"), "{error}");
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_files_are_named() {
    for (ending, words) in [(".share.age", "share.age"), (".aux.age", "aux.age")] {
        let bench = Bench::new();
        let file = bench.file("cold", ending);
        let whole = fs::read(&file).unwrap();
        change(&file, |bytes| bytes.truncate(bytes.len() / 2));
        refused(&bench, PAIR, &[], &[words, "cut short", "another copy"]);
        fs::write(&file, &whole).unwrap();
        change(&file, |bytes| bytes[300] ^= 1);
        refused(&bench, PAIR, &[], &[words, "altered", "sha256sum"]);
        fs::remove_file(&file).unwrap();
        refused(&bench, PAIR, &[], &[words]);
    }
}

#[test]
fn an_index_that_was_touched_is_refused() {
    let bench = Bench::new();
    let index = bench.path("cold/index.jsonl");
    let text = fs::read_to_string(&index).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let cases = [
        (format!("{}\n", lines[1]), "does not follow"),
        (text.trim_end().to_owned(), "cut short"),
        (text.replace("wallet-1", "wallet-2"), "not signed by cold-1"),
        (format!("{}\n", lines[0]), "lists no share of wallet"),
        (format!("{text}{}\n", lines[1]), "does not follow"),
    ];
    for (altered, words) in cases {
        fs::write(&index, altered).unwrap();
        refused(&bench, PAIR, &[], &["cold/index.jsonl", words]);
    }
}

#[test]
fn other_wallets_packages_identities_and_manifests_are_refused() {
    let bench = Bench::new();
    refused(&bench, ["agent", "agent"], &[], &["two different nodes"]);
    refused(&bench, PAIR, &["--package", "service"], &["exactly two"]);
    let stranger = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
    refused(&bench, PAIR, &["--address", stranger], &["no share of the same key", "--package"]);

    let other = age::x25519::Identity::generate().to_string();
    let right = fs::read(bench.path("recovery.key")).unwrap();
    fs::write(bench.path("recovery.key"), other.expose_secret()).unwrap();
    refused(&bench, PAIR, &[], &["share.age", "other recipients", "recovery"]);
    fs::write(bench.path("recovery.key"), "not an identity").unwrap();
    refused(&bench, PAIR, &[], &["recovery.key", "no age identity", "age-keygen"]);
    fs::write(bench.path("recovery.key"), right).unwrap();

    change(&bench.path("manifest.yaml"), |bytes| bytes.push(b'\n'));
    refused(&bench, PAIR, &[], &["manifest.yaml", "--root"]);
}

#[test]
fn another_cluster_with_the_same_names_is_refused() {
    let bench = Bench::new();
    // Its own manifest and operator: every name is the same, no key is.
    let other = quorate_tests::World::new();
    for name in ["manifest.yaml", "manifest.sig"] {
        fs::copy(other.path(name), bench.path(name)).unwrap();
    }
    let root = other.operator().public_key().to_openssh().unwrap();
    fs::write(bench.path("root.pub"), root).unwrap();
    refused(&bench, PAIR, &[], &["agent/index.jsonl", "not signed by agent-1"]);
}

#[test]
fn nothing_is_signed_without_the_address_typed_again() {
    let bench = Bench::new();
    let wrong = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
    let ran = bench.recover("sign", PAIR, &["--payload-message", "x", "--confirm", wrong]);
    assert!(ran.code == 4 && ran.stdout.contains("nothing was signed"), "{}", ran.stdout);
    fs::write(bench.path("plan.yaml"), "{}").unwrap();
    let args = ["--plan", "plan.yaml", "--to", wrong, "--confirm-to"];
    let ran = bench.recover(
        "sweep",
        PAIR,
        &[&args[..], &[&wrong.replace("209693", "209694").to_lowercase(), "--out", "out"]].concat(),
    );
    assert!(ran.code == 2 && ran.stdout.contains("nothing was signed"), "{}", ran.stdout);
    assert!(!bench.path("out").exists());
}

/// A ceremony signs what people can read. Nor does a party take one from whoever sits between the two.
#[test]
fn no_raw_digest_is_signed() {
    let bench = Bench::new();
    let digest = B256::repeat_byte(7);
    let address = quorate_tests::golden().public_key().address().to_string();
    let asked = ["--payload-raw-digest", &digest.to_string(), "--confirm", &address];
    let ran = bench.recover("sign", PAIR, &asked);
    assert!(ran.code == 4 && ran.stdout.contains("nothing that people cannot read"), "{}", ran.stdout);

    let [share, aux] = [".share.age", ".aux.age"].map(|ending| bench.file("agent", ending));
    let mut party =
        bench.command(&["recover", "party", "--manifest", "manifest.yaml", "--identity", "recovery.key"]);
    party.arg("--share").arg(share).arg("--aux").arg(aux).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut party = party.spawn().unwrap();
    let (mut to, mut from) = (party.stdin.take().unwrap(), party.stdout.take().unwrap());
    let Some(Frame::Hello(hello)) = read_frame(&mut from).unwrap() else { panic!("no hello") };
    let hello: Hello = serde_json::from_str(&hello).unwrap();
    let order = Frame::Sign {
        participants: vec![0, 2],
        nonces: vec![hello.nonce, B256::ZERO],
        sequence: 1,
        payload: serde_json::to_string(&Payload::RawDigest(digest)).unwrap(),
    };
    write_frame(&mut to, &order).unwrap();
    let Some(Frame::Failed(reason)) = read_frame(&mut from).unwrap() else { panic!("it began") };
    assert!(reason.contains("a raw digest"), "{reason}");
    assert!(!party.wait().unwrap().success());
}

#[test]
fn a_transcript_that_was_touched_is_found() {
    let bench = Bench::new();
    for _ in 0..2 {
        bench.recover("verify", PAIR, &[]).json();
    }
    let path = bench.path("ceremony.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    for altered in [text.replace("agent-1", "agent-2"), text.lines().nth(1).unwrap().to_owned() + "\n"] {
        fs::write(&path, altered).unwrap();
        let ran = bench.run(&["--json", "recover", "transcript", "--file", "ceremony.jsonl"]);
        assert!(ran.code == 4 && ran.stdout.contains("line 1"), "{}", ran.stdout);
        // And none is appended to.
        refused(&bench, PAIR, &[], &["ceremony.jsonl", "line 1", "name a new one"]);
    }
}

#[test]
fn pieces_sealed_to_custodians_are_in_clear_nowhere() {
    let bench = Bench::new();
    let keys: Vec<_> = (0..3).map(|_| age::x25519::Identity::generate()).collect();
    let recipients: Vec<_> = keys.iter().map(|key| key.to_public().to_string()).collect();
    let mut args = vec!["recovery", "init", "--custodians", "3", "--threshold", "2", "--out", "sealed"];
    args.extend(["--custodian-key", &recipients[0], "--custodian-key", &recipients[1]]);
    let few = bench.run(&args);
    assert!(few.code == 2 && few.stderr.contains("--custodian-key"), "{}", few.stderr);
    assert!(!bench.path("sealed").exists());
    args.extend(["--custodian-key", &recipients[2]]);
    assert_eq!(bench.run(&args).code, 0);
    let mut combine =
        vec!["recovery", "combine", "--recipient-file", "sealed/recipient.txt", "--out", "id.txt"];
    for (at, piece) in [(1, "one.txt"), (3, "three.txt")] {
        let sealed = fs::read(bench.path(&format!("sealed/piece-{at}.txt.age"))).unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"QUORATE"));
        let opened = age::Decryptor::new(age::armor::ArmoredReader::new(&*sealed)).unwrap();
        let mut text = Vec::new();
        let reader = opened.decrypt(std::iter::once(&keys[at - 1] as &dyn age::Identity));
        std::io::Read::read_to_end(&mut reader.unwrap(), &mut text).unwrap();
        fs::write(bench.path(piece), text).unwrap();
        combine.extend(["--piece", piece]);
    }
    assert_eq!(bench.run(&combine).code, 0);
    assert_eq!(fs::read_dir(bench.path("sealed")).unwrap().count(), 4, "three pieces and the recipient");
}

/// A custodian's key may be the ssh key they have, and a piece may be read by a camera.
#[test]
fn a_piece_sealed_to_an_ssh_key_is_opened_by_it_and_fits_a_code() {
    let bench = Bench::new();
    let keys = [1, 2].map(|seed| PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32])));
    let public = keys.each_ref().map(|key| key.public_key().to_openssh().unwrap());
    let mut args = vec!["recovery", "init", "--custodians", "2", "--threshold", "2", "--out", "sealed"];
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 someone";
    let refused = bench.run(&[&args[..], &["--custodian-key", &public[0], "--custodian-key", rsa]].concat());
    assert!(refused.code == 2 && refused.stderr.contains("--custodian-key"), "{}", refused.stderr);
    assert!(!bench.path("sealed").exists());
    args.extend(["--custodian-key", &public[0], "--custodian-key", &public[1]]);
    assert_eq!(bench.run(&args).code, 0);
    let mut combine =
        vec!["recovery", "combine", "--recipient-file", "sealed/recipient.txt", "--out", "id.txt"];
    for (at, piece) in [(0, "one.txt"), (1, "two.txt")] {
        let sealed = fs::read(bench.path(&format!("sealed/piece-{}.txt.age", at + 1))).unwrap();
        let key = keys[at].to_openssh(LineEnding::LF).unwrap();
        let identity = age::ssh::Identity::from_buffer(key.as_bytes(), None).unwrap();
        let opened = age::Decryptor::new(age::armor::ArmoredReader::new(&*sealed)).unwrap();
        let mut text = Vec::new();
        let reader = opened.decrypt(std::iter::once(&identity as &dyn age::Identity));
        std::io::Read::read_to_end(&mut reader.unwrap(), &mut text).unwrap();
        fs::write(bench.path(piece), text).unwrap();
        combine.extend(["--piece", piece]);
    }
    assert_eq!(bench.run(&combine).code, 0);
    for piece in ["one.txt", "sealed/piece-1.txt.age"] {
        let shown = bench.run(&["recovery", "qr", piece]);
        assert!(shown.code == 0 && shown.stdout.contains('█'), "{}{}", shown.stdout, shown.stderr);
        let picture = format!("{}.png", piece.replace('/', "-"));
        assert_eq!(bench.run(&["recovery", "qr", piece, "--out", &picture]).code, 0);
        assert!(fs::read(bench.path(&picture)).unwrap().starts_with(b"\x89PNG"));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(bench.path(&picture)).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_custodians_mistake_names_the_file_and_what_to_do() {
    let bench = Bench::new();
    for set in ["one", "two"] {
        let args = ["recovery", "init", "--custodians", "3", "--threshold", "2", "--out", set];
        assert_eq!(bench.run(&args).code, 0);
        assert_eq!(bench.run(&args).code, 4, "never overwritten");
    }
    let good = fs::read_to_string(bench.path("one/piece-2.txt")).unwrap();
    fs::write(bench.path("one/typo.txt"), good.replacen("checksum: ", "checksum: 0", 1)).unwrap();
    fs::write(bench.path("one/cut.txt"), &good[..good.len() - 60]).unwrap();
    for (second, words) in [
        ("one/piece-1.txt", "again"),
        ("two/piece-2.txt", "another set"),
        ("one/typo.txt", "mistyped"),
        ("one/cut.txt", "cut short"),
    ] {
        let args = ["recovery", "combine", "--recipient-file", "one/recipient.txt", "--out", "id.txt"];
        let pieces = ["--piece", "one/piece-1.txt", "--piece", second];
        let ran = bench.run(&[&args[..], &pieces].concat());
        assert_eq!(ran.code, 4, "{second}");
        assert!(ran.stderr.contains(second) && ran.stderr.contains(words), "{}", ran.stderr);
        assert!(!bench.path("id.txt").exists());
    }
    let few = [
        "recovery",
        "combine",
        "--recipient-file",
        "one/recipient.txt",
        "--out",
        "id.txt",
        "--piece",
        "one/piece-3.txt",
    ];
    assert!(bench.run(&few).stderr.contains("1 different pieces, 2 are needed"));
}
