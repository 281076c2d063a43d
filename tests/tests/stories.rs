//! Stories from the field: what happened to others, against the whole cluster over real TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use quorate_intent::{AssetId, decode, selector};
use quorate_ledger::{Before, IdempotencyKey, charge, finish, reserve_releasing, spent};
use quorate_manifest::{Manifest, SignedDocument};
use quorate_policy::{Approval, Decision, Facts, Full, SignedPolicy, evaluate};
use quorate_proto::v1;
use quorate_proto::v1::evaluation::Verdict;
use quorate_proto::v1::sign_response::Outcome;
use quorate_store::{Store, Txn, update};
use quorate_tests::{
    Cluster, FRIEND, STRANGER, WALLET, World, authorization, call, erc20_transfer, golden, policy_yaml,
    transfer, usdc, with_limits,
};
use quorate_types::{Address, Payload, Role, U256, WalletId};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tonic::Code;

const SECRET: &str = "what only the receiver knows";
const A_HUNDRED_AN_HOUR: &str = "  velocity:\n    - {max: 100, window: {rolling_s: 3600}}\n";

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A receiver's server on this machine: where it is, and what it got.
struct Server {
    port: u16,
    got: mpsc::UnboundedReceiver<String>,
}

impl Server {
    async fn next(&mut self) -> String {
        tokio::time::timeout(Duration::from_secs(30), self.got.recv()).await.unwrap().unwrap()
    }
}

/// Takes each connection with `serve`, and keeps what that got.
async fn server<F: Future<Output = String> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, got) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if tell.send(serve(stream).await).is_err() {
                return;
            }
        }
    });
    Server { port, got }
}

/// Takes a POST whose signature holds for now, and gives back its body.
async fn take_post(stream: TcpStream) -> String {
    let mut stream = BufReader::new(stream);
    let (mut length, mut signature) = (0, String::new());
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.trim().parse().unwrap();
        }
        if let Some(header) = line.strip_prefix("quorate-signature: ") {
            header.trim().clone_into(&mut signature);
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let body = String::from_utf8(body).unwrap();
    let (time, signed) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{time}.{body}").as_bytes());
    mac.verify_slice(&hex::decode(signed).unwrap()).unwrap();
    assert!((now_ms() / 1000).abs_diff(time.parse().unwrap()) < 300, "an old one, sent again by somebody");
    body
}

/// Takes a mail as an SMTP server does.
async fn take_mail(stream: TcpStream) -> String {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test\r\n").await.unwrap();
    let (mut mail, mut data) = (String::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return mail;
        }
        if data && line != ".\r\n" {
            mail.push_str(&line);
            continue;
        }
        data = line == "DATA\r\n";
        let answer = if data { "354 go on" } else { "250 ok" };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}

async fn world() -> World {
    tokio::task::spawn_blocking(|| golden().world()).await.unwrap()
}

fn five_cents(nonce: u64) -> Payload {
    transfer(FRIEND, usdc(1) / U256::from(20), nonce)
}

/// Writes into both ledgers what signatures of five cents leave there, a moment ago.
fn signed_before(world: &World, policy: &SignedDocument, nonces: std::ops::Range<u64>) {
    let manifest = Manifest::parse(&world.manifest().body).unwrap();
    let policy = SignedPolicy::verify(policy, &manifest).unwrap();
    let wallet: WalletId = WALLET.parse().unwrap();
    let approve = |history: Before<'_>, payload: &Payload| -> Approval<Full> {
        let decoded = decode(payload).unwrap();
        let facts = Facts::of(&wallet, golden().public_key().address(), &decoded.intent, now_ms());
        match evaluate(Some(&policy), &facts, &history).unwrap() {
            Decision::Allow(approval) => approval,
            Decision::Deny(denial) => panic!("{denial}"),
        }
    };
    let once = |payload: &Payload| decode(payload).unwrap().intent.once();
    let each = |store: &dyn Store, write: &dyn Fn(&mut dyn Txn, u64, &Payload)| {
        let write = |txn: &mut dyn Txn| {
            nonces.clone().for_each(|nonce| write(txn, nonce, &five_cents(nonce)));
            Ok::<_, quorate_store::StoreError>(())
        };
        let _synced = update(store, write).unwrap();
    };
    each(world.coordinator_store().as_ref(), &|txn, nonce, payload| {
        let key: IdempotencyKey = format!("retry-{nonce}").parse().unwrap();
        let approval = approve(Before::request(&*txn, &key, once(payload)), payload);
        let _ = reserve_releasing(txn, approval, &key, payload.hash()).unwrap();
        let _ = finish(txn, &wallet, &key, b"", now_ms()).unwrap();
    });
    each(world.store(Role::Service).as_ref(), &|txn, _, payload| {
        let approval = approve(Before::payload(&*txn, payload.hash(), once(payload)), payload);
        let _ = charge(txn, approval, payload.hash()).unwrap();
    });
}

