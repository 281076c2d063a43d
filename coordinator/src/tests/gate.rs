use quorate_ledger::{State, spent};
use quorate_store::{Aftermath, update};
use quorate_transport::PeerRole;
use quorate_types::{Bytes, Payload, U256};

use super::rig::{
    LARGE, PAYEE, Rig, SMALL, STRANGER, caller, denial_of, payment, policy_record, policy_with, request,
    wallet,
};
use crate::error::OpError;
use crate::gate::Verdict;
use crate::records::{WalletRecord, put};

fn at_hand(_: &WalletRecord) -> Result<(), OpError> {
    Ok(())
}

fn native_spent(rig: &Rig) -> U256 {
    let asset = quorate_intent::AssetId::native(84532);
    spent(rig.store.as_ref(), &wallet(), &asset, 0).unwrap()
}

#[tokio::test]
async fn what_policy_allows_is_reserved_and_written_down() {
    let rig = Rig::new();
    let request = request("k", payment(SMALL, PAYEE));
    let Ok(Verdict::Admitted(admitted)) =
        rig.core.gate.admit(&caller(PeerRole::Gateway), request, at_hand).await
    else {
        panic!("not admitted")
    };
    assert_eq!(admitted.case().receipt().sequence, 2, "after the manifest");
    assert_eq!(rig.entry("k").unwrap().state, State::Releasing, "in the same transaction");
    assert_eq!(native_spent(&rig), U256::from(SMALL));
    assert_eq!(rig.audit(), ["manifest.pinned", "sign.allowed"]);
}

#[tokio::test]
async fn what_policy_denies_leaves_only_an_audit_entry_and_a_usable_key() {
    let rig = Rig::new();
    for payload in
        [payment(LARGE, PAYEE), payment(SMALL, STRANGER), Payload::Message(Bytes::from_static(b"x"))]
    {
        let verdict = rig.core.gate.admit(&caller(PeerRole::Gateway), request("k", payload), at_hand).await;
        let Ok(Verdict::Denied(denied)) = verdict else { panic!("not denied") };
        let denial = denial_of(&denied);
        assert_eq!(denial.decided_by, "coordinator");
        assert!(!denial.failures.is_empty() && denial.policy_hash.len() == 32);
        assert!(denied.receipt.is_some());
    }
    assert_eq!((rig.entry("k"), native_spent(&rig)), (None, U256::ZERO));
    assert_eq!(rig.audit()[1..], ["sign.denied"; 3]);
    let admitted =
        rig.core.gate.admit(&caller(PeerRole::Gateway), request("k", payment(SMALL, PAYEE)), at_hand).await;
    assert!(matches!(admitted, Ok(Verdict::Admitted(_))));
}

#[tokio::test]
async fn a_dry_run_says_what_the_gate_would_and_leaves_no_trace() {
    use quorate_proto::v1::evaluation::Verdict as Foretold;
    let rig = Rig::new();
    let (gate, gateway) = (&rig.core.gate, caller(PeerRole::Gateway));
    let foretell = async |payload| gate.foretell(&gateway, request("k", payload)).await;
    let allowed = foretell(payment(SMALL, PAYEE)).await.unwrap();
    assert!(allowed.summary.contains("0.001"), "{}", allowed.summary);
    let Some(Foretold::Allowed(allowed)) = allowed.verdict else { panic!("not allowed") };
    assert_eq!((allowed.policy_version, allowed.tier.as_str()), (1, "instant"));
    // Word for word what is then answered.
    for payload in [payment(LARGE, STRANGER), Payload::Message(Bytes::from_static(b"x"))] {
        let Some(Foretold::Denied(foretold)) = foretell(payload.clone()).await.unwrap().verdict else {
            panic!("not denied")
        };
        assert_eq!((rig.entry("k"), native_spent(&rig)), (None, U256::ZERO));
        let Ok(Verdict::Denied(denied)) = gate.admit(&gateway, request("k", payload), at_hand).await else {
            panic!("not denied")
        };
        assert_eq!(foretold, denial_of(&denied));
    }
    assert_eq!(rig.audit(), ["manifest.pinned", "sign.denied", "sign.denied"], "only what was asked for");
    assert!(matches!(
        foretell(Payload::Transaction(Bytes::from_static(&[2, 0xc0]))).await,
        Err(OpError::Invalid { field, .. }) if field == "payload"
    ));
    // It claimed no key: another payload may have it.
    let admitted = gate.admit(&gateway, request("k", payment(SMALL + 1, PAYEE)), at_hand).await;
    assert!(matches!(admitted, Ok(Verdict::Admitted(_))));
    assert!(matches!(
        foretell(payment(SMALL, PAYEE)).await,
        Err(OpError::Conflict { field: "idempotency_key", .. })
    ));
    let before = (rig.audit(), rig.entry("k"), native_spent(&rig));
    for role in [PeerRole::Approver, PeerRole::Auditor, PeerRole::Node, PeerRole::Coordinator] {
        let refused = gate.foretell(&caller(role), request("l", payment(SMALL, PAYEE))).await;
        assert!(matches!(refused, Err(OpError::Forbidden(_))), "{role}");
    }
    assert_eq!((rig.audit(), rig.entry("k"), native_spent(&rig)), before);
}

