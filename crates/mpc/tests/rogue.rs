//! A party that cheats is caught, named where it can be, and never brings a signature about.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

mod common;

use common::{digest, keygen, prehash, presign, try_keygen, try_presign};
use futures::executor::block_on;
use quorate_mpc::fixtures::{Transit, run};
use quorate_mpc::{Fault, Moduli, MpcError, PartialSignature, Party, Prehashed, Primes, generate_aux};
use quorate_types::{B256, PartyIndex};
use zeroize::Zeroizing;

/// A half that was bent, one over another digest, and one of nobody.
#[test]
fn a_wrong_half_over_a_raw_digest_names_its_party() {
    let shares = stored_shares();
    let (one, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let halves =
        |digests| prehash([0, 1], &shares, digests, |message| vec![message]).map(|half| half.ok().unwrap());
    let complete = |half: Prehashed, theirs| fault(&block_on(half.combine(theirs)));

    let [theirs, mine] = halves([one; 2]);
    let mut bytes = theirs.issue().to_bytes();
    bytes[31] ^= 1;
    let bent = PartialSignature::from_bytes(&bytes, 0).unwrap();
    assert_eq!(complete(mine, (0, bent)), Some(Fault::Peer(Some(0))));

    let [theirs, mine] = halves([other, one]);
    assert_eq!(complete(mine, (0, theirs.issue())), Some(Fault::Peer(Some(0))));

    for stranger in [1, 2] {
        let [theirs, mine] = halves([one; 2]);
        assert_eq!(complete(mine, (stranger, theirs.issue())), Some(Fault::Caller));
    }
}

type Change = Box<dyn Fn(Transit) -> Vec<Transit>>;

/// Changes the messages `from` sends to `to` in `round`; everything else passes.
fn tamper(
    from: PartyIndex,
    to: Option<PartyIndex>,
    round: u8,
    change: impl Fn(&mut Vec<u8>),
) -> impl FnMut(Transit) -> Vec<Transit> {
    move |mut message| {
        if message.from == from && message.round == round && to.is_none_or(|to| to == message.to) {
            change(&mut message.body);
        }
        vec![message]
    }
}

fn fault<T>(result: &Result<T, MpcError>) -> Option<Fault> {
    result.as_ref().err().map(MpcError::fault)
}

fn stored_shares() -> Vec<Zeroizing<Vec<u8>>> {
    keygen().iter().map(|share| share.to_bytes().unwrap()).collect()
}

#[test]
fn equivocation_in_key_generation_is_caught() {
    // Party 2 tells parties 0 and 1 different commitments. Both notice when they echo what they heard.
    let results = try_keygen(tamper(2, Some(0), 0, |body| body[1] ^= 1));
    assert!(matches!(fault(&results[0]), Some(Fault::Peer(_))), "{:?}", results[0].as_ref().err());
    assert!(matches!(fault(&results[1]), Some(Fault::Peer(_))), "{:?}", results[1].as_ref().err());
}

#[test]
fn a_wrong_sub_share_names_its_party() {
    // Round 2: the raw sub-share party 2 deals to party 0, a scalar.
    let results = try_keygen(tamper(2, Some(0), 2, |body| *body.last_mut().unwrap() ^= 1));
    assert_eq!(fault(&results[0]), Some(Fault::Peer(Some(2))), "{:?}", results[0].as_ref().err());
}

#[test]
fn no_key_comes_of_a_changed_message_in_any_round() {
    for round in 0..5 {
        let results = try_keygen(tamper(1, Some(0), round, |body| {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }));
        assert!(matches!(fault(&results[0]), Some(Fault::Peer(_) | Fault::Network)), "round {round}");
    }
}

#[test]
fn a_cheat_in_any_presigning_round_is_named() {
    let shares = stored_shares();
    for round in [0, 1, 2, 3, 5] {
        let results = try_presign(
            [0, 1],
            &shares,
            tamper(1, None, round, |body| {
                let last = body.len() - 2;
                body[last] ^= 1;
            }),
        );
        assert_eq!(
            fault(&results[0]),
            Some(Fault::Peer(Some(1))),
            "round {round}: {:?}",
            results[0].as_ref().err()
        );
    }
}

#[test]
fn oversized_truncated_repeated_and_misaddressed_messages_name_their_sender() {
    let shares = stored_shares();
    let cases: [(&str, Change); 5] = [
        (
            "at most",
            Box::new(|mut m| {
                m.body.resize(20_000_000.min(m.body.len() * 40), 0);
                vec![m]
            }),
        ),
        (
            "malformed",
            Box::new(|mut m| {
                m.body.truncate(m.body.len() / 2);
                vec![m]
            }),
        ),
        (
            "trailing bytes",
            Box::new(|mut m| {
                m.body.push(0);
                vec![m]
            }),
        ),
        (
            "wrong audience",
            Box::new(|mut m| {
                m.broadcast = !m.broadcast;
                vec![m]
            }),
        ),
        (
            "no such round",
            Box::new(|mut m| {
                m.round = 77;
                vec![m]
            }),
        ),
    ];
    for (words, change) in cases {
        let results = try_presign([0, 2], &shares, |m| if m.from == 2 { change(m) } else { vec![m] });
        let error = results[0].as_ref().err().unwrap();
        assert_eq!(error.fault(), Fault::Peer(Some(2)), "{words}: {error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    let results = try_presign([0, 2], &shares, |m| {
        let copy = |m: &Transit| Transit { body: m.body.clone(), ..*m };
        vec![copy(&m), m]
    });
    assert!(results[0].as_ref().err().unwrap().to_string().contains("sent twice"));
}

/// The library's integers are a radix and digits; `rug` panics on a radix it does not know.
#[test]
fn a_number_in_another_spelling_names_its_sender() {
    let shares = stored_shares();
    // The first integer of round 1a: the variant of the message, the radix, the length of the digits in two bytes.
    for (radix, digits) in [(0, b'1'), (1, b'1'), (37, b'1'), (127, b'1'), (36, b'1'), (16, b'0'), (16, b'+')]
    {
        let results = try_presign(
            [0, 1],
            &shares,
            tamper(1, None, 0, |body| {
                assert_eq!((body[0], body[1]), (0, 16), "the encoding has changed");
                (body[1], body[4]) = (radix, digits);
            }),
        );
        let error = results[0].as_ref().err().unwrap();
        assert_eq!(error.fault(), Fault::Peer(Some(1)), "{radix}: {error}");
        assert!(error.to_string().contains("malformed"), "{radix}: {error}");
    }
}

#[test]
fn a_wrong_partial_signature_names_its_party_before_the_other_contributes() {
    let shares = stored_shares();
    let mut pair = presign([0, 1], &shares, |m| vec![m]);
    let (digest, other) = (digest(b"pay 1"), digest(b"pay 1000"));
    let (_, service) = pair.pop().unwrap();
    let (_, agent) = pair.pop().unwrap();
    let (partial, _) = agent.issue(&digest);
    assert!(service.check(0, &partial, &digest).is_ok());
    assert_eq!(service.check(0, &partial, &other).unwrap_err().fault(), Fault::Peer(Some(0)));
    let mut bytes = partial.to_bytes();
    bytes[31] ^= 1;
    let wrong = PartialSignature::from_bytes(&bytes, 0).unwrap();
    assert_eq!(service.check(0, &wrong, &digest).unwrap_err().fault(), Fault::Peer(Some(0)));
    let (mine, combiner) = service.issue(&digest);
    let error = combiner.combine(&[(0, wrong), (1, mine)]).unwrap_err();
    assert_eq!(error.fault(), Fault::Peer(Some(0)));
    assert!(PartialSignature::from_bytes(&[0xff; 32], 0).is_err(), "a scalar above the order was read");
    assert!(PartialSignature::from_bytes(&bytes[1..], 0).is_err());
}

#[test]
fn a_composite_prime_in_aux_generation_is_caught_and_named() {
    let results = run(
        &[0, 1, 2],
        |m| vec![m],
        |me, wire| async move {
            let mut primes = Primes::dev(me).unwrap().to_bytes();
            if me == 1 {
                // The last byte of p, kept odd and 3 mod 4: the number is almost surely composite.
                primes[191] ^= 0x40;
            }
            let primes = Primes::from_bytes(&primes).unwrap();
            let party = Party { eid: &[8; 32], me, participants: &[0, 1, 2] };
            generate_aux(party, primes, Moduli::Dev, wire, None).await.map(|aux| aux.hash())
        },
    );
    // Either the cheat cannot even make its proof, and the others wait in vain, or they reject it by name.
    for honest in [0, 2] {
        let found = fault(&results[honest]);
        assert!(matches!(found, Some(Fault::Peer(Some(1)) | Fault::Network)), "{:?}", results[honest]);
    }
}

/// The library forgives a peer one of the two proofs (see `range_proofs.rs`); this crate forgives neither.
#[test]
fn each_range_proof_of_round_1_is_verified() {
    let shares = stored_shares();
    for (from_end, words) in [(2, "psi1"), (40, "psi1"), (1_000, "psi1")] {
        let results = try_presign(
            [0, 1],
            &shares,
            tamper(1, None, 1, |body| {
                let place = body.len() - from_end;
                body[place] ^= 1;
            }),
        );
        assert_refused(&results[0], words);
    }
    // psi0 comes first in the message; its last bytes are its last scalar.
    let results = try_presign(
        [0, 1],
        &shares,
        tamper(1, None, 1, |body| {
            let place = body.len() / 2 - 20;
            body[place] ^= 1;
        }),
    );
    assert_refused(&results[0], "psi0");
}

fn assert_refused<T>(result: &Result<T, MpcError>, words: &str) {
    let error = result.as_ref().err().unwrap();
    assert_eq!(error.fault(), Fault::Peer(Some(1)), "{error}");
    assert!(error.to_string().contains(words) || error.to_string().contains("malformed"), "{error}");
}
