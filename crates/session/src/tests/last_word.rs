//! The one message after a presigning session.

use quorate_types::B256;

use super::rig::{channels, presign_terms, seal_to, sign_terms};
use crate::{Channel, Eid, LastWord, SealError, Terms, TermsError};

fn ends(seed: u64) -> (LastWord, LastWord) {
    let mut all = channels(&presign_terms(), seed);
    let end = |channel: Channel| channel.into_last_word(0, 1).unwrap();
    (end(all.remove(&0).unwrap()), end(all.remove(&1).unwrap()))
}

#[test]
fn it_goes_one_way_and_opens_at_its_end() {
    let (agent, service) = ends(1);
    let sealed = agent.seal(b"partial").unwrap();
    assert!(!sealed.windows(7).any(|window| window == b"partial"));
    assert_eq!(service.open(&sealed).unwrap().as_slice(), b"partial");
    let (_, service) = ends(1);
    assert_eq!(
        service.seal(b"x"),
        Err(SealError::NotAPeer(1)),
        "its key is the one the other end seals with"
    );
}

#[test]
fn an_altered_one_and_one_of_another_session_do_not_open() {
    let sealed = ends(1).0.seal(b"partial").unwrap();
    for at in 0..sealed.len() {
        let mut bent = sealed.clone();
        bent[at] ^= 1;
        assert!(ends(1).1.open(&bent).is_none(), "{at}");
    }
    assert!(ends(1).1.open(&sealed[..sealed.len() - 1]).is_none());
    assert!(ends(1).1.open(&[]).is_none());
    assert!(ends(2).1.open(&sealed).is_none());
}

#[test]
fn its_key_is_not_the_sessions() {
    let mut all = channels(&presign_terms(), 1);
    let envelope = seal_to(all.get_mut(&0).unwrap(), 1, b"partial");
    let sealed = ends(1).0.seal(b"partial").unwrap();
    // The same nonce and the same text under the session's key would give the same bytes.
    assert!(!envelope.windows(7).any(|window| window == &sealed[..7]));
}

#[test]
fn only_a_presigning_session_has_one_and_only_between_its_parties() {
    let mut signing = channels(&sign_terms(), 1);
    assert!(signing.remove(&0).unwrap().into_last_word(0, 1).is_none());
    for (from, to) in [(1, 2), (2, 1), (0, 2), (0, 0)] {
        let mut all = channels(&presign_terms(), 1);
        assert!(all.remove(&0).unwrap().into_last_word(from, to).is_none(), "{from} to {to}");
    }
}

#[test]
fn a_presignature_is_no_policys() {
    let decided = Terms { policy_hash: sign_terms().policy_hash, ..presign_terms() };
    assert_eq!(presign_terms().check(0), Ok(()));
    assert_eq!(decided.check(0), Err(TermsError::Surplus { field: "policy hash" }));
    for (field, without) in [
        ("wallet", Terms { wallet: None, ..presign_terms() }),
        ("public key", Terms { public_key: None, ..presign_terms() }),
        ("aux hash", Terms { aux_hash: None, ..presign_terms() }),
    ] {
        assert_eq!(without.check(0), Err(TermsError::Missing { field }));
    }
}

#[test]
fn every_field_is_in_the_id_of_an_online_signing() {
    let id = B256::repeat_byte(1);
    let base = Eid::online(&id, &sign_terms());
    assert_eq!(base, Eid::online(&id, &sign_terms()));
    assert_ne!(base, Eid::online(&B256::repeat_byte(2), &sign_terms()));
    let others = [
        Terms { subject: B256::ZERO, ..sign_terms() },
        Terms { policy_hash: Some(B256::ZERO), ..sign_terms() },
        Terms { manifest_hash: B256::ZERO, ..sign_terms() },
        Terms { wallet: Some("wallet-2".parse().unwrap()), ..sign_terms() },
        Terms { epoch: 8, ..sign_terms() },
    ];
    for other in others {
        assert_ne!(base, Eid::online(&id, &other));
    }
}
