//! The full story: a cluster is made and its agents pay; the service's machine is destroyed; on a machine with files only,
//! without any network, every address is swept, over a disk that fills up in the middle; and what was signed is executed.
//!
//! The ceremony runs in a namespace of its own, in which there is no network interface, and in which this test may read
//! the memory of the ceremony's processes. It needs Linux, and `unshare` from util-linux.

use std::fs;
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use alloy_primitives::{Address, U256, address};
use quorate_intent::signed_transaction;
use quorate_proto::v1::sign_response::Outcome;
use quorate_tests::{Cluster, FRIEND, WALLET, World, golden, transfer, usdc};
use quorate_types::Signature;
use serde_json::Value;

use crate::bench::{Bench, Ran, back_up};
use crate::evm::Chain;
use crate::memory::{Search, Secrets};

const OTHER: &str = "wallet-2";
const TO: Address = address!("0x8ba1f109551bD432803012645Ac136ddd64DBA72");
const SUBMITTER: Address = address!("0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
/// Names the directory for the part that runs without a network.
const DIR: &str = "QUORATE_TEST_OFFLINE";
const SHARES: [&str; 2] = ["agent", "cold"];

/// One wallet with coin, whose ERC-20 balance is moved by a transaction; one without, whose USDC is moved by an
/// authorization.
const PLAN: &str = "wallets:\n  - wallet: wallet-1\n    chains:\n      - {chain: base-sepolia, nonce: 1, native_balance: \
    '0.01', max_fee_per_gas: 2gwei, max_priority_fee_per_gas: 1gwei, tokens: {USDC: '99'}}\n  - wallet: wallet-2\n    \
    chains:\n      - {chain: base-sepolia, nonce: 0, native_balance: '0', max_fee_per_gas: 2gwei, \
    max_priority_fee_per_gas: 1gwei, authorizations: {valid_before: 1900000000, tokens: {USDC: '3.5'}}}\n";

/// A cluster of two wallets, of which one paid. Its files, the payment, and both addresses.
fn lived() -> (World, String, [Address; 2]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    golden();
    let (world, raw, other) = runtime.block_on(async {
        let cluster = Cluster::start(golden().world()).await;
        let other = cluster.create_wallet(OTHER).await.unwrap().address.parse().unwrap();
        let payload = transfer(FRIEND, usdc(1), 0);
        let answer = cluster.sign(WALLET, &payload, "a payment").await.unwrap();
        let Some(Outcome::Signed(signed)) = answer.outcome else { panic!("{answer:?}") };
        let digest = quorate_intent::decode(&payload).unwrap().digest.digest();
        let signature = Signature::from_bytes(&signed.signature, digest, golden().public_key()).unwrap();
        let raw = hex::encode(signed_transaction(&payload, &signature).unwrap());
        (cluster.stop().await, raw, other)
    });
    back_up(&world, 2);
    (world, raw, [golden().public_key().address(), other])
}

#[test]
fn the_service_is_destroyed_and_every_address_is_swept_offline_and_on_chain() {
    let (world, payment, [first, second]) = lived();
    fs::remove_dir_all(world.path("service/data")).unwrap();
    let bench = Bench::of(&world);
    drop(world);
    fs::remove_dir_all(bench.path("service")).unwrap();
    fs::write(bench.path("plan.yaml"), PLAN).unwrap();

    let namespaces = ["--user", "--map-root-user", "--net", "--mount"];
    let permitted = Command::new("unshare").args(namespaces).arg("true").status();
    if !permitted.is_ok_and(|status| status.success()) {
        let why = "NOT RUN: this machine permits no namespaces, so there is no place without a network
";
        io::stderr().write_all(why.as_bytes()).unwrap();
        return;
    }
    let apart = Command::new("unshare")
        .args(namespaces)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "offline::without_a_network", "--ignored", "--nocapture"])
        .env(DIR, bench.dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&apart.stdout).into_owned() + &String::from_utf8_lossy(&apart.stderr);
    assert!(apart.status.success() && said.contains("1 passed"), "{said}");

    // Broadcast elsewhere.
    let mut chain = Chain::new();
    let coin = U256::from(10_u64.pow(16));
    chain.fund(first, (coin + U256::from(10_u64.pow(15)), usdc(100)), 0);
    chain.fund(second, (U256::ZERO, U256::from(3_500_000)), 0);
    chain.fund(SUBMITTER, (coin, U256::ZERO), 0);
    assert_eq!(chain.broadcast(&payment), Ok(first), "what the cluster signed");
    let raw = fs::read_to_string(bench.path("swept/raw-transactions.txt")).unwrap();
    for line in raw.lines() {
        assert_eq!(chain.broadcast(line), Ok(first));
        assert!(chain.broadcast(line).unwrap_err().contains("Nonce"), "twice");
    }
    let calls = fs::read_to_string(bench.path("swept/authorizations.jsonl")).unwrap();
    for line in calls.lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let (token, data) = (call["to"].as_str().unwrap().parse().unwrap(), call["data"].as_str().unwrap());
        let mut altered = data.to_owned();
        altered.replace_range(10 + 64 + 24..10 + 64 + 28, "0000");
        assert!(chain.submit(SUBMITTER, token, &altered).unwrap_err().contains("Revert"), "to somebody else");
        chain.submit(SUBMITTER, token, data).unwrap();
        assert!(chain.submit(SUBMITTER, token, data).unwrap_err().contains("Revert"), "twice");
    }
    assert_eq!((raw.lines().count(), calls.lines().count()), (2, 1));
    assert_eq!(chain.balances(FRIEND).1, usdc(1));
    assert_eq!(chain.balances(TO).1, usdc(99) + U256::from(3_500_000), "every dollar arrived");
    assert_eq!((chain.balances(first).1, chain.balances(second)), (U256::ZERO, (U256::ZERO, U256::ZERO)));
    // Of the coin all but what was kept for fees; what the chain did not take of those stays behind.
    let fees = U256::from(2_000_000_000_u64 * (100_000 + 21_000));
    assert_eq!(chain.balances(TO).0, coin - fees);
}

