//! Honest runs: a key is born, every pair signs, and the messages are as large as the caps say.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{digest, finish, group, keygen, prehash, presign, sign};
use futures::executor::block_on;
use quorate_mpc::fixtures::run;
use quorate_mpc::{
    CoreShare, Fault, GroupAux, Moduli, Party, Primes, ProtocolKind, deal_presignature, generate_aux,
    round_rules,
};
use quorate_types::{B256, Signature};

#[test]
fn a_key_is_born_and_every_pair_signs() {
    let shares = keygen();
    let key = shares[0].public_key().unwrap();
    assert!(shares.iter().all(|share| share.public_key() == Ok(key)));
    let shares: Vec<_> = shares.iter().map(|share| share.to_bytes().unwrap()).collect();
    for pair in [[0, 1], [0, 2], [1, 2]] {
        let digest = digest(b"pay");
        let signature = sign(pair, &shares, &digest).unwrap();
        // The r, s and v that leave are checked again from their bytes, by k256 alone.
        assert_eq!(Signature::from_bytes(&signature.to_bytes(), digest.digest(), key), Ok(signature));
        let recovered = k256_recover(&signature, digest.digest());
        assert_eq!(recovered, key.to_sec1());
    }
}

fn k256_recover(signature: &Signature, digest: B256) -> Vec<u8> {
    use k256::ecdsa::{RecoveryId, Signature as Raw, VerifyingKey};
    let raw = Raw::from_slice(&signature.to_bytes()[..64]).unwrap();
    let id = RecoveryId::from_byte(signature.v() - 27).unwrap();
    VerifyingKey::recover_from_prehash(digest.as_slice(), &raw, id).unwrap().to_sec1_bytes().to_vec()
}

/// The library reduces what is above the group's order, as every verifier does.
#[test]
fn every_pair_signs_a_raw_digest_and_no_half_leaves_by_itself() {
    let shares = keygen();
    let key = shares[0].public_key().unwrap();
    let shares: Vec<_> = shares.iter().map(|share| share.to_bytes().unwrap()).collect();
    for (pair, byte) in [([0, 1], 0x11), ([0, 2], 0xff), ([1, 2], 0x80)] {
        let (digest, mut rounds) = (B256::repeat_byte(byte), BTreeSet::new());
        let halves = prehash(pair, &shares, [digest; 2], |message| {
            rounds.insert(message.round);
            vec![message]
        });
        assert_eq!(rounds, BTreeSet::from([0, 1, 2, 3, 5]), "round 4 holds the halves");
        let [one, other] = halves.map(|half| half.ok().unwrap());
        let signature = block_on(other.combine((pair[0], one.issue()))).unwrap();
        assert_eq!(Signature::from_bytes(&signature.to_bytes(), digest, key), Ok(signature));
        assert_eq!(k256_recover(&signature, digest), key.to_sec1());
    }
}

/// What the load generator signs with is a presignature like any other, but for how it came to be.
#[test]
fn every_pair_signs_with_dealt_presignatures() {
    let shares = keygen();
    let key = shares[0].public_key().unwrap();
    let shares: Vec<_> = shares.iter().map(|share| share.to_bytes().unwrap()).collect();
    let mut seen = BTreeSet::new();
    for (pair, eid) in [([0, 1], 6), ([0, 2], 6), ([1, 2], 6), ([0, 1], 7)] {
        let deal = |me: u16| {
            let share =
                CoreShare::from_bytes(&shares[usize::from(me)]).unwrap().with_aux(&group(me)).unwrap();
            let party = Party { eid: &[eid; 32], me, participants: &pair };
            (me, deal_presignature(&party, &share).unwrap())
        };
        let digest = digest(b"pay");
        let signature = finish(pair.map(deal).into(), &digest).unwrap();
        assert_eq!(Signature::from_bytes(&signature.to_bytes(), digest.digest(), key), Ok(signature));
        seen.insert((eid, signature.to_bytes()[..32].to_vec()));
    }
    assert_eq!(seen.len(), 2, "one nonce for each execution id");
}

