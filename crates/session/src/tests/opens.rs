//! Opens that a relay or a peer has tampered with, and terms that make no sense.

use proptest::prelude::*;
use quorate_types::PartyIndex;

use super::rig::{
    Draws, agree, boot, caps, keygen_terms, manifest, node_key, opening, participants, sign_terms,
};
use crate::open::sign;
use crate::{Fault, MAX_OPEN_BYTES, OpenError, Opening, Participant, Protocol, Terms, TermsError};

// Where things lie in a signed open.
const FROM: std::ops::Range<usize> = 64..66;
const NONCE: std::ops::Range<usize> = 66..98;
const EPHEMERAL: std::ops::Range<usize> = 98..130;

fn opens() -> Vec<Vec<u8>> {
    [0, 1, 2].map(|party| opening(&keygen_terms(), party, 1).signed_open().to_vec()).into()
}

/// Party 0's answer to `opens`.
fn refusal(opens: &[Vec<u8>]) -> OpenError {
    agree(opening(&keygen_terms(), 0, 1), opens).err().unwrap()
}

/// Alters an open and has its party sign what comes out.
fn resigned(party: PartyIndex, open: &[u8], alter: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut open = open.to_vec();
    alter(&mut open);
    sign(&node_key(party), &open[64..])
}

#[test]
fn any_order_of_opens_will_do() {
    let mut opens = opens();
    let eid = agree(opening(&keygen_terms(), 0, 1), &opens).unwrap().eid();
    opens.rotate_left(1);
    assert_eq!(agree(opening(&keygen_terms(), 0, 1), &opens).unwrap().eid(), eid);
}

#[test]
fn one_open_per_participant() {
    let opens = opens();
    let stranger = opening(&Terms { participants: participants(&[0, 1, 2]), ..keygen_terms() }, 2, 9);
    assert_eq!(refusal(&opens[..2]), OpenError::Count { expected: 3, got: 2 });
    assert_eq!(refusal(&[]), OpenError::Count { expected: 3, got: 0 });
    let twice = [opens[0].clone(), opens[1].clone(), opens[1].clone()];
    assert_eq!(refusal(&twice), OpenError::Repeated(1));
    let without_ours = [opens[1].clone(), opens[1].clone(), opens[2].clone()];
    assert_eq!(refusal(&without_ours), OpenError::Repeated(1));
    let ours = opening(&sign_terms(), 0, 1);
    let with_stranger = [ours.signed_open().to_vec(), stranger.signed_open().to_vec()];
    assert_eq!(agree(ours, &with_stranger).err(), Some(OpenError::Stranger(2)));
}

#[test]
fn a_flipped_bit_anywhere_is_refused_and_nobody_is_blamed() {
    for party in [0, 1] {
        for at in 0..opens()[party].len() {
            let mut opens = opens();
            opens[party][at] ^= 1;
            let error = refusal(&opens);
            assert_eq!(error.fault(), Fault::Network, "byte {at}: {error}");
            if !FROM.contains(&at) {
                let expected = [OpenError::OwnAltered, OpenError::Signature(1)];
                assert_eq!(error, expected[party], "byte {at}");
            }
        }
    }
}

#[test]
fn relay_cannot_put_in_its_own_ephemeral_key() {
    let mut opens = opens();
    let relays = opening(&keygen_terms(), 1, 77).signed_open()[EPHEMERAL].to_vec();
    opens[1][EPHEMERAL].copy_from_slice(&relays);
    assert_eq!(refusal(&opens), OpenError::Signature(1));
}

#[test]
fn our_own_open_must_be_this_openings() {
    let mut opens = opens();
    // Signed by us, over the same terms, in an older session.
    opens[0] = opening(&keygen_terms(), 0, 2).signed_open().to_vec();
    assert_eq!(refusal(&opens), OpenError::OwnAltered);
}

