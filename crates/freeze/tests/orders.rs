//! Who may freeze, who may lift it, and that nothing goes backwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use proptest::prelude::*;
use quorate_freeze::{Action, FreezeError, FrozenSet, Order, RULE, Scope, SignedFreeze, judge};
use quorate_intent::decode;
use quorate_manifest::{
    CoordinatorDraft, MAX_LEAP, Manifest, ManifestDraft, Namespace, PersonDraft, QuorumDraft, SignedDocument,
    sign,
};
use quorate_policy::{Decision, Facts, evaluate_stateless};
use quorate_types::{Address, B256, Bytes, Payload};
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

const ALICE: u8 = 1;
const BOB: u8 = 2;
const ANNE: u8 = 3;
const EVE: u8 = 9;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn person(name: &str, seed: u8) -> PersonDraft {
    PersonDraft { name: name.to_owned(), key: key(seed).public_key().to_openssh().unwrap() }
}

/// Operators alice and bob, both needed; approver anne.
fn manifest() -> Manifest {
    let draft = ManifestDraft {
        approvers: vec![person("anne", ANNE)],
        quorum: QuorumDraft { operators: 2, manifests: None },
        coordinators: vec![CoordinatorDraft { id: "c".to_owned() }],
        ..ManifestDraft::new("prod", vec![person("alice", ALICE), person("bob", BOB)])
    };
    Manifest::parse(draft.to_yaml().unwrap().as_bytes()).unwrap()
}

fn order(scope: &str, sequence: u64, action: Action) -> Order {
    Order {
        cluster: "prod".parse().unwrap(),
        sequence,
        scope: scope.parse().unwrap(),
        action,
        reason: "the agent pays strangers".to_owned(),
    }
}

fn document(order: &Order, signers: &[u8], namespace: Namespace) -> SignedDocument {
    let body = order.to_yaml().unwrap().into_bytes();
    let signatures = signers.iter().map(|seed| sign(&body, namespace, &key(*seed)).unwrap()).collect();
    SignedDocument { body, signatures }
}

fn signed(scope: &str, sequence: u64, action: Action) -> SignedFreeze {
    let signers: &[u8] = if action == Action::Freeze { &[ALICE] } else { &[ALICE, BOB] };
    let document = document(&order(scope, sequence, action), signers, Namespace::Freeze);
    SignedFreeze::verify(&document, &manifest()).unwrap()
}

#[test]
fn one_operator_or_approver_freezes_and_only_the_quorum_of_operators_lifts() {
    let manifest = manifest();
    let try_with = |action, signers: &[u8]| {
        let document = document(&order("wallet/w", 1, action), signers, Namespace::Freeze);
        SignedFreeze::verify(&document, &manifest).is_ok()
    };
    let cases: [(Action, &[u8], bool); 13] = [
        (Action::Freeze, &[ALICE], true),
        (Action::Freeze, &[ANNE], true),
        (Action::Freeze, &[ALICE, ANNE], true),
        (Action::Freeze, &[], false),
        (Action::Freeze, &[EVE], false),
        (Action::Freeze, &[ALICE, EVE], false),
        (Action::Unfreeze, &[ALICE], false),
        (Action::Unfreeze, &[ALICE, ANNE], false),
        (Action::Unfreeze, &[ALICE, ALICE], false),
        (Action::Unfreeze, &[ALICE, BOB], true),
        (Action::Retire, &[ALICE], false),
        (Action::Retire, &[ALICE, ANNE], false),
        (Action::Retire, &[ALICE, BOB], true),
    ];
    for (action, signers, good) in cases {
        assert_eq!(try_with(action, signers), good, "{action:?} by {signers:?}");
    }
}

