//! Tightening at once, loosening late and by two.

use quorate_policy::{Loosening, PolicyError, SignedPolicy, Succession, succession};

use crate::rig::{POLICY, document, manifest, swap};

const DAY: Option<Loosening> = Some(Loosening { delay_s: 86_400 });

fn looser() -> String {
    swap("max: \"25.00\"", "max: \"26\"").replace("version: 3", "version: 4")
}

fn tighter() -> String {
    swap("max: \"25.00\"", "max: \"24\"").replace("version: 3", "version: 4")
}

fn how(
    loosening: Option<Loosening>,
    present: Option<&str>,
    (next, seeds): (&str, &[u8]),
) -> Result<Succession, PolicyError> {
    let manifest = manifest("example", &[1, 2, 3], 1);
    let signed = |body: &str, seeds| SignedPolicy::verify(&document(body, seeds), &manifest).unwrap();
    let present = present.map(|body| signed(body, &[1][..]));
    succession(loosening, present.as_ref(), (&signed(next, seeds), &manifest))
}

#[test]
fn what_is_tighter_or_the_same_takes_one_operator_and_no_time() {
    assert_eq!(how(DAY, Some(POLICY), (&tighter(), &[1])), Ok(Succession::AtOnce));
    let same = swap("version: 3", "version: 4");
    assert_eq!(how(DAY, Some(POLICY), (&same, &[2])), Ok(Succession::AtOnce));
}

#[test]
fn what_may_be_looser_takes_another_operator_and_the_delay() {
    let late = Ok(Succession::Late(vec!["per_transaction"]));
    assert_eq!(how(DAY, Some(POLICY), (&looser(), &[1, 2])), late);
    assert_eq!(how(Some(Loosening { delay_s: 0 }), Some(POLICY), (&looser(), &[3, 2])), late);
    let refused = how(DAY, Some(POLICY), (&looser(), &[2])).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "it may allow something new (per_transaction): 2 operators must sign that, 1 did; still to sign: one of \
         operator-1, operator-3"
    );
}

#[test]
fn a_wallet_created_without_a_delay_takes_a_quorum_and_nothing_more() {
    assert_eq!(how(None, Some(POLICY), (&looser(), &[1])), Ok(Succession::AtOnce));
    assert_eq!(how(None, None, (POLICY, &[1])), Ok(Succession::AtOnce));
}

#[test]
fn holding_back_the_first_policy_gains_nothing() {
    let first = swap("version: 3", "version: 1");
    assert!(matches!(how(DAY, None, (&first, &[1])), Err(PolicyError::SecondOperator { .. })));
    assert_eq!(how(DAY, None, (&first, &[1, 2])), Ok(Succession::AtOnce), "there is none before it");
    assert!(matches!(how(DAY, None, (POLICY, &[1])), Err(PolicyError::SecondOperator { .. })));
    assert!(matches!(how(DAY, None, (POLICY, &[1, 2])), Ok(Succession::Late(_))), "there were others");
}

#[test]
fn the_delay_is_counted_in_whole_and_never_overflows() {
    assert_eq!(Loosening { delay_s: 60 }.until(1_000), 61_000);
    assert_eq!(Loosening { delay_s: u32::MAX }.until(u64::MAX - 1), u64::MAX);
}
