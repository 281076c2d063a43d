//! Stories from the field: what happened to others, against the whole cluster over real TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{SystemTime, UNIX_EPOCH};

use quorate_intent::{AssetId, decode, selector};
use quorate_ledger::{Before, IdempotencyKey, charge, finish, reserve_releasing, spent};
use quorate_manifest::{Manifest, SignedDocument};
use quorate_policy::{Approval, Decision, Facts, Full, SignedPolicy, evaluate};
use quorate_proto::v1;
use quorate_proto::v1::evaluation::Verdict;
use quorate_proto::v1::sign_response::Outcome;
use quorate_store::{Store, Txn, update};
use quorate_tests::{
    Cluster, FRIEND, Receiver, STRANGER, WALLET, WEBHOOK_SECRET, World, authorization, call, erc20_transfer,
    golden, policy_yaml, transfer, usdc, with_limits,
};
use quorate_types::{Address, AgentId, Payload, Role, U256, WalletId};
use serde_json::{Value, json};
use tonic::Code;

const A_HUNDRED_AN_HOUR: &str = "  velocity:\n    - {max: 100, window: {rolling_s: 3600}}\n";

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
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
    let agent: AgentId = format!("{WALLET}-agent").parse().unwrap();
    let approve = |history: Before<'_>, payload: &Payload| -> Approval<Full> {
        let decoded = decode(payload).unwrap();
        let facts = Facts::of(&wallet, &agent, golden().public_key().address(), &decoded.intent, now_ms());
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
    let (mut hook, mut mail) = (Receiver::webhook(&[]).await, Receiver::mail().await);
    let alerts = format!(
        "alerts:\n  throttle_s: 3\n  webhooks: [{{name: hook, url: \"http://127.0.0.1:{}/\", secret_file: hook.secret}}]\n  \
         mail: [{{name: mail, host: 127.0.0.1, port: {}, tls: none, from: q@example.com, to: [ops@example.com]}}]\n",
        hook.port(),
        mail.port()
    );
    world.tell(&alerts, &[("hook.secret", WEBHOOK_SECRET)]);
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

    let told = hook.next_json().await;
    assert_eq!((&told["kind"], &told["wallet"]), (&json!("velocity"), &json!(WALLET)));
    assert_eq!(told["rules"][0]["used"], "100 signatures");
    assert_eq!(told["suppressed"], 0, "the first is told at once");
    let rest = hook.next_json().await;
    assert!(rest["suppressed"].as_u64().unwrap() > 0, "and the others together: {rest}");
    let letter = mail.next().await;
    assert!(letter.contains(&format!("Subject: [quorate dev] velocity {WALLET}\r\n")), "{letter}");
    assert!(letter.contains("used       100 signatures"), "{letter}");
    for secret in [WEBHOOK_SECRET, "retry-97", &hex::encode(five_cents(100).as_bytes())] {
        assert!(
            ![told.to_string(), rest.to_string(), letter.clone()].iter().any(|text| text.contains(secret))
        );
    }
    assert_eq!(usdc_spent(&cluster.stop().await), usdc(5));
}

/// A dollar at once, five told, more with people.
const TOLD: &str = "  tiers: [{asset: USDC, chain: base-sepolia, instant: \"1\", notify: \"5\"}]\n  approval: {threshold: 1}\n";

/// A payment in the tier NOTIFY waits for nothing, and people hear of it: what it does, and where the log says so. Of what is
/// signed at once they are not told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_worth_telling_is_signed_at_once_and_told() {
    let world = world().await;
    let mut hook = Receiver::webhook(&[]).await;
    hook.is_told_by(&world, &["signed"]);
    let cluster = Cluster::start(world).await;
    cluster.apply_policy(&cluster.world.policy(&with_limits(2, TOLD))).await.unwrap();
    let (mut receipts, mut client) = (Vec::new(), cluster.signing().await);
    for (dollars, tier) in [(1, "instant"), (3, "notify"), (5, "notify")] {
        let asked = request(&transfer(FRIEND, usdc(dollars), dollars), &format!("pay-{dollars}"));
        let foretold = client.evaluate(asked.clone()).await.unwrap().into_inner();
        assert!(
            matches!(&foretold.verdict, Some(Verdict::Allowed(allowed)) if allowed.tier == tier),
            "{foretold:?}"
        );
        let answer = client.sign(asked).await.unwrap().into_inner();
        assert!(matches!(answer.outcome, Some(Outcome::Signed(_))), "{answer:?}");
        receipts.push(answer.receipt.unwrap().sequence);
    }
    for (dollars, receipt) in [(3, receipts[1]), (5, receipts[2])] {
        let told = hook.next_json().await;
        assert_eq!((&told["kind"], &told["wallet"]), (&json!("signed"), &json!(WALLET)));
        assert_eq!((&told["sequence"], &told["suppressed"]), (&json!(receipt), &json!(0)));
        let text = format!("{WALLET} signed: send {dollars} USDC to {FRIEND} on base-sepolia");
        assert_eq!(told["text"], text);
        assert!(!told.to_string().contains(&format!("pay-{dollars}")), "{told}");
    }
    let world = cluster.stop().await;
    let contributed = world.log(Role::Service).into_iter().filter(|entry| entry.kind == "sign.contributed");
    let tiers: Vec<_> = contributed.map(|entry| entry.fields["tier"].clone()).collect();
    assert_eq!(tiers, ["instant", "notify", "notify"]);
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