#[test]
fn a_retired_wallet_stays_retired_and_nothing_else_is_retired() {
    let mut set = FrozenSet::default();
    assert!(set.apply(signed("wallet/w", 7, Action::Unfreeze)).unwrap());
    // Whatever its number is: there is nothing after it.
    let retirement = signed("wallet/w", 1, Action::Retire);
    assert!(set.apply(retirement.clone()).unwrap());
    for late in [signed("wallet/w", 9, Action::Unfreeze), signed("wallet/w", 9, Action::Freeze)] {
        assert!(matches!(set.apply(late), Err(FreezeError::Retired(_))));
    }
    assert!(!set.apply(signed("wallet/w", 2, Action::Retire)).unwrap(), "said again");
    assert_eq!(set.orders().map(SignedFreeze::hash).collect::<Vec<_>>(), [retirement.hash()]);
    for scope in ["all", "agent/bot", "chain/84532"] {
        let refused = order(scope, 1, Action::Retire).to_yaml();
        assert!(matches!(refused, Err(FreezeError::Invalid { field: "scope", .. })), "{scope}");
    }
}

#[test]
fn another_kind_of_document_another_cluster_and_a_changed_body_are_refused() {
    let manifest = manifest();
    let freeze = order("all", 1, Action::Freeze);
    for namespace in Namespace::ALL {
        let verified = SignedFreeze::verify(&document(&freeze, &[ALICE], namespace), &manifest);
        assert_eq!(verified.is_ok(), namespace == Namespace::Freeze, "{namespace}");
    }
    let mut changed = document(&freeze, &[ALICE], Namespace::Freeze);
    changed.body = order("all", 2, Action::Freeze).to_yaml().unwrap().into_bytes();
    assert!(matches!(SignedFreeze::verify(&changed, &manifest), Err(FreezeError::Document(_))));
    let elsewhere = Order { cluster: "dev".parse().unwrap(), ..freeze };
    let refused = SignedFreeze::verify(&document(&elsewhere, &[ALICE], Namespace::Freeze), &manifest);
    assert!(matches!(refused, Err(FreezeError::Cluster { .. })), "{refused:?}");
}

#[test]
fn every_bad_field_is_named() {
    let good = order("chain/84532", 3, Action::Freeze).to_yaml().unwrap();
    assert_eq!(Order::parse(good.as_bytes()).unwrap(), order("chain/84532", 3, Action::Freeze));
    for (from, to, field) in [
        ("quorate/v1", "quorate/v2", "freeze"),
        ("sequence: 3", "sequence: 0", "sequence"),
        ("cluster: prod", "cluster: ''", "cluster"),
        ("scope: chain", "scope: moon", "scope"),
        ("scope: chain", "scope: all", "scope"),
        ("target: '84532'", "target: nowhere", "scope"),
        ("the agent", "\\n the agent", ""),
        ("reason: the agent pays strangers", "reason: ''", "reason"),
        ("reason: the agent pays strangers", "reason: \"a\\nb\"", "reason"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from} is not in the order");
        match Order::parse(bad.as_bytes()) {
            Err(FreezeError::Invalid { field: named, .. }) => assert_eq!(named, field, "{to}"),
            other => assert!(field.is_empty(), "{to}: {other:?}"),
        }
    }
    for bad in [good.replace("action: freeze", "action: melt"), format!("{good}more: 1\n")] {
        assert!(matches!(Order::parse(bad.as_bytes()), Err(FreezeError::Yaml(_))));
    }
}

#[test]
fn a_replayed_or_stale_order_is_refused_and_the_same_again_changes_nothing() {
    let mut set = FrozenSet::default();
    let first = signed("wallet/w", 5, Action::Freeze);
    assert_eq!(set.apply(first.clone()), Ok(true));
    assert_eq!(set.apply(first.clone()), Ok(false));
    let lifted = signed("wallet/w", 6, Action::Unfreeze);
    assert_eq!(set.apply(lifted), Ok(true));
    assert!(matches!(set.apply(first), Err(FreezeError::Stale { seen: 6, offered: 5, .. })));
    let mut other = order("wallet/w", 6, Action::Unfreeze);
    other.reason = "another".to_owned();
    let other = document(&other, &[ALICE, BOB], Namespace::Freeze);
    let other = SignedFreeze::verify(&other, &manifest()).unwrap();
    assert!(matches!(set.apply(other), Err(FreezeError::Fork { sequence: 6, .. })));
    // Another scope has a count of its own: an order that was held back is obeyed whenever it comes.
    assert_eq!(set.apply(signed("wallet/v", 2, Action::Freeze)), Ok(true));
    assert_eq!(set.highest(), 6);
}

