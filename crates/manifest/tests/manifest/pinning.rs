//! Enrolment and the way from one manifest to the next.

use quorate_manifest::{
    DocumentError, MAX_LEAP, ManifestDraft, ManifestError, Namespace, Pinned, QuorumDraft, SignedDocument,
};
use quorate_types::B256;

use crate::rig::{
    ALICE, ALICE_SIG, BOB, BOB_SIG, BODY, document, draft, group_draft, node_draft, operator_draft, public,
    signed, signed_body,
};

fn pinned() -> Pinned {
    Pinned::enrol(&signed(&draft(), &[1, 2]), &[public(1), public(2), public(3)]).unwrap()
}

/// The next version with a change, signed by two operators of the present one.
fn next(change: impl FnOnce(&mut ManifestDraft)) -> Result<Pinned, ManifestError> {
    let mut draft = ManifestDraft { version: 2, ..draft() };
    change(&mut draft);
    pinned().advance(&signed(&draft, &[1, 3]))
}

fn refusal(change: impl FnOnce(&mut ManifestDraft)) -> String {
    let error = next(change).unwrap_err();
    assert!(matches!(error, ManifestError::Changed { .. }), "{error}");
    error.to_string()
}

#[test]
fn enrolment_needs_a_quorum_of_roots() {
    let (alice, bob) = (ALICE.parse().unwrap(), BOB.parse().unwrap());
    let both = document(BODY, &[ALICE_SIG, BOB_SIG]);
    let pinned = Pinned::enrol(&both, &[alice, bob]).unwrap();
    assert_eq!(pinned.manifest().version(), 1);
    assert_eq!(pinned.document(), &both);
    assert_eq!(pinned.hash(), both.hash(Namespace::Manifest));
    for roots in [vec![], vec![ALICE.parse().unwrap()], vec![ALICE.parse().unwrap(), public(9)]] {
        let got = roots.len().min(1);
        assert_eq!(Pinned::enrol(&both, &roots), Err(ManifestError::Roots { got, need: 2 }));
    }
    let one = document(BODY, &[ALICE_SIG]);
    let short = DocumentError::Quorum { got: 1, need: 2 };
    assert_eq!(
        Pinned::enrol(&one, &[ALICE.parse().unwrap(), BOB.parse().unwrap()]),
        Err(ManifestError::Document(short))
    );
}

#[test]
fn a_manifest_cannot_vouch_for_itself() {
    // Well made and signed, by operators nobody here has heard of.
    let theirs = signed(&draft(), &[1, 2, 3]);
    assert_eq!(
        Pinned::enrol(&theirs, &[public(8), public(9)]),
        Err(ManifestError::Roots { got: 0, need: 2 })
    );
    // A root that is listed but did not sign lends nothing.
    let two = signed(&draft(), &[1, 2]);
    assert_eq!(Pinned::enrol(&two, &[public(2), public(3)]), Err(ManifestError::Roots { got: 1, need: 2 }));
}

#[test]
fn enrolment_reads_nothing_beyond_the_bounds() {
    let huge = SignedDocument { body: vec![b' '; 256 * 1024 + 1], signatures: vec![] };
    let error = Pinned::enrol(&huge, &[public(1)]).unwrap_err();
    assert_eq!(error, ManifestError::Document(DocumentError::BodySize { len: 256 * 1024 + 1 }));
}

#[test]
fn a_store_gives_back_what_it_was_given_and_nothing_else() {
    let pinned = pinned();
    assert_eq!(Pinned::restore(pinned.document(), pinned.hash()), Ok(pinned.clone()));
    assert_eq!(Pinned::restore(pinned.document(), B256::ZERO), Err(ManifestError::NotPinned));
    let mut other = pinned.document().clone();
    other.body.push(b'\n');
    assert_eq!(Pinned::restore(&other, pinned.hash()), Err(ManifestError::NotPinned));
}

#[test]
fn the_same_body_again_is_no_change_whoever_signs() {
    let pinned = pinned();
    for signers in [&[1, 2][..], &[3, 2, 1], &[]] {
        let again = signed(&draft(), signers);
        assert_eq!(pinned.advance(&again), Ok(pinned.clone()));
    }
}

#[test]
fn the_operators_in_force_decide_who_comes_after_them() {
    let next = ManifestDraft { version: 2, operators: vec![operator_draft(7), operator_draft(8)], ..draft() };
    // The newcomers cannot let themselves in.
    assert!(matches!(
        pinned().advance(&signed(&next, &[7, 8])),
        Err(ManifestError::Document(DocumentError::Signature { index: 0, .. }))
    ));
    assert_eq!(
        pinned().advance(&signed(&next, &[1])),
        Err(ManifestError::Document(DocumentError::Quorum { got: 1, need: 2 }))
    );
    let second = pinned().advance(&signed(&next, &[1, 2])).unwrap();
    // From here on they alone decide.
    let third = ManifestDraft { version: 3, ..next.clone() };
    assert!(second.advance(&signed(&third, &[1, 2])).is_err());
    assert_eq!(second.advance(&signed(&third, &[7, 8])).unwrap().manifest().version(), 3);
    // And the machine still knows its own after a restart.
    assert_eq!(Pinned::restore(second.document(), second.hash()), Ok(second.clone()));
    assert_eq!(second.advance(&signed(&next, &[1, 2])), Ok(second));
}