fn run(program: &str, args: &[&str]) {
    let ran = Command::new(program).args(args).output().unwrap();
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// The one file of a wallet in a package.
fn share(bench: &Bench, package: &str, wallet: &str) -> PathBuf {
    bench.file_of(package, |name| name.contains(&format!(".{wallet}.")) && name.ends_with(".share.age"))
}

/// Runs a ceremony and searches its processes' memory all the while.
fn searched(bench: &Bench, args: &[&str], (search, secrets): (&mut Search, &[Secrets])) -> Ran {
    let mut command = bench.command(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        search.scan(child.id(), secrets);
    }
    Ran::of(&child.wait_with_output().unwrap())
}

#[test]
#[ignore = "run by the test above, in a namespace without a network"]
fn without_a_network() {
    let bench = Bench::at(Path::new(&std::env::var_os(DIR).expect("run by the test above")));
    let interfaces = fs::read_to_string("/proc/self/net/dev").unwrap();
    let names: Vec<&str> =
        interfaces.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    assert_eq!(names, ["lo"], "a network");
    assert!(
        TcpStream::connect(("127.0.0.1", 53)).unwrap_err().to_string().contains("unreachable"),
        "not even itself"
    );

    // A disk for the journal that two wallets' lines do not fit on.
    let out = bench.path("out");
    fs::create_dir(&out).unwrap();
    let out = out.to_str().unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=4k", "tmpfs", out]);
    let secrets = [WALLET, OTHER].map(|wallet| {
        let files = SHARES.map(|package| share(&bench, package, wallet));
        Secrets::of(&bench, files.each_ref().map(PathBuf::as_path))
    });
    let (to, again) = (TO.to_string(), TO.to_string());
    let mut args = vec!["--json", "recover", "fleet", "--manifest", "manifest.yaml"];
    args.extend(["--manifest-signature", "manifest.sig", "--root", "root.pub", "--identity", "recovery.key"]);
    args.extend(["--package", SHARES[0], "--package", SHARES[1], "--plan", "plan.yaml", "--out", "out"]);
    args.extend(["--to", &to, "--confirm-to", &again]);
    let mut search = Search::default();
    let full = searched(&bench, &args, (&mut search, &secrets));
    assert_eq!(full.code, 70, "{}{}", full.stdout, full.stderr);
    let error = serde_json::from_str::<Value>(&full.stdout).unwrap()["error"].to_string();
    assert!(error.contains("journal.jsonl") && error.contains("No space left"), "{error}");
    let before = fs::read_to_string(bench.path("out/journal.jsonl")).unwrap();

    // More room: the same command goes on.
    run("mount", &["-o", "remount,size=4m", out]);
    assert_eq!(searched(&bench, &args, (&mut search, &secrets)).json()["failed"], serde_json::json!([]));
    search.assert_seen(&secrets);
    let after = fs::read_to_string(bench.path("out/journal.jsonl")).unwrap();
    let whole = &before[..before.rfind('\n').map_or(0, |at| at + 1)];
    assert!(after.starts_with(whole) && after.lines().count() > whole.lines().count());
    let lines = after.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut slots = std::collections::BTreeMap::new();
    for line in lines {
        let slot = format!("{} {}", line["from"], line["slot"]);
        let payload = line["unsigned"].to_string();
        assert_eq!(
            slots.entry(slot).or_insert_with(|| payload.clone()),
            &payload,
            "two payloads for one nonce"
        );
    }
    assert_eq!(slots.len(), 3);
    fs::create_dir(bench.path("swept")).unwrap();
    for name in ["raw-transactions.txt", "authorizations.jsonl"] {
        fs::copy(bench.path("out").join(name), bench.path("swept").join(name)).unwrap();
    }
}