#[test]
fn one_party_cannot_sign_for_another() {
    let mut opens = opens();
    opens[1] = sign(&node_key(2), &opens[1][64..]);
    assert_eq!(refusal(&opens), OpenError::Signature(1));
}

#[test]
fn sizes_are_checked_first() {
    for bad in [0, 63, 145, MAX_OPEN_BYTES + 1] {
        let mut opens = opens();
        opens[1].resize(bad, 0);
        let error = refusal(&opens);
        assert_eq!((error.fault(), error), (Fault::Network, OpenError::Size(bad)));
    }
}

#[test]
fn longest_names_fit() {
    let longest = |letter: &str| letter.repeat(63);
    let terms = Terms {
        cluster: longest("c").parse().unwrap(),
        group: longest("g").parse().unwrap(),
        wallet: Some(longest("w").parse().unwrap()),
        participants: [(0, "x"), (1, "y"), (2, "z")]
            .map(|(index, letter)| Participant { index, node: longest(letter).parse().unwrap() })
            .into(),
        ..sign_terms()
    };
    assert!(opening(&terms, 0, 1).signed_open().len() <= MAX_OPEN_BYTES);
}

#[test]
fn signed_truncation_and_trailing_bytes_are_refused() {
    let mut opens = opens();
    let whole = opens[1].clone();
    opens[1] = resigned(1, &whole, |open| open.push(0));
    assert_eq!(refusal(&opens), OpenError::Differs { field: "trailing bytes", party: 1 });
    // The terms follow 64 bytes of signature, 82 of who and when, and the logs of three.
    for len in 339..whole.len() {
        opens[1] = resigned(1, &whole, |open| open.truncate(len));
        assert!(matches!(refusal(&opens), OpenError::Differs { party: 1, .. }), "{len}");
    }
}

#[test]
fn low_order_ephemeral_keys_convict_their_signer() {
    // RFC 7748, 6.1; the points of order 1, 2, 4 and 8 on curve and twist, and encodings above p.
    let low_order = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for point in low_order {
        let point = hex::decode(point).unwrap();
        let mut opens = opens();
        for party in [1, 2] {
            let weakened = |open: &mut Vec<u8>| open[EPHEMERAL].copy_from_slice(&point);
            opens[usize::from(party)] = resigned(party, &opens[usize::from(party)], weakened);
        }
        let error = refusal(&opens);
        assert_eq!((error.fault(), error), (Fault::Peer(1), OpenError::LowOrder(1)));
    }
}

#[test]
fn copies_are_refused_and_the_copier_named_where_it_can_be_told() {
    for (field, range) in [("nonce", NONCE), ("ephemeral key", EPHEMERAL)] {
        let copy = |from: usize, to: PartyIndex| {
            let mut opens = opens();
            let copied = opens[from][range.clone()].to_vec();
            let paste = |open: &mut Vec<u8>| open[range.clone()].copy_from_slice(&copied);
            opens[usize::from(to)] = resigned(to, &opens[usize::from(to)], paste);
            refusal(&opens)
        };
        let error = copy(0, 2);
        assert_eq!((error.fault(), error), (Fault::Peer(2), OpenError::Copied { field, party: 2 }));
        let error = copy(1, 2);
        assert_eq!((error.fault(), error), (Fault::Network, OpenError::Alike { field, first: 1, second: 2 }));
    }
}

#[test]
fn a_second_encoding_of_an_ephemeral_key_is_the_same_key() {
    let mut opens = opens();
    let mut ours = opens[0][EPHEMERAL].to_vec();
    ours[31] |= 0x80;
    opens[1] = resigned(1, &opens[1], |open| open[EPHEMERAL].copy_from_slice(&ours));
    assert_eq!(refusal(&opens), OpenError::Copied { field: "ephemeral key", party: 1 });
}