#[tokio::test]
async fn dry_runs_wait_for_each_other_and_for_no_writer() {
    let rig = Rig::new();
    // Whoever writes holds the store; a dry run reads beside it.
    let holding = rig.store.clone();
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let writer = std::thread::spawn(move || {
        let txn = quorate_store::Store::begin(holding.as_ref()).unwrap();
        began.send(()).unwrap();
        told.recv().unwrap();
        drop(txn);
    });
    begun.await.unwrap();
    let gateway = caller(PeerRole::Gateway);
    let many =
        (0..20).map(|n| rig.core.gate.foretell(&gateway, request(&n.to_string(), payment(SMALL, PAYEE))));
    let all = tokio::time::timeout(std::time::Duration::from_secs(5), futures::future::join_all(many)).await;
    assert!(all.unwrap().iter().all(Result::is_ok));
    // One who asks for more than that waits for none of them, and leaves the others their turn.
    let flood =
        (0..100).map(|n| rig.core.gate.foretell(&gateway, request(&n.to_string(), payment(SMALL, PAYEE))));
    let operator = caller(PeerRole::Operator);
    let one = rig.core.gate.foretell(&operator, request("one", payment(SMALL, PAYEE)));
    let (many, one) = tokio::join!(futures::future::join_all(flood), one);
    let refused = many.iter().filter(|answer| answer.is_err()).count();
    assert!((1..=68).contains(&refused) && one.is_ok(), "{refused} of 100 refused");
    tell.send(()).unwrap();
    writer.join().unwrap();
}

#[tokio::test]
async fn a_wallet_without_a_policy_may_sign_nothing() {
    let rig = Rig::new();
    let _synced =
        quorate_store::update(rig.store.as_ref(), |txn| txn.delete("coordinator.policies", b"w")).unwrap();
    let verdict =
        rig.core.gate.admit(&caller(PeerRole::Operator), request("k", payment(SMALL, PAYEE)), at_hand).await;
    let Ok(Verdict::Denied(denied)) = verdict else { panic!("not denied") };
    assert!(denial_of(&denied).policy_hash.is_empty());
}

#[tokio::test]
async fn a_policy_that_was_altered_in_the_store_stops_everything() {
    let rig = Rig::new();
    let _synced = quorate_store::update(rig.store.as_ref(), |txn| {
        let bytes = txn.get("coordinator.policies", b"w")?.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let digit = text.find("\"body\":[1").unwrap() + "\"body\":[1".len();
        let mut altered = text.into_bytes();
        altered[digit] ^= 1;
        txn.put("coordinator.policies", b"w", &altered)
    })
    .unwrap();
    let verdict =
        rig.core.gate.admit(&caller(PeerRole::Gateway), request("k", payment(SMALL, PAYEE)), at_hand).await;
    assert!(matches!(verdict, Err(OpError::Internal(_))));
}

#[tokio::test]
async fn refusals_come_before_anything_is_written() {
    let rig = Rig::new();
    let gate = &rig.core.gate;
    for role in [PeerRole::Approver, PeerRole::Auditor, PeerRole::Node, PeerRole::Coordinator] {
        let refused = gate.admit(&caller(role), request("k", payment(SMALL, PAYEE)), at_hand).await;
        assert!(matches!(refused, Err(OpError::Forbidden(_))), "{role}");
    }
    let mut unknown = request("k", payment(SMALL, PAYEE));
    unknown.wallet = "nobody".parse().unwrap();
    let refused = gate.admit(&caller(PeerRole::Gateway), unknown, at_hand).await;
    assert!(matches!(refused, Err(OpError::NotFound { what: "wallet", .. })));
    assert_eq!(rig.audit(), ["manifest.pinned"]);
}