#[test]
fn nobody_takes_the_last_number_there_is() {
    let mut set = FrozenSet::default();
    for action in [Action::Freeze, Action::Unfreeze] {
        let refused = set.apply(signed("all", u64::MAX, action));
        assert!(matches!(refused, Err(FreezeError::Leap { seen: 0, offered: u64::MAX, .. })), "{refused:?}");
    }
    assert!(matches!(set.apply(signed("all", MAX_LEAP + 1, Action::Freeze)), Err(FreezeError::Leap { .. })));
    assert_eq!(set.apply(signed("all", MAX_LEAP, Action::Freeze)), Ok(true));
    assert_eq!(set.apply(signed("all", MAX_LEAP, Action::Unfreeze)), Ok(true));
    assert_eq!(set.apply(signed("all", MAX_LEAP + 1, Action::Freeze)), Ok(true));
    // A retirement is the last order anyway; and what was obeyed once comes back from the disk whatever its number.
    assert_eq!(set.apply(signed("wallet/w", u64::MAX, Action::Retire)), Ok(true));
    let mut again = FrozenSet::default();
    again.restore(signed("all", 3 * MAX_LEAP, Action::Freeze));
    assert_eq!(again.highest(), 3 * MAX_LEAP);
}

#[test]
fn an_order_that_was_kept_comes_back_and_another_does_not() {
    let order = signed("asset/native@1", 4, Action::Freeze);
    assert_eq!(SignedFreeze::restore(order.document(), order.hash()), Ok(order.clone()));
    let other = signed("asset/native@1", 5, Action::Freeze);
    assert_eq!(SignedFreeze::restore(other.document(), order.hash()), Err(FreezeError::NotKept));
}

/// An EIP-1559 transaction on Base Sepolia.
fn transaction(to: Address, value: u8, data: &[u8]) -> Payload {
    let string = |bytes: &[u8]| match bytes {
        [one] if *one < 0x80 => vec![*one],
        _ => [&[0x80 + u8::try_from(bytes.len()).unwrap()], bytes].concat(),
    };
    let value = if value == 0 { vec![] } else { vec![value] };
    let fields = [
        string(&[1, 0x4a, 0x34]),
        string(&[]),
        string(&[1]),
        string(&[2]),
        string(&[0x52, 0x08]),
        string(to.as_slice()),
        string(&value),
        string(data),
        vec![0xc0],
    ]
    .concat();
    Payload::Transaction(Bytes::from(
        [&[2, 0xc0 + u8::try_from(fields.len()).unwrap()], &fields[..]].concat(),
    ))
}

#[test]
fn each_scope_stops_what_it_names_and_nothing_else() {
    let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    let token: Address = usdc.parse().unwrap();
    let friend = Address::repeat_byte(0x11);
    let coin = transaction(friend, 7, &[]);
    let unknown_call = transaction(token, 0, &[1, 2, 3, 4]);
    let message = Payload::Message(b"hello".to_vec().into());
    // It may be the digest of anything, so nothing that is frozen is surely not in it.
    let raw = Payload::RawDigest(B256::repeat_byte(7));
    let usdc_here = format!("asset/{usdc}@84532");
    let usdc_there = format!("asset/{usdc}@1");
    let cases = [
        ("all", [true, true, true, true]),
        ("wallet/w", [true, true, true, true]),
        ("wallet/v", [false, false, false, false]),
        ("agent/bot", [true, true, true, true]),
        ("agent/w", [false, false, false, false]),
        ("chain/base-sepolia", [true, true, false, true]),
        ("chain/1", [false, false, false, true]),
        ("asset/native@84532", [true, false, false, true]),
        ("asset/native@1", [false, false, false, true]),
        (usdc_here.as_str(), [false, true, false, true]),
        (usdc_there.as_str(), [false, false, false, true]),
    ];
    let (wallet, agent) = ("w".parse().unwrap(), "bot".parse().unwrap());
    for (scope, expected) in cases {
        for (payload, expected) in [&coin, &unknown_call, &message, &raw].into_iter().zip(expected) {
            let intent = decode(payload).unwrap().intent;
            let scope: Scope = scope.parse().unwrap();
            assert_eq!(scope.covers(&wallet, &agent, &intent), expected, "{scope} and {}", intent.summary());
            assert_eq!(scope.to_string().parse::<Scope>(), Ok(scope));
        }
    }
}