fn denial(answer: v1::SignResponse) -> v1::Denial {
    match answer.outcome {
        Some(Outcome::Denied(denial)) => denial,
        other => panic!("not denied: {other:?}"),
    }
}

fn request(payload: &Payload, key: &str) -> v1::SignRequest {
    v1::SignRequest {
        wallet: WALLET.to_owned(),
        payload: Some(quorate_proto::payload_to_pb(payload)),
        idempotency_key: key.to_owned(),
        ..Default::default()
    }
}

fn usdc_spent(world: &World) -> U256 {
    let Ok(decoded) = decode(&five_cents(0)) else { panic!("not a payment") };
    let asset: AssetId = decoded.intent.charges().unwrap()[0].asset;
    spent(world.store(Role::Service).as_ref(), &WALLET.parse().unwrap(), &asset, 0).unwrap()
}

/// An agent retries a payment of 0.05 USDC all night, each time with a new nonce and a new key. A hundred an hour are signed:
/// 5 USDC are gone, and not 5,000; and people hear of it at once, and once. The first 97 are written as they leave the
/// ledgers, the last three are signed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_loop_costs_five_dollars_and_people_are_told() {
    let world = world().await;
    let (mut hook, mut mail) = (server(take_post).await, server(take_mail).await);
    let alerts = format!(
        "alerts:\n  throttle_s: 3\n  webhooks: [{{name: hook, url: \"http://127.0.0.1:{}/\", secret_file: hook.secret}}]\n  \
         mail: [{{name: mail, host: 127.0.0.1, port: {}, tls: none, from: q@example.com, to: [ops@example.com]}}]\n",
        hook.port, mail.port
    );
    world.tell(&alerts, &[("hook.secret", SECRET)]);
    let cluster = Cluster::start(world).await;
    let policy = cluster.world.policy(&with_limits(2, A_HUNDRED_AN_HOUR));
    cluster.apply_policy(&policy).await.unwrap();
    let world = cluster.stop().await;
    signed_before(&world, &policy, 0..97);

    let cluster = Cluster::start(world).await;
    let mut client = cluster.signing().await;
    let (mut signed, mut denied) = (97, 0);
    for nonce in 97..300 {
        let asked = request(&five_cents(nonce), &format!("retry-{nonce}"));
        match client.sign(asked).await.unwrap().into_inner().outcome {
            Some(Outcome::Signed(_)) => signed += 1,
            Some(Outcome::Denied(denial)) => {
                denied += 1;
                let failure = &denial.failures[0];
                assert_eq!((failure.rule.as_str(), failure.used.as_str()), ("velocity", "100 signatures"));
                assert!(failure.resets_at_ms.unwrap() > now_ms() + 3_000_000);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((signed, denied), (100, 200));
    let foretold = client.evaluate(request(&five_cents(999), "foretold")).await.unwrap().into_inner();
    assert!(
        matches!(foretold.verdict, Some(Verdict::Denied(denial)) if denial.failures[0].rule == "velocity")
    );

    let told: Value = serde_json::from_str(&hook.next().await).unwrap();
    assert_eq!((&told["kind"], &told["wallet"]), (&json!("velocity"), &json!(WALLET)));
    assert_eq!(told["rules"][0]["used"], "100 signatures");
    assert_eq!(told["suppressed"], 0, "the first is told at once");
    let rest: Value = serde_json::from_str(&hook.next().await).unwrap();
    assert!(rest["suppressed"].as_u64().unwrap() > 0, "and the others together: {rest}");
    let letter = mail.next().await;
    assert!(letter.contains(&format!("Subject: [quorate dev] velocity {WALLET}\r\n")), "{letter}");
    assert!(letter.contains("used       100 signatures"), "{letter}");
    for secret in [SECRET, "retry-97", &hex::encode(five_cents(100).as_bytes())] {
        assert!(
            ![told.to_string(), rest.to_string(), letter.clone()].iter().any(|text| text.contains(secret))
        );
    }
    assert_eq!(usdc_spent(&cluster.stop().await), usdc(5));
}

const VAULT: &str = "0x4444444444444444444444444444444444444444";
const ROUTER: &str = "0x5555555555555555555555555555555555555555";
const EURC: &str = "0x808456652fdb597867f38412077A9182bf77359F";

/// 500 USDC a payment to the friend; 10 for a router; deposits of a vault, also inside a multicall.
fn careful() -> String {
    let calls =
        [("deposit(uint256,address)", true), ("multicall(bytes[])", false)].map(|(function, inside)| {
            format!(
                "    - {{chain: base-sepolia, contract: \"{VAULT}\", label: vault, function: \"{function}\", \
             inside_multicall: {inside}}}\n"
            )
        });
    policy_yaml(2, "500.00")
        + &format!(
            "  allowances:\n    - {{asset: USDC, chain: base-sepolia, spender: \"{ROUTER}\", label: router, max: \"10\"}}\n  \
             calls:\n{}",
            calls.concat()
        )
}

/// As a compiler encodes it.
fn multicall(calls: &[Vec<u8>]) -> Vec<u8> {
    let word = |number: usize| U256::from(number).to_be_bytes_vec();
    let (mut offsets, mut items) = (Vec::new(), Vec::new());
    for call in calls {
        offsets.extend(word(32 * calls.len() + items.len()));
        items.extend(word(call.len()));
        items.extend(call);
        items.resize(items.len().next_multiple_of(32), 0);
    }
    [selector("multicall(bytes[])").to_vec(), word(32), word(calls.len()), offsets, items].concat()
}

fn changed(payload: &Payload, change: impl Fn(&mut Value)) -> Payload {
    let Payload::TypedData(text) = payload else { panic!("not typed data") };
    let mut value = serde_json::from_str(text).unwrap();
    change(&mut value);
    Payload::TypedData(value.to_string())
}

/// A permit of everything for the router, which may be allowed ten.
fn unlimited_permit(owner: Address, now_s: u64) -> Payload {
    changed(&authorization(owner, FRIEND, usdc(1), now_s), |data| {
        let fields = [
            ("owner", "address"),
            ("spender", "address"),
            ("value", "uint256"),
            ("nonce", "uint256"),
            ("deadline", "uint256"),
        ];
        let fields: Value = fields.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        let types = data["types"].as_object_mut().unwrap();
        types.remove("TransferWithAuthorization");
        types.insert("Permit".to_owned(), fields);
        data["primaryType"] = json!("Permit");
        data["message"] = json!({
            "owner": owner.to_string(), "spender": ROUTER, "value": U256::MAX.to_string(), "nonce": "0",
            "deadline": (now_s + 600).to_string(),
        });
    })
}

/// What agents are talked into: each is refused for its own reason, at the gate, and nothing is signed or spent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_is_talked_into_is_refused_with_its_reason() {
    let cluster = Cluster::start(world().await).await;
    cluster.apply_policy(&cluster.world.policy(&careful())).await.unwrap();
    let (me, now_s) = (golden().public_key().address(), now_ms() / 1000);
    let mut client = cluster.signing().await;

    // A ticket of 4,000 against a cap of 500.
    let answer = client.sign(request(&transfer(FRIEND, usdc(4000), 1), "ticket")).await;
    let ticket = denial(answer.unwrap().into_inner());
    let failure = &ticket.failures[0];
    assert_eq!(ticket.failures.len(), 1);
    assert_eq!(
        (failure.rule.as_str(), failure.limit.as_str(), failure.requested.as_str()),
        ("per_transaction", "500 USDC", "4000 USDC on base-sepolia")
    );

    let paid = authorization(me, FRIEND, usdc(1), now_s);
    let hidden = multicall(&[multicall(&[erc20_transfer(STRANGER, usdc(400))])]);
    let table = [
        // The payee asks for EURC, where USDC was agreed: no token that is known here, so a contract that nobody listed.
        ("eurc", call(EURC.parse().unwrap(), erc20_transfer(FRIEND, usdc(10)), 20), "calls"),
        // A transfer inside a multicall inside a multicall.
        ("nested", call(VAULT.parse().unwrap(), hidden, 21), "calls"),
        ("permit", unlimited_permit(me, now_s), "allowances"),
    ];
    for (name, payload, rule) in table {
        let denial = denial(client.sign(request(&payload, name)).await.unwrap().into_inner());
        let rules: Vec<_> = denial.failures.iter().map(|failure| failure.rule.as_str()).collect();
        assert!(rules.contains(&rule), "{name}: {rules:?}");
    }

    // The same words under another domain: what would be signed is not what is shown.
    let domains: [(&str, Value); 4] = [
        ("verifyingContract", json!(EURC)),
        ("verifyingContract", json!(STRANGER.to_string())),
        ("chainId", json!(8453)),
        ("name", json!("USD Coin")),
    ];
    for (field, value) in domains {
        let other = changed(&paid, |data| data["domain"][field] = value.clone());
        match client.sign(request(&other, &format!("domain-{field}"))).await {
            Ok(answer) => drop(denial(answer.into_inner())),
            Err(status) => assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status}"),
        }
    }
    assert!(cluster.paths().await.is_empty(), "something was signed");
    assert_eq!(usdc_spent(&cluster.stop().await), U256::ZERO);
}