/// What a wallet is asked for in vain is written down too, and claims no key. Nobody fills the disk with it.
#[tokio::test]
async fn what_cannot_be_read_or_claimed_is_written_down_for_as_long_as_there_is_room() {
    let rig = Rig::new();
    let (gate, gateway) = (&rig.core.gate, caller(PeerRole::Gateway));
    let nonsense = || request("k", Payload::Transaction(Bytes::from_static(&[2, 0xc0])));
    let refused = gate.admit(&gateway, nonsense(), at_hand).await;
    assert!(matches!(refused, Err(OpError::Invalid { field, .. }) if field == "payload"));
    let admitted = gate.admit(&gateway, request("k", payment(SMALL, PAYEE)), at_hand).await;
    assert!(matches!(admitted, Ok(Verdict::Admitted(_))));
    let other = gate.admit(&gateway, request("k", payment(SMALL + 1, PAYEE)), at_hand).await;
    assert!(matches!(other, Err(OpError::Conflict { field: "idempotency_key", .. })));
    assert_eq!(rig.audit()[1..], ["sign.refused", "sign.allowed", "sign.refused"]);
    let entries = quorate_audit::entries(rig.store.as_ref(), 2, 1).unwrap();
    assert_eq!(entries[0].fields["payload_hash"], serde_json::json!(nonsense().payload_hash));
    assert!(entries[0].fields["error"].as_str().unwrap().starts_with("payload: "), "{entries:?}");

    for _ in 0..20 {
        assert!(gate.admit(&gateway, nonsense(), at_hand).await.is_err());
    }
    let written = || rig.audit().iter().filter(|kind| *kind == "sign.refused").count();
    assert_eq!(written(), 10);
    rig.clock.advance(60_000);
    assert!(gate.admit(&gateway, nonsense(), at_hand).await.is_err());
    assert_eq!(written(), 11);
    let last = rig.last();
    assert_eq!(last.fields["left_out"], 12);
    assert_eq!(rig.entry("k").unwrap().attempt, 1);
    // A refusal that is not on disk is none.
    rig.store.fail_commit_after(0, Aftermath::Lost);
    let unwritten = gate.admit(&gateway, nonsense(), at_hand).await;
    assert!(matches!(&unwritten, Err(error) if error.is_fatal()));
}

#[tokio::test]
async fn one_key_names_one_payload() {
    let rig = Rig::new();
    let gateway = caller(PeerRole::Gateway);
    let first = rig.core.gate.admit(&gateway, request("k", payment(SMALL, PAYEE)), at_hand).await;
    assert!(matches!(first, Ok(Verdict::Admitted(_))));
    let other = rig.core.gate.admit(&gateway, request("k", payment(SMALL + 1, PAYEE)), at_hand).await;
    assert!(matches!(other, Err(OpError::Conflict { field: "idempotency_key", .. })));
    // Nodes may have been asked for the first one: its spend is held, and counts once.
    let again = rig.core.gate.admit(&gateway, request("k", payment(SMALL, PAYEE)), at_hand).await;
    assert!(matches!(again, Ok(Verdict::Admitted(_))));
    assert_eq!(rig.entry("k").unwrap().attempt, 1);
    assert_eq!(native_spent(&rig), U256::from(SMALL));
}

#[tokio::test]
async fn nothing_is_admitted_on_a_sync_that_failed() {
    for aftermath in [Aftermath::Kept, Aftermath::Lost] {
        let rig = Rig::new();
        rig.store.fail_commit_after(0, aftermath);
        let verdict = rig
            .core
            .gate
            .admit(&caller(PeerRole::Gateway), request("k", payment(SMALL, PAYEE)), at_hand)
            .await;
        assert!(matches!(&verdict, Err(error) if error.is_fatal()), "{aftermath:?}");
        assert!(rig.core.db.broken().is_cancelled());
    }
}

/// A wallet that may sign three times an hour, what is denied counted.
fn counts_denied() -> Rig {
    let rig = Rig::new();
    let line = "  velocity: [{max: 3, denied: true, window: {rolling_s: 3600}}]\n";
    let policy = policy_record(policy_with(2, "0.01", line));
    let _synced = update(rig.store.as_ref(), |txn| put(txn, &policy)).unwrap();
    rig
}