#[test]
fn a_denial_names_the_order_before_what_policy_says() {
    let intent = decode(&transaction(Address::repeat_byte(0x11), 7, &[])).unwrap().intent;
    let (wallet, agent) = ("w".parse().unwrap(), "bot".parse().unwrap());
    let facts = Facts::of(&wallet, &agent, Address::ZERO, &intent, 1);
    let mut set = FrozenSet::default();
    let before = judge(&set, &agent, &facts, evaluate_stateless(None, &facts));
    let Decision::Deny(before) = before else { panic!("allowed without a policy") };
    assert_eq!(before.failures.len(), 1, "nothing is frozen yet");
    let order = signed("agent/bot", 12, Action::Freeze);
    set.apply(order.clone()).unwrap();
    let Decision::Deny(denial) = judge(&set, &agent, &facts, evaluate_stateless(None, &facts)) else {
        panic!("a frozen agent may sign")
    };
    let first = &denial.failures[0];
    assert_eq!((first.rule.as_str(), denial.failures.len()), (RULE, 2));
    for named in ["agent/bot", "order 12", &order.hash().to_string(), "pays strangers"] {
        assert!(first.reason.contains(named), "{named} is not in {}", first.reason);
    }
    set.apply(signed("agent/bot", 13, Action::Unfreeze)).unwrap();
    assert_eq!(judge(&set, &agent, &facts, evaluate_stateless(None, &facts)), Decision::Deny(before));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whoever delivers orders chooses which, in what order and how often; never what the last of them says.
    #[test]
    fn every_order_of_delivery_ends_the_same(
        deliveries in proptest::collection::vec((0..2usize, 1..5u64, any::<bool>()), 1..12),
        again in proptest::collection::vec(0..12usize, 0..12),
    ) {
        let orders: Vec<_> = deliveries.iter().map(|(scope, sequence, lift)| {
            let action = if *lift { Action::Unfreeze } else { Action::Freeze };
            signed(["all", "wallet/w"][*scope], *sequence, action)
        }).collect();
        let mut forwards = FrozenSet::default();
        let mut backwards = FrozenSet::default();
        for order in &orders { let _ = forwards.apply(order.clone()); }
        for order in orders.iter().rev() { let _ = backwards.apply(order.clone()); }
        prop_assert_eq!(&forwards, &backwards);
        for at in again {
            let order = orders[at % orders.len()].clone();
            prop_assert_ne!(forwards.apply(order), Ok(true));
        }
    }
}

/// What a hold began under: it names each order about the very payment, and never comes back.
#[test]
fn what_stands_over_a_payment_changes_with_each_order_about_it_and_with_no_other() {
    let (wallet, agent) = ("shopper".parse().unwrap(), "bot".parse().unwrap());
    let intent = decode(&Payload::Message(Bytes::from_static(b"hello"))).unwrap().intent;
    let mut set = FrozenSet::default();
    let mut seen = vec![set.standing_over(&wallet, &agent, &intent)];
    for scope in ["all", "wallet/shopper", "agent/bot"] {
        for (sequence, action) in [(1, Action::Freeze), (2, Action::Unfreeze), (3, Action::Freeze)] {
            set.apply(signed(scope, sequence, action)).unwrap();
            let now = set.standing_over(&wallet, &agent, &intent);
            assert!(!seen.contains(&now), "{scope} {sequence}");
            seen.push(now);
        }
    }
    for scope in ["wallet/other", "agent/other", "chain/1", "asset/native@84532"] {
        set.apply(signed(scope, 1, Action::Freeze)).unwrap();
        assert_eq!(Some(&set.standing_over(&wallet, &agent, &intent)), seen.last(), "{scope}");
    }
}
