//! What a relay or a peer can do to an envelope.

use std::collections::BTreeSet;

use proptest::prelude::*;
use quorate_types::PartyIndex;

use super::rig::{agree, channels, keygen_terms, message, node_key, opening, pair, seal_to};
use crate::envelope::{HEADER_BYTES, Header};
use crate::{
    BadSignature, Channel, EnvelopeError, Fault, MAX_MESSAGES, MAX_STRAYS, Opened, Recipient, SealError,
    Stray,
};

const TO: std::ops::Range<usize> = 35..37;

fn dropped(channel: &mut Channel, bytes: &[u8]) -> Stray {
    match channel.open(bytes) {
        Ok(Opened::Dropped(stray)) => stray,
        Ok(Opened::Message(_)) => panic!("opened"),
        Ok(Opened::Duplicate(_)) => panic!("duplicate"),
        Err(error) => panic!("{error}"),
    }
}

/// What a rogue with `channel`'s keys seals: any header, any trailer.
fn rogue(channel: &mut Channel, alter: impl Fn(&mut Header), body: &[u8], trailer: &[u8]) -> Vec<u8> {
    let (to, round) = (1, 0);
    let number = channel.lines.get_mut(&to).unwrap().take_number().unwrap();
    let mut header = Header { eid: channel.eid, round, from: channel.me, to, broadcast: false, number };
    alter(&mut header);
    channel.lines[&to].seal(&header, body, trailer).unwrap()
}

