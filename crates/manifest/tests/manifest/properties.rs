//! Hostile and random input.

use proptest::prelude::*;
use quorate_manifest::{Manifest, ManifestDraft, Namespace, Pinned, SignedDocument, verify};

use crate::rig::{
    ALICE_SIG, BODY, alice_and_bob, document, draft, group_draft, node_draft, operator_draft, public, signed,
};

/// A change to a manifest, and whether it may ever be made.
#[derive(Debug, Clone, Copy)]
enum Change {
    AddNode,
    DropSpareNode,
    AddGroup,
    ReorderNodes,
    AddApprover,
    DropCoordinators,
    LowerQuorum,
    RenameCluster,
    TurnDev,
    RekeyNode,
    RekeyUnderOldId,
    SwapGroupMember,
    DropGroup,
}

const ALLOWED: [Change; 7] = [
    Change::AddNode,
    Change::DropSpareNode,
    Change::AddGroup,
    Change::ReorderNodes,
    Change::AddApprover,
    Change::DropCoordinators,
    Change::LowerQuorum,
];

const FORBIDDEN: [Change; 6] = [
    Change::RenameCluster,
    Change::TurnDev,
    Change::RekeyNode,
    Change::RekeyUnderOldId,
    Change::SwapGroupMember,
    Change::DropGroup,
];

fn apply(change: Change, draft: &mut ManifestDraft) {
    let node = |draft: &mut ManifestDraft, id: &str| draft.nodes.iter().position(|node| node.id == id);
    match change {
        Change::AddNode if node(draft, "service-2").is_none() => {
            draft.nodes.push(node_draft("service-2", "service", 22));
        }
        Change::DropSpareNode if draft.groups.iter().all(|group| group.agent != "agent-2") => {
            draft.nodes.retain(|node| node.id != "agent-2");
        }
        Change::AddGroup if draft.groups.len() < 2 && node(draft, "agent-2").is_some() => {
            draft.groups.push(group_draft("group-2", ["agent-2", "service-1", "cold-1"]));
        }
        Change::ReorderNodes => draft.nodes.rotate_left(1),
        Change::AddApprover => draft.approvers = vec![operator_draft(5)],
        Change::DropCoordinators => draft.coordinators.clear(),
        Change::LowerQuorum => draft.quorum.operators = 1,
        Change::RenameCluster => draft.cluster = "other".to_owned(),
        Change::TurnDev => draft.dev = true,
        Change::RekeyNode | Change::RekeyUnderOldId => {
            let at = node(draft, "agent-1").unwrap();
            draft.nodes[at] = node_draft("agent-1", "agent", 77);
        }
        Change::SwapGroupMember => {
            if node(draft, "agent-2").is_none() {
                draft.nodes.push(node_draft("agent-2", "agent", 14));
            }
            draft.groups[0].agent = "agent-2".to_owned();
        }
        Change::DropGroup => draft.groups.retain(|group| group.id != "group-1"),
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_allowed_changes_are_taken_and_one_forbidden_spoils_them(
        allowed in prop::collection::vec(prop::sample::select(&ALLOWED[..]), 0..6),
        forbidden in prop::option::of(prop::sample::select(&FORBIDDEN[..])),
    ) {
        let pinned = Pinned::enrol(&signed(&draft(), &[1, 2]), &[public(1), public(2)]).unwrap();
        let mut next = ManifestDraft { version: 2, ..draft() };
        for change in allowed.into_iter().chain(forbidden) {
            apply(change, &mut next);
        }
        let answer = pinned.advance(&signed(&next, &[2, 3]));
        prop_assert_eq!(answer.is_ok(), forbidden.is_none(), "{:?}", answer.err());
    }

    #[test]
    fn reading_never_panics(body in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = Manifest::parse(&body);
        let text = String::from_utf8_lossy(&body).into_owned();
        let _ = text.parse::<quorate_manifest::PersonKey>();
        let document = document(BODY, &[&text]);
        prop_assert!(verify(&document, Namespace::Manifest, &alice_and_bob(), 1).is_err());
    }

    #[test]
    fn a_damaged_manifest_never_panics_and_never_verifies(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut body = BODY.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        // What still reads as a manifest prints and reads back as itself.
        if let Ok(manifest) = Manifest::parse(&body) {
            let again = ManifestDraft::from(&manifest).to_yaml().unwrap();
            prop_assert_eq!(Manifest::parse(again.as_bytes()).unwrap(), manifest);
        }
        let changed = body != BODY.as_bytes();
        let damaged = SignedDocument { body, signatures: vec![ALICE_SIG.to_owned()] };
        let answer = verify(&damaged, Namespace::Manifest, &alice_and_bob(), 1);
        prop_assert_eq!(answer.is_err(), changed);
    }

    #[test]
    fn a_damaged_blob_never_panics_and_never_verifies(
        at in any::<prop::sample::Index>(),
        insert in "[A-Za-z0-9+/=\n -]{0,8}",
        cut in 0usize..8,
    ) {
        let at = at.index(ALICE_SIG.len());
        let end = (at + cut).min(ALICE_SIG.len());
        let text = format!("{}{insert}{}", &ALICE_SIG[..at], &ALICE_SIG[end..]);
        let same = |text: &str| text.split_whitespace().collect::<String>();
        let answer = verify(&document(BODY, &[&text]), Namespace::Manifest, &alice_and_bob(), 1);
        prop_assert!(answer.is_err() || same(&text) == same(ALICE_SIG), "{}", text);
    }
}