async fn rules(rig: &Rig, request: crate::gate::Request) -> Vec<String> {
    match rig.core.gate.admit(&caller(PeerRole::Gateway), request, at_hand).await {
        Ok(Verdict::Denied(denied)) => {
            denial_of(&denied).failures.into_iter().map(|failure| failure.rule).collect()
        }
        Ok(Verdict::Admitted(_)) => Vec::new(),
        _ => panic!("neither denied nor admitted"),
    }
}

#[tokio::test]
async fn denied_attempts_use_up_a_rate_that_counts_them_and_outlast_a_restart() {
    let rig = counts_denied();
    let stranger = |key: &str| request(key, payment(SMALL, STRANGER));
    assert_eq!(rules(&rig, stranger("a")).await, ["recipients"]);
    // The same request, however often it comes, is one attempt.
    assert_eq!(rules(&rig, stranger("a")).await, ["recipients"]);
    assert_eq!(rules(&rig, stranger("b")).await, ["recipients"]);
    let rig = rig.restarted();
    assert!(rules(&rig, request("c", payment(SMALL, PAYEE))).await.is_empty(), "the third");
    assert_eq!(rules(&rig, request("d", payment(SMALL, PAYEE))).await, ["velocity"]);
    assert_eq!(rules(&rig, stranger("e")).await, ["recipients", "velocity"]);
    rig.clock.advance(3_600_000);
    assert!(rules(&rig, request("d", payment(SMALL, PAYEE))).await.is_empty());
    assert_eq!(rig.audit().iter().filter(|kind| *kind == "sign.denied").count(), 5, "all are written down");
}

/// Counted and written down together, or neither: and then nothing is answered.
#[tokio::test]
async fn a_denial_that_cannot_be_counted_is_not_given() {
    for (aftermath, left) in [(Aftermath::Lost, 3), (Aftermath::Kept, 2)] {
        let rig = counts_denied();
        rig.store.fail_commit_after(0, aftermath);
        let request_ = request("a", payment(SMALL, STRANGER));
        let verdict = rig.core.gate.admit(&caller(PeerRole::Gateway), request_, at_hand).await;
        assert!(matches!(&verdict, Err(error) if error.is_fatal()), "{aftermath:?}");
        let rig = rig.restarted();
        let written = rig.audit().iter().filter(|kind| *kind == "sign.denied").count();
        assert_eq!(written, 3 - left, "{aftermath:?}");
        for n in 0..left {
            assert!(rules(&rig, request(&format!("k{n}"), payment(SMALL, PAYEE))).await.is_empty());
        }
        assert_eq!(rules(&rig, request("k", payment(SMALL, PAYEE))).await, ["velocity"]);
    }
}

#[tokio::test]
async fn a_frozen_wallet_is_denied_by_the_order_also_after_a_crash() {
    use crate::ops::apply_freeze::apply_freeze;
    let rig = Rig::new();
    let order = |sequence: u64, action: &str| {
        let body = format!(
            "freeze: quorate/v1\ncluster: demo\nsequence: {sequence}\nscope: wallet\ntarget: w\naction: {action}\n\
             reason: a test\n"
        );
        super::rig::signed(body, quorate_manifest::Namespace::Freeze)
    };
    let approver = || caller(PeerRole::Approver);
    apply_freeze(&rig.core, approver(), order(1, "freeze")).await.unwrap();
    for rig in [&rig, &rig.restarted()] {
        let verdict = rig
            .core
            .gate
            .admit(&caller(PeerRole::Gateway), request("k", payment(SMALL, PAYEE)), at_hand)
            .await;
        let Ok(Verdict::Denied(denied)) = verdict else { panic!("not denied") };
        assert_eq!(denial_of(&denied).failures[0].rule, "frozen");
        assert_eq!(native_spent(rig), U256::ZERO);
    }
    apply_freeze(&rig.core, approver(), order(2, "unfreeze")).await.unwrap();
    let stale = apply_freeze(&rig.core, approver(), order(1, "freeze")).await;
    assert!(matches!(stale, Err(OpError::Conflict { field: "order", .. })));
    let admitted =
        rig.core.gate.admit(&caller(PeerRole::Gateway), request("k", payment(SMALL, PAYEE)), at_hand).await;
    assert!(matches!(admitted, Ok(Verdict::Admitted(_))));
    let kinds = rig.audit();
    assert_eq!(kinds.iter().filter(|kind| *kind == "freeze.applied").count(), 2, "{kinds:?}");
}