#[test]
fn who_the_operators_are_may_take_more_of_them_than_a_policy() {
    let quorum = |operators, manifests| QuorumDraft { operators, manifests };
    let first = ManifestDraft { quorum: quorum(1, Some(2)), ..draft() };
    // At enrolment it is the roots that are believed, and a quorum of them.
    let pinned = Pinned::enrol(&signed(&first, &[1]), &[public(1)]).unwrap();
    assert_eq!((pinned.manifest().operator_quorum(), pinned.manifest().manifest_quorum()), (1, 2));
    // Nobody alone makes themselves everybody, nor the quorum smaller.
    for next in [
        ManifestDraft { version: 2, operators: vec![operator_draft(1)], quorum: quorum(1, None), ..draft() },
        ManifestDraft { version: 2, quorum: quorum(1, None), ..draft() },
    ] {
        let refused = pinned.advance(&signed(&next, &[1]));
        assert_eq!(refused, Err(ManifestError::Document(DocumentError::Quorum { got: 1, need: 2 })));
        assert_eq!(pinned.advance(&signed(&next, &[1, 2])).unwrap().manifest().manifest_quorum(), 1);
    }
    let again = ManifestDraft::from(pinned.manifest());
    assert_eq!(again.quorum, first.quorum);
    for (manifests, reason) in [(1, "must be 2 to 3, got 1"), (4, "must be 2 to 3, got 4")] {
        let wrong = ManifestDraft { quorum: quorum(2, Some(manifests)), ..draft() }.to_yaml().unwrap_err();
        assert_eq!(wrong.to_string(), format!("quorum.manifests: {reason}"));
    }
}

#[test]
fn nobody_takes_the_last_version_there_is() {
    let leap = |version| signed(&ManifestDraft { version, ..draft() }, &[1, 2]);
    for version in [u64::MAX, 2 + MAX_LEAP] {
        let refused = pinned().advance(&leap(version));
        assert_eq!(refused, Err(ManifestError::Leap { pinned: 1, offered: version }));
    }
    let far = pinned().advance(&leap(1 + MAX_LEAP)).unwrap();
    assert_eq!(far.advance(&leap(2 + MAX_LEAP)).unwrap().manifest().version(), 2 + MAX_LEAP);
}

#[test]
fn versions_only_go_up() {
    let fifth = ManifestDraft { version: 5, ..draft() };
    let fifth = pinned().advance(&signed(&fifth, &[1, 2])).unwrap();
    let second = ManifestDraft { version: 2, ..draft() };
    assert_eq!(
        fifth.advance(&signed(&second, &[1, 2])),
        Err(ManifestError::Rollback { pinned: 5, offered: 2 })
    );
    let other =
        ManifestDraft { version: 5, quorum: QuorumDraft { operators: 1, manifests: None }, ..draft() };
    assert_eq!(fifth.advance(&signed(&other, &[1, 2])), Err(ManifestError::Fork { version: 5 }));
    // A body that differs in a comment only is another body.
    let commented = [fifth.document().body.as_slice(), b"# note\n"].concat();
    assert_eq!(fifth.advance(&signed_body(&commented, &[1, 2])), Err(ManifestError::Fork { version: 5 }));
}

#[test]
fn what_is_fixed_for_life_stays() {
    assert_eq!(
        refusal(|draft| draft.cluster = "other".to_owned()),
        "cluster: the cluster is example and stays it"
    );
    assert_eq!(refusal(|draft| draft.dev = true), "dev: is false for life");
    assert_eq!(
        refusal(|draft| draft.nodes[2] = node_draft("cold-1", "cold", 99)),
        "nodes[2].key: the key of cold-1 is fixed; a new key needs a new node id"
    );
    assert_eq!(
        refusal(|draft| draft.nodes[3] = node_draft("agent-2", "service", 14)),
        "nodes[3].role: agent-2 is of role agent for life"
    );
    assert_eq!(
        refusal(|draft| draft.nodes[3] = node_draft("agent-3", "agent", 14)),
        "nodes[3].key: this key is agent-2's"
    );
    assert_eq!(
        refusal(|draft| draft.groups[0].agent = "agent-2".to_owned()),
        "groups[0].agent: the agent of group group-1 is agent-1 for life"
    );
    assert_eq!(refusal(|draft| draft.groups.clear()), "groups: group group-1 is missing");
    assert_eq!(
        refusal(|draft| draft.groups[0].id = "group-2".to_owned()),
        "groups: group group-1 is missing"
    );
}

#[test]
fn everything_else_may_change() {
    let changed = next(|draft| {
        draft.nodes.remove(3);
        draft.nodes.push(node_draft("agent-3", "agent", 15));
        draft.groups.insert(0, group_draft("group-2", ["agent-3", "service-1", "cold-1"]));
        draft.approvers = vec![operator_draft(4)];
        draft.quorum.operators = 3;
        draft.coordinators.clear();
        draft.nodes.reverse();
    })
    .unwrap();
    assert_eq!(changed.manifest().groups().len(), 2);
    assert_eq!(changed.manifest().operator_quorum(), 3);
}