#[test]
fn shares_survive_storage_and_reject_tampering() {
    let shares = keygen();
    let bytes = shares[1].to_bytes().unwrap();
    let again = CoreShare::from_bytes(&bytes).unwrap();
    assert_eq!(again.public_key(), shares[1].public_key());
    assert_eq!(again.party(), 1);
    for position in 0..bytes.len() {
        let mut tampered = bytes.to_vec();
        tampered[position] ^= 1;
        let read = CoreShare::from_bytes(&tampered);
        assert!(read.is_err(), "byte {position} changed unnoticed");
    }
    assert!(CoreShare::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    let other = keygen();
    assert_ne!(other[1].public_key(), shares[1].public_key());
    assert!(again.with_aux(&group(0)).is_err(), "aux info of another party was taken");
}

#[test]
fn production_refuses_the_dev_group() {
    let bytes = quorate_mpc::fixtures::group_bytes(0);
    assert!(GroupAux::from_bytes(bytes, Moduli::Dev).is_ok());
    let error = GroupAux::from_bytes(bytes, Moduli::Production).err().unwrap();
    assert!(error.to_string().contains("dev modulus"), "{error}");
}

#[test]
fn aux_record_rejects_tampering() {
    let bytes = quorate_mpc::fixtures::group_bytes(1);
    assert_eq!(group(1).to_bytes().unwrap().as_slice(), bytes);
    assert_eq!(group(1).hash(), group(2).hash());
    for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        assert!(GroupAux::from_bytes(&bytes[..cut], Moduli::Dev).is_err());
    }
    // Own primes first: any change breaks p * q = N.
    for position in (0..390).step_by(7) {
        let mut tampered = bytes.to_vec();
        tampered[position] ^= 0x10;
        assert!(GroupAux::from_bytes(&tampered, Moduli::Dev).is_err(), "byte {position}");
    }
}

#[test]
fn arguments_are_checked() {
    let shares = keygen();
    let shares: Vec<_> = shares.iter().map(|share| share.to_bytes().unwrap()).collect();
    for participants in [&[1, 0][..], &[0, 0], &[0], &[0, 1, 2], &[1, 2], &[0, 7]] {
        let results = run(
            &[0, 1],
            |m| vec![m],
            |me, wire| {
                let share = CoreShare::from_bytes(&shares[0]).unwrap().with_aux(&group(0)).unwrap();
                async move {
                    let party = Party { eid: &[2; 32], me: if me == 0 { 0 } else { 9 }, participants };
                    quorate_mpc::generate_presignature(party, &share, wire).await
                }
            },
        );
        let faults: Vec<_> = results.iter().map(|result| result.as_ref().err().map(|e| e.fault())).collect();
        assert_eq!(faults, [Some(Fault::Caller); 2], "{participants:?}");
    }
}

/// Prints the table of ARCHITECTURE.md with `--nocapture`, and holds the caps to the sizes of honest messages.
#[test]
fn honest_messages_fit_their_caps() {
    let sizes = std::cell::RefCell::new(BTreeMap::new());
    let record = |kind: ProtocolKind| {
        let sizes = &sizes;
        move |message: quorate_mpc::fixtures::Transit| {
            let mut sizes = sizes.borrow_mut();
            let largest: &mut usize = sizes.entry((kind as u8, message.round)).or_default();
            *largest = message.body.len().max(*largest);
            vec![message]
        }
    };
    run(&[0, 1, 2], record(ProtocolKind::Aux), |me, wire| async move {
        let party = Party { eid: &[3; 32], me, participants: &[0, 1, 2] };
        generate_aux(party, Primes::dev(me).unwrap(), Moduli::Dev, wire, None).await
    })
    .into_iter()
    .for_each(|aux| assert!(aux.is_ok()));
    let shares = common::keygen_over(record(ProtocolKind::Keygen));
    let shares: Vec<_> = shares.iter().map(|share| share.to_bytes().unwrap()).collect();
    let presignatures = presign([0, 1], &shares, record(ProtocolKind::Sign));
    finish(presignatures, &digest(b"x")).unwrap();
    let mut misfits = Vec::new();
    for kind in [ProtocolKind::Aux, ProtocolKind::Keygen, ProtocolKind::Sign] {
        for (round, rule) in (0u8..).zip(round_rules(kind)).filter(|(_, rule)| rule.cap > 0) {
            let honest = sizes.borrow()[&(kind as u8, round)];
            println!("{:<22} honest {honest:>7} bytes, cap {:>7}", rule.name, rule.cap);
            if !(honest..=honest * 3 / 2).contains(&rule.cap) {
                misfits.push(rule.name);
            }
        }
    }
    assert!(misfits.is_empty(), "caps too tight or too loose: {misfits:?}");
}