/// The largest entry there can be is written all the same: a request that policy allows is never refused for what it would
/// take to write it down.
#[tokio::test]
async fn as_many_limits_as_a_policy_may_have_fit_into_the_log() {
    let rig = Rig::new();
    let most = U256::MAX.to_string();
    let units = &most[..most.len() - 18];
    let limits: String = (60..124)
        .map(|seconds| {
            format!(
                "    - {{asset: native, chain: base-sepolia, max: \"{units}\", per: recipient, window: {{rolling_s: \
                 {seconds}}}}}\n"
            )
        })
        .collect();
    let rates: String =
        (60..124).map(|seconds| format!("    - {{max: 9, window: {{rolling_s: {seconds}}}}}\n")).collect();
    let lines = format!("  cumulative:\n{limits}  velocity:\n{rates}");
    let policy = policy_record(policy_with(2, "0.01", &lines));
    let _synced = update(rig.store.as_ref(), |txn| put(txn, &policy)).unwrap();
    let note = |n: u8| (format!("{}{}", char::from(b'a' + n), "\"".repeat(63)), "\"".repeat(256));
    let request =
        crate::gate::Request { metadata: (0..16).map(note).collect(), ..request("k", payment(SMALL, PAYEE)) };
    let verdict = rig.core.gate.admit(&caller(PeerRole::Gateway), request, at_hand).await;
    assert!(matches!(verdict, Ok(Verdict::Admitted(_))));
    let entry = rig.last();
    assert_eq!((entry.kind.as_str(), &entry.fields["counters_left_out"]), ("sign.allowed", &64.into()));
    assert_eq!(entry.fields["counters"].as_array().unwrap().len(), 64);
}

/// Whoever reads one entry alone knows who asked for what, and by which policy it was judged.
#[tokio::test]
async fn each_entry_names_the_agent_and_the_policy() {
    let rig = Rig::new();
    let limits =
        "  cumulative: [{asset: native, chain: base-sepolia, max: \"0.0025\", window: {rolling_s: 60}}]\n";
    let policy = policy_record(policy_with(2, "0.01", limits));
    let _synced = update(rig.store.as_ref(), |txn| put(txn, &policy)).unwrap();
    for (key, before, after) in
        [("a", "0", "1000000000000000"), ("b", "1000000000000000", "2000000000000000")]
    {
        assert!(rules(&rig, request(key, payment(SMALL, PAYEE))).await.is_empty());
        let counter = &rig.last().fields["counters"][0];
        assert_eq!((&counter["before"], &counter["after"]), (&before.into(), &after.into()), "{key}");
    }
    let refused = |_: &WalletRecord| Err(OpError::not_attached(Vec::new()));
    let not_started = request("c", payment(1, PAYEE));
    assert!(rig.core.gate.admit(&caller(PeerRole::Gateway), not_started, refused).await.is_err());
    assert_eq!(rules(&rig, request("d", payment(SMALL, PAYEE))).await, ["cumulative"]);
    let failure = &rig.last().fields["denial"]["failures"][0];
    assert_eq!(
        (&failure["used"], &failure["limit"]),
        (&"0.002 ETH".into(), &"0.0025 ETH in any 60 s".into())
    );
    let entries = quorate_audit::entries(rig.store.as_ref(), 2, usize::MAX).unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["sign.allowed", "sign.allowed", "sign.not_started", "sign.denied"]);
    for entry in entries {
        assert_eq!(entry.fields["agent"], "bot");
        assert_eq!(entry.fields["policy_version"], 2);
        assert_eq!(entry.fields["policy_hash"], policy.hash.to_string());
        assert!(entry.fields["payload_hash"].is_string() && entry.fields["digest"].is_string());
    }
    let _synced =
        update(rig.store.as_ref(), |txn| txn.delete("coordinator.policies", b"w").map_err(OpError::from))
            .unwrap();
    assert_eq!(rules(&rig, request("e", payment(SMALL, PAYEE))).await, ["no_policy"]);
    let entry = rig.last();
    assert_eq!((&entry.fields["agent"], entry.fields["policy_version"].is_null()), (&"bot".into(), true));
}