#[test]
fn every_party_hears_every_other() {
    let mut channels = channels(&keygen_terms(), 1);
    let sent: Vec<_> = channels
        .iter_mut()
        .flat_map(|(from, channel)| {
            let mut sealed = channel.seal(0, Recipient::All, &[*from as u8; 5]).unwrap();
            for to in (0..3).filter(|to| to != from) {
                sealed.extend(channel.seal(1, Recipient::One(to), &[*from as u8, to as u8]).unwrap());
            }
            sealed.into_iter().map(|sealed| (*from, sealed)).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(sent.len(), 12);
    for (from, sealed) in sent {
        let got = message(channels.get_mut(&sealed.to).unwrap().open(&sealed.bytes).unwrap());
        assert_eq!(got.from, from);
        match got.broadcast {
            Some(broadcast) => {
                assert_eq!((got.round, got.body.as_slice()), (0, [from as u8; 5].as_slice()));
                assert_eq!((broadcast.from, broadcast.round), (from, 0));
                assert_eq!(broadcast.verify(&node_key(from).public()), Ok(()));
            }
            None => {
                assert_eq!((got.round, got.body.as_slice()), (1, [from as u8, sealed.to as u8].as_slice()));
            }
        }
    }
}

#[test]
fn body_is_not_in_the_envelope() {
    let (mut sender, _) = pair(1);
    let body = b"raw sub-share of party one";
    for sealed in sender.seal(0, Recipient::All, body).unwrap() {
        assert!(!sealed.bytes.windows(8).any(|window| body.windows(8).any(|part| part == window)));
    }
}

#[test]
fn a_flipped_bit_anywhere_is_dropped_and_nobody_is_blamed() {
    let (mut sender, mut receiver) = pair(1);
    let direct = seal_to(&mut sender, 1, b"body");
    let broadcast = sender.seal(1, Recipient::All, b"body").unwrap().remove(0).bytes;
    for envelope in [direct, broadcast] {
        for at in 0..envelope.len() {
            for bit in [0x01, 0x80] {
                let mut bytes = envelope.clone();
                bytes[at] ^= bit;
                receiver.strays = 0;
                dropped(&mut receiver, &bytes);
            }
        }
        for len in 0..envelope.len() {
            receiver.strays = 0;
            dropped(&mut receiver, &envelope[..len]);
        }
        receiver.strays = 0;
        dropped(&mut receiver, &[envelope.as_slice(), &[0]].concat());
        // What was really sent still arrives.
        assert_eq!(message(receiver.open(&envelope).unwrap()).body.as_slice(), b"body");
    }
}

#[test]
fn strays_say_what_they_are() {
    let (mut sender, mut receiver) = pair(1);
    let envelope = seal_to(&mut sender, 1, b"body");
    let mut altered = |at: usize, byte: u8| {
        let mut bytes = envelope.clone();
        bytes[at] = byte;
        dropped(&mut receiver, &bytes)
    };
    assert_eq!(altered(0, !envelope[0]), Stray::OtherSession);
    assert_eq!(altered(32, 1), Stray::NotAuthentic);
    assert_eq!(altered(32, 3), Stray::UnknownRound);
    assert_eq!(altered(34, 2), Stray::NotAuthentic);
    assert_eq!(altered(34, 1), Stray::UnknownSender);
    assert_eq!(altered(34, 3), Stray::UnknownSender);
    assert_eq!(altered(36, 2), Stray::OtherRecipient);
    assert_eq!(altered(37, 1), Stray::NotAuthentic);
    assert_eq!(altered(37, 2), Stray::Malformed);
    assert_eq!(altered(39, 9), Stray::NotAuthentic);
    assert_eq!(altered(32, 2), Stray::Oversize);
}

#[test]
fn another_sessions_envelopes_do_not_open() {
    let (mut old_sender, _) = pair(1);
    let (_, mut receiver) = pair(2);
    let envelope = seal_to(&mut old_sender, 1, b"body");
    assert_eq!(dropped(&mut receiver, &envelope), Stray::OtherSession);
    // Nor with the session's name put in.
    let mut renamed = envelope;
    renamed[..32].copy_from_slice(receiver.eid().as_bytes());
    assert_eq!(dropped(&mut receiver, &renamed), Stray::NotAuthentic);
}

#[test]
fn an_old_open_replayed_gives_a_new_eid_and_opens_nothing() {
    let terms = keygen_terms();
    let old: Vec<_> = [0, 1, 2].map(|party| opening(&terms, party, 1).signed_open().to_vec()).into();
    let mut old_peer = agree(opening(&terms, 0, 1), &old).unwrap();
    // Party 1 opens a new session; the relay replays the others' old opens, which are rightly signed.
    let ours = opening(&terms, 1, 2);
    let opens = [old[0].clone(), ours.signed_open().to_vec(), old[2].clone()];
    let mut receiver = agree(ours, &opens).unwrap();
    assert_ne!(receiver.eid(), old_peer.eid());
    let envelope = seal_to(&mut old_peer, 1, b"body");
    assert_eq!(dropped(&mut receiver, &envelope), Stray::OtherSession);
}

#[test]
fn a_peer_with_two_opens_splits_the_session() {
    let terms = keygen_terms();
    let open = |party, seed| opening(&terms, party, seed).signed_open().to_vec();
    // Party 2 signs two opens over the same terms; the relay shows each of the others one.
    let shown_to_0 = [open(0, 1), open(1, 1), open(2, 1)];
    let shown_to_1 = [open(0, 1), open(1, 1), open(2, 2)];
    let mut zero = agree(opening(&terms, 0, 1), &shown_to_0).unwrap();
    let mut one = agree(opening(&terms, 1, 1), &shown_to_1).unwrap();
    assert_ne!(zero.eid(), one.eid());
    assert_eq!(dropped(&mut one, &seal_to(&mut zero, 1, b"body")), Stray::OtherSession);
    assert_eq!(dropped(&mut zero, &seal_to(&mut one, 0, b"body")), Stray::OtherSession);
}

#[test]
fn recipients_and_senders_cannot_be_swapped() {
    let mut all = channels(&keygen_terms(), 1);
    let to_1 = seal_to(all.get_mut(&0).unwrap(), 1, b"body");
    assert_eq!(dropped(all.get_mut(&2).unwrap(), &to_1), Stray::OtherRecipient);
    let mut readdressed = to_1.clone();
    readdressed[TO].copy_from_slice(&2_u16.to_be_bytes());
    assert_eq!(dropped(all.get_mut(&2).unwrap(), &readdressed), Stray::NotAuthentic);
    let mut as_if_from_2 = to_1.clone();
    as_if_from_2[33..35].copy_from_slice(&2_u16.to_be_bytes());
    assert_eq!(dropped(all.get_mut(&1).unwrap(), &as_if_from_2), Stray::NotAuthentic);
    // Thrown back at its sender, as it is and with sender and recipient exchanged.
    assert_eq!(dropped(all.get_mut(&0).unwrap(), &to_1), Stray::OtherRecipient);
    let mut reflected = to_1;
    reflected[33..37].copy_from_slice(&[0, 1, 0, 0]);
    assert_eq!(dropped(all.get_mut(&0).unwrap(), &reflected), Stray::NotAuthentic);
}

#[test]
fn each_direction_has_its_own_key() {
    let mut all = channels(&keygen_terms(), 1);
    let mut ciphertexts = BTreeSet::new();
    for from in 0..3 {
        for to in (0..3).filter(|to| *to != from) {
            // The same text under the same number: only the key differs.
            let envelope = seal_to(all.get_mut(&from).unwrap(), to, &[0; 32]);
            assert!(ciphertexts.insert(envelope[HEADER_BYTES..HEADER_BYTES + 32].to_vec()), "{from} to {to}");
        }
    }
}

#[test]
fn duplicates_are_dropped_and_order_does_not_matter() {
    let (mut sender, mut receiver) = pair(1);
    let mut envelopes: Vec<_> = (0..9).map(|n| seal_to(&mut sender, 1, &[n])).collect();
    envelopes.reverse();
    for (n, envelope) in envelopes.iter().enumerate() {
        assert_eq!(message(receiver.open(envelope).unwrap()).body.as_slice(), [8 - n as u8]);
    }
    // Copies never add up to a flood.
    for envelope in envelopes.iter().cycle().take(3 * MAX_STRAYS as usize) {
        assert!(matches!(receiver.open(envelope), Ok(Opened::Duplicate(0))));
    }
}

#[test]
fn too_many_strays_end_the_session_as_a_network_failure() {
    let (mut sender, mut receiver) = pair(1);
    let good = seal_to(&mut sender, 1, b"body");
    for _ in 1..MAX_STRAYS {
        dropped(&mut receiver, b"noise");
    }
    message(receiver.open(&good).unwrap());
    assert_eq!(receiver.open(b"noise").err(), Some(EnvelopeError::Flooded));
    assert_eq!(receiver.open(&good).err(), Some(EnvelopeError::Flooded));
    assert!(EnvelopeError::Flooded.fault().is_retryable());
}

#[test]
fn caps_hold_on_both_sides() {
    let (mut sender, mut receiver) = pair(1);
    let oversize = SealError::Oversize { round: 0, len: 65, cap: 64 };
    assert_eq!(sender.seal(0, Recipient::All, &[0; 65]), Err(oversize));
    assert_eq!(sender.seal(3, Recipient::All, &[]), Err(SealError::UnknownRound(3)));
    let exact = sender.seal(0, Recipient::All, &[0; 64]).unwrap().remove(0).bytes;
    assert_eq!(message(receiver.open(&exact).unwrap()).body.len(), 64);
    let exact = seal_to(&mut sender, 1, &[0; 64]);
    assert_eq!(message(receiver.open(&exact).unwrap()).body.len(), 64);
    let large = rogue(&mut sender, |_| {}, &[0; 65], &[]);
    assert_eq!(dropped(&mut receiver, &large), Stray::Oversize);
    let late = rogue(&mut sender, |header| header.round = 3, &[], &[]);
    assert_eq!(dropped(&mut receiver, &late), Stray::UnknownRound);
    let largest = receiver.caps.largest_envelope();
    assert_eq!(sender.seal(1, Recipient::All, &[0; 1000]).unwrap()[0].bytes.len(), largest);
}

#[test]
fn only_peers_are_sealed_to() {
    let (mut sender, _) = pair(1);
    for nobody in [0, 3] {
        let refused = sender.seal(0, Recipient::One(nobody), &[]);
        assert_eq!(refused, Err(SealError::NotAPeer(nobody)));
    }
    assert_eq!(SealError::NotAPeer(3).fault(), Fault::Bug);
}

#[test]
fn a_nonce_is_never_used_twice() {
    let (mut sender, mut receiver) = pair(1);
    let mut nonces = BTreeSet::new();
    for _ in 0..MAX_MESSAGES {
        let envelope = seal_to(&mut sender, 1, b"");
        assert!(nonces.insert(envelope[38..40].to_vec()));
        message(receiver.open(&envelope).unwrap());
    }
    assert_eq!(sender.seal(0, Recipient::One(1), &[]), Err(SealError::Exhausted));
    assert_eq!(sender.seal(0, Recipient::All, &[]), Err(SealError::Exhausted));
    // The other direction counts for itself.
    assert!(sender.seal(0, Recipient::One(2), &[]).is_ok());
}

#[test]
fn numbers_beyond_the_last_convict_their_sender() {
    let (mut sender, mut receiver) = pair(1);
    let envelope = rogue(&mut sender, |header| header.number = MAX_MESSAGES, &[], &[]);
    let error = receiver.open(&envelope).err().unwrap();
    assert_eq!((error.fault(), error), (Fault::Peer(0), EnvelopeError::TooMany(0)));
}

#[test]
fn an_unsigned_broadcast_convicts_its_sender() {
    let wrong = |trailer: &[u8]| {
        let (mut sender, mut receiver) = pair(1);
        let envelope = rogue(&mut sender, |header| header.broadcast = true, b"body", trailer);
        let error = receiver.open(&envelope).err().unwrap();
        (error.fault(), error)
    };
    let unsigned = (Fault::Peer(0), EnvelopeError::Unsigned(0));
    // The signature of another body, round or session will not do.
    let (mut sender, _) = pair(1);
    let other_body = sender.sign(0, b"bodz");
    let other_round = sender.sign(1, b"body");
    let other_session = pair(2).0.sign(0, b"body");
    for signature in [other_body, other_round, other_session, [0; 64]] {
        assert_eq!(wrong(&signature), unsigned);
    }
    for short in [&[][..], &[0; 59]] {
        assert_eq!(wrong(short), unsigned);
    }
    // The right one will.
    let right = sender.sign(0, b"body");
    let envelope = rogue(&mut sender, |header| header.broadcast = true, b"body", &right);
    message(pair(1).1.open(&envelope).unwrap());
}

#[test]
fn one_broadcast_a_round() {
    let (mut sender, mut receiver) = pair(1);
    let first = sender.seal(0, Recipient::All, b"a").unwrap().remove(0).bytes;
    assert_eq!(sender.seal(0, Recipient::All, b"b"), Err(SealError::BroadcastTwice(0)));
    message(receiver.open(&first).unwrap());
    let signature = sender.sign(0, b"b");
    let second = rogue(&mut sender, |header| header.broadcast = true, b"b", &signature);
    let error = receiver.open(&second).err().unwrap();
    assert_eq!((error.fault(), error), (Fault::Peer(0), EnvelopeError::BroadcastTwice(0)));
}

#[test]
fn two_different_broadcasts_of_a_round_are_a_proof() {
    let heard_by = |to: PartyIndex, round: u8, body: &[u8]| {
        let mut all = channels(&keygen_terms(), 1);
        let sealed = all.get_mut(&0).unwrap().seal(round, Recipient::All, body).unwrap();
        let envelope = sealed.into_iter().find(|sealed| sealed.to == to).unwrap().bytes;
        message(all.get_mut(&to).unwrap().open(&envelope).unwrap()).broadcast.unwrap()
    };
    let (one, two) = (heard_by(1, 0, b"same"), heard_by(2, 0, b"same"));
    assert_eq!(one, two);
    assert!(!one.contradicts(&two));
    assert!(!one.contradicts(&heard_by(2, 1, b"another round")));
    let lie = heard_by(2, 0, b"other");
    assert!(one.contradicts(&lie));
    for broadcast in [&one, &lie] {
        assert_eq!(broadcast.verify(&node_key(0).public()), Ok(()));
        assert_eq!(broadcast.verify(&node_key(1).public()), Err(BadSignature));
    }
}

proptest! {
    #[test]
    fn garbage_never_panics_and_never_opens(garbage in prop::collection::vec(any::<u8>(), 0..1200), head in 0..HEADER_BYTES) {
        let (mut sender, mut receiver) = pair(1);
        dropped(&mut receiver, &garbage);
        // Behind as much of a good envelope as you like.
        let good = seal_to(&mut sender, 1, b"body");
        for kept in [head, HEADER_BYTES] {
            dropped(&mut receiver, &[&good[..kept], garbage.as_slice()].concat());
        }
        // Even sealed by the peer, as a broadcast with garbage for a signature.
        let envelope = rogue(&mut sender, |header| { header.broadcast = true; header.round = 1; }, &garbage, &[]);
        let opened = receiver.open(&envelope);
        prop_assert!(matches!(opened, Err(EnvelopeError::Unsigned(0)) | Ok(Opened::Dropped(Stray::Oversize))));
    }
}
