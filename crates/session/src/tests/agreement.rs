//! What must be the same for every party, and what the execution id depends on.

use std::collections::BTreeSet;

use quorate_types::{B256, PublicKey};

use super::rig::{agree, channels, keygen_terms, opening, participants, sign_terms};
use crate::{Fault, OpenError, Protocol, Terms};

type Change = fn(&mut Terms);

// One row per field of `Terms`; `fields_are_all_listed` holds the table to that.
const CHANGES: [(&str, Change); 12] = [
    ("protocol version", |terms| terms.version += 1),
    ("cluster", |terms| terms.cluster = "dew".parse().unwrap()),
    ("protocol", |terms| terms.protocol = Protocol::Keygen),
    ("group", |terms| terms.group = "group-2".parse().unwrap()),
    ("wallet", |terms| terms.wallet = Some("wallet-2".parse().unwrap())),
    ("public key", |terms| terms.public_key = Some(other_key())),
    ("epoch", |terms| terms.epoch += 1),
    ("aux hash", |terms| terms.aux_hash = Some(B256::ZERO)),
    ("participants", |terms| terms.participants = participants(&[0, 1, 2])),
    ("subject", |terms| terms.subject = B256::ZERO),
    ("policy hash", |terms| terms.policy_hash = Some(B256::ZERO)),
    ("manifest hash", |terms| terms.manifest_hash = B256::ZERO),
];

// Other ways for a field to differ.
const MORE_CHANGES: [(&str, Change); 8] = [
    ("protocol", |terms| terms.protocol = Protocol::Aux),
    ("wallet", |terms| terms.wallet = None),
    ("public key", |terms| terms.public_key = None),
    ("aux hash", |terms| terms.aux_hash = None),
    ("policy hash", |terms| terms.policy_hash = None),
    ("participants", |terms| terms.participants[0].node = "agent-2".parse().unwrap()),
    ("participants", |terms| terms.participants[0].index = 2),
    ("participants", |terms| terms.participants.reverse()),
];

fn other_key() -> PublicKey {
    "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5".parse().unwrap()
}

fn changed(change: Change) -> Terms {
    let mut terms = sign_terms();
    change(&mut terms);
    assert_ne!(terms, sign_terms());
    terms
}

#[test]
fn fields_are_all_listed() {
    // A field added to `Terms` stops this from compiling: give it a row in `CHANGES`.
    let Terms {
        version: _,
        cluster: _,
        protocol: _,
        group: _,
        wallet: _,
        public_key: _,
        epoch: _,
        aux_hash: _,
        participants: _,
        subject: _,
        policy_hash: _,
        manifest_hash: _,
    } = sign_terms();
    let names: Vec<_> = sign_terms().fields().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, CHANGES.map(|(name, _)| name));
    for (name, change) in CHANGES.into_iter().chain(MORE_CHANGES) {
        let pairs = sign_terms().fields().into_iter().zip(changed(change).fields());
        let differing: Vec<_> = pairs.filter(|(a, b)| a.1 != b.1).map(|(a, _)| a.0).collect();
        assert_eq!(differing, [name]);
    }
}

#[test]
fn each_differing_field_is_named() {
    for (field, change) in CHANGES.into_iter().chain(MORE_CHANGES) {
        let ours = opening(&sign_terms(), 0, 1);
        let theirs = opening(&changed(change), 1, 1);
        let opens = [ours.signed_open().to_vec(), theirs.signed_open().to_vec()];
        let error = agree(ours, &opens).err().unwrap();
        assert_eq!(error, OpenError::Differs { field, party: 1 });
        assert_eq!(error.fault(), Fault::Caller);
        assert_eq!(error.to_string(), format!("{field}: party 1 was asked differently"));
    }
}

#[test]
fn the_party_that_differs_is_named_among_three() {
    let terms = keygen_terms();
    let odd = Terms { epoch: 8, ..terms.clone() };
    let opens: Vec<_> = [(&terms, 0), (&terms, 1), (&odd, 2)]
        .map(|(terms, party)| opening(terms, party, 1).signed_open().to_vec())
        .into();
    for me in [0, 1] {
        let error = agree(opening(&terms, me, 1), &opens).err();
        assert_eq!(error, Some(OpenError::Differs { field: "epoch", party: 2 }));
    }
}

#[test]
fn three_parties_share_one_eid() {
    let channels = channels(&keygen_terms(), 1);
    let eids: BTreeSet<_> = channels.values().map(|channel| channel.eid()).collect();
    assert_eq!(eids.len(), 1);
    for (me, channel) in &channels {
        assert_eq!(channel.me(), *me);
        let peers: Vec<_> = channel.peers().collect();
        let expected = [0, 1, 2].into_iter().filter(|party| party != me);
        assert_eq!(peers, expected.map(|party| (party, super::rig::boot(party))).collect::<Vec<_>>());
    }
}

#[test]
fn eid_depends_on_each_field_and_each_nonce() {
    let eid = |terms: &Terms, seeds: [u64; 2]| {
        let opens: Vec<_> = seeds
            .into_iter()
            .zip([0, 1])
            .map(|(seed, party)| opening(terms, party, seed).signed_open().to_vec())
            .collect();
        crate::Eid::derive(terms, opens.iter().map(Vec::as_slice))
    };
    let mut eids = BTreeSet::from([eid(&sign_terms(), [1, 1])]);
    for seeds in [[1, 2], [2, 1], [2, 2]] {
        assert!(eids.insert(eid(&sign_terms(), seeds)), "{seeds:?}");
    }
    for (name, change) in CHANGES.into_iter().chain(MORE_CHANGES) {
        assert!(eids.insert(eid(&changed(change), [1, 1])), "{name}");
    }
}

#[test]
fn eid_depends_on_the_fields_themselves() {
    // The opens held fixed: each field is hashed for its own sake too.
    let eid = |terms: &Terms| crate::Eid::derive(terms, std::iter::empty());
    let eids: BTreeSet<_> = CHANGES.into_iter().map(|(_, change)| eid(&changed(change))).collect();
    assert_eq!(eids.len(), CHANGES.len());
}