#[test]
fn manifest_must_name_everyone_and_us_rightly() {
    let ask = |odd: &str, answer: Option<PartyIndex>| {
        let keys = |node: &quorate_types::NodeId| match node.as_str() == odd {
            true => answer.map(|party| node_key(party).public()),
            false => manifest(node),
        };
        let error = opening(&keygen_terms(), 0, 1).agree(&opens(), keys, caps()).err().unwrap();
        (error.fault(), error)
    };
    assert_eq!(ask("cold-1", None), (Fault::Caller, OpenError::NoKey(2)));
    assert_eq!(ask("agent-1", None), (Fault::Caller, OpenError::NoKey(0)));
    assert_eq!(ask("agent-1", Some(7)), (Fault::Caller, OpenError::OtherKey));
    assert_eq!(ask("service-1", Some(7)), (Fault::Network, OpenError::Signature(1)));
}

#[test]
fn terms_that_make_no_sense_are_not_signed() {
    let refused = |terms: Terms, me| {
        let error = Opening::new(terms, me, &boot(me).into(), node_key(me), &mut Draws::from_seed(1)).err();
        assert!(error.as_ref().is_none_or(|error| error.fault() == Fault::Caller));
        error
    };
    let aux = Terms { protocol: Protocol::Aux, wallet: None, ..keygen_terms() };
    for good in [sign_terms(), keygen_terms(), aux.clone()] {
        assert_eq!(refused(good, 1), None);
    }
    let sign = |change: fn(&mut Terms)| {
        let mut terms = sign_terms();
        change(&mut terms);
        refused(terms, 1)
    };
    let missing = |field| Some(TermsError::Missing { field });
    let surplus = |field| Some(TermsError::Surplus { field });
    assert_eq!(sign(|terms| terms.version = 2), Some(TermsError::Version(2)));
    assert_eq!(sign(|terms| terms.wallet = None), missing("wallet"));
    assert_eq!(sign(|terms| terms.public_key = None), missing("public key"));
    assert_eq!(sign(|terms| terms.aux_hash = None), missing("aux hash"));
    assert_eq!(sign(|terms| terms.policy_hash = None), missing("policy hash"));
    assert_eq!(sign(|terms| terms.participants.reverse()), Some(TermsError::Order));
    assert_eq!(sign(|terms| terms.participants[0].index = 1), Some(TermsError::Order));
    assert_eq!(sign(|terms| terms.participants[1].index = 3), Some(TermsError::Order));
    let repeated = sign(|terms| terms.participants[1].node = "agent-1".parse().unwrap());
    assert_eq!(repeated, Some(TermsError::RepeatedNode("agent-1".parse().unwrap())));
    assert_eq!(refused(sign_terms(), 2), Some(TermsError::NotParticipant(2)));
    let three = Terms { participants: participants(&[0, 1, 2]), ..sign_terms() };
    assert_eq!(refused(three, 1), Some(TermsError::Count { expected: 2, got: 3 }));
    let two = Terms { participants: participants(&[0, 1]), ..keygen_terms() };
    assert_eq!(refused(two, 1), Some(TermsError::Count { expected: 3, got: 2 }));
    let keyed = Terms { public_key: sign_terms().public_key, ..keygen_terms() };
    assert_eq!(refused(keyed, 1), surplus("public key"));
    assert_eq!(refused(Terms { wallet: sign_terms().wallet, ..aux }, 1), surplus("wallet"));
}

proptest! {
    #[test]
    fn garbage_never_panics_and_never_agrees(garbage in prop::collection::vec(any::<u8>(), 0..MAX_OPEN_BYTES + 9)) {
        let mut opens = opens();
        opens[1] = garbage.clone();
        prop_assert_eq!(refusal(&opens).fault(), Fault::Network);
        // The same, signed by the peer: still refused, whatever it says.
        opens[1] = sign(&node_key(1), &garbage);
        refusal(&opens);
        // And behind a head that is in order.
        opens[1] = sign(&node_key(1), &[&super::opens::opens()[1][64..146], garbage.as_slice()].concat());
        refusal(&opens);
    }
}
