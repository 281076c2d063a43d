//! Signatures: those OpenSSH makes are accepted, and nothing else is.

use quorate_manifest::{
    DocumentError, MAX_BODY_BYTES, MAX_SIGNATURE_BYTES, Namespace, SignatureFault, SignedDocument, sign,
    verify,
};
use ssh_key::SshSig;

use crate::rig::{
    ALICE, ALICE_POLICY_SIG, ALICE_SHA256_SIG, ALICE_SIG, BOB_SIG, BODY, alice_and_bob, document, operator,
    person, private,
};

fn check(signatures: &[&str], quorum: usize) -> Result<Vec<String>, DocumentError> {
    verify(&document(BODY, signatures), Namespace::Manifest, &alice_and_bob(), quorum)
}

fn fault(index: usize, fault: SignatureFault) -> Result<Vec<String>, DocumentError> {
    Err(DocumentError::Signature { index, fault })
}

#[test]
fn what_ssh_keygen_signs_is_accepted() {
    let names = |names: &[&str]| Ok(names.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(check(&[ALICE_SIG, BOB_SIG], 2), names(&["Alice", "Bob"]));
    assert_eq!(check(&[BOB_SIG, ALICE_SIG], 2), names(&["Bob", "Alice"]));
    assert_eq!(check(&[ALICE_SHA256_SIG], 1), names(&["Alice"]));
    assert_eq!(check(&[&ALICE_SIG.replace('\n', "\r\n")], 1), names(&["Alice"]));
    assert_eq!(check(&[&format!("\n  {ALICE_SIG}\n\n")], 1), names(&["Alice"]));
}

#[test]
fn ed25519_signatures_are_those_ssh_keygen_makes_byte_for_byte() {
    assert_eq!(sign(BODY.as_bytes(), Namespace::Manifest, &private("alice")).unwrap(), ALICE_SIG);
    assert_eq!(sign(BODY.as_bytes(), Namespace::Policy, &private("alice")).unwrap(), ALICE_POLICY_SIG);
}

#[test]
fn ecdsa_keys_sign_too() {
    let mine = sign(BODY.as_bytes(), Namespace::Manifest, &private("bob")).unwrap();
    assert_eq!(check(&[&mine], 1), Ok(vec!["Bob".to_owned()]));
}

#[test]
fn a_signature_is_for_one_kind_of_document() {
    for made_for in Namespace::ALL {
        let signature = sign(b"x", made_for, &private("alice")).unwrap();
        for asked in Namespace::ALL {
            let answer = verify(&document("x", &[&signature]), asked, &alice_and_bob(), 1);
            assert_eq!(answer.is_ok(), made_for == asked, "{made_for} as {asked}");
        }
    }
    let expected = SignatureFault::Namespace { expected: Namespace::Manifest };
    assert_eq!(check(&[BOB_SIG, ALICE_POLICY_SIG], 1), fault(1, expected));
}

#[test]
fn every_byte_of_the_body_is_signed() {
    for at in 0..BODY.len() {
        let mut changed = document(BODY, &[ALICE_SIG]);
        changed.body[at] ^= 1;
        let answer = verify(&changed, Namespace::Manifest, &alice_and_bob(), 1);
        assert_eq!(answer, fault(0, SignatureFault::Mismatch { name: "Alice".to_owned() }), "byte {at}");
    }
    for body in [format!("{BODY}\n"), BODY.trim_end().to_owned()] {
        assert!(verify(&document(&body, &[ALICE_SIG]), Namespace::Manifest, &alice_and_bob(), 1).is_err());
    }
}

#[test]
fn no_changed_byte_of_the_armor_is_a_second_signature() {
    for original in [ALICE_SIG, BOB_SIG] {
        let meaning = SshSig::from_pem(original.trim()).unwrap();
        for at in 0..original.len() {
            for bit in 0..7 {
                let mut bytes = original.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let changed = String::from_utf8(bytes).unwrap();
                // Only line ends and the like may change without changing what it says.
                let same = SshSig::from_pem(changed.trim()).is_ok_and(|read| read == meaning);
                assert_eq!(check(&[&changed], 1).is_ok(), same, "byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn one_bad_signature_spoils_a_document_that_has_enough_good_ones() {
    let stranger = sign(BODY.as_bytes(), Namespace::Manifest, &operator(9)).unwrap();
    let fingerprint = operator(9).public_key().fingerprint(ssh_key::HashAlg::Sha256).to_string();
    assert_eq!(
        check(&[ALICE_SIG, BOB_SIG, &stranger], 2),
        fault(2, SignatureFault::UnknownSigner { fingerprint })
    );
    assert_eq!(check(&["", ALICE_SIG, BOB_SIG], 2), fault(0, SignatureFault::Malformed));
    let with_words = format!("by alice\n{ALICE_SIG}");
    assert_eq!(check(&[&with_words, BOB_SIG], 2), fault(0, SignatureFault::Malformed));
    let other = sign(b"other bytes", Namespace::Manifest, &private("bob")).unwrap();
    let mismatch = SignatureFault::Mismatch { name: "Bob".to_owned() };
    assert_eq!(check(&[ALICE_SIG, &other], 1), fault(1, mismatch));
}

#[test]
fn a_quorum_is_of_keys_not_of_signatures_or_names() {
    assert_eq!(check(&[ALICE_SIG], 2), Err(DocumentError::Quorum { got: 1, need: 2 }));
    assert_eq!(check(&[], 1), Err(DocumentError::Quorum { got: 0, need: 1 }));
    let repeated = |name: &str| SignatureFault::Repeated { name: name.to_owned() };
    assert_eq!(check(&[ALICE_SIG, ALICE_SIG], 2), fault(1, repeated("Alice")));
    assert_eq!(check(&[ALICE_SIG, ALICE_SHA256_SIG], 2), fault(1, repeated("Alice")));
    // ECDSA signatures differ each time.
    let again = sign(BODY.as_bytes(), Namespace::Manifest, &private("bob")).unwrap();
    assert_ne!(again, BOB_SIG);
    assert_eq!(check(&[BOB_SIG, &again], 2), fault(1, repeated("Bob")));
    // One key under two names is one signer.
    let twice = [person("Alice", ALICE), person("Alice's other name", ALICE)];
    let answer = verify(&document(BODY, &[ALICE_SIG, ALICE_SHA256_SIG]), Namespace::Manifest, &twice, 2);
    assert_eq!(answer, fault(1, repeated("Alice")));
}

#[test]
fn a_quorum_of_nobody_accepts_nothing() {
    assert_eq!(check(&[], 0), Err(DocumentError::ZeroQuorum));
    assert_eq!(check(&[ALICE_SIG, BOB_SIG], 0), Err(DocumentError::ZeroQuorum));
}

#[test]
fn sizes_are_bounded_before_anything_is_read() {
    let signers = alice_and_bob();
    let check = |document: &SignedDocument| verify(document, Namespace::Manifest, &signers, 1).unwrap_err();
    assert_eq!(check(&document("", &[ALICE_SIG])), DocumentError::BodySize { len: 0 });
    let len = MAX_BODY_BYTES + 1;
    assert_eq!(check(&document(&"x".repeat(len), &[ALICE_SIG])), DocumentError::BodySize { len });
    assert_eq!(check(&document(BODY, &[ALICE_SIG; 17])), DocumentError::TooManySignatures { count: 17 });
    let long = format!("{ALICE_SIG}{}", "\n".repeat(MAX_SIGNATURE_BYTES));
    let len = long.len();
    assert_eq!(check(&document(BODY, &[BOB_SIG, &long])), DocumentError::SignatureSize { index: 1, len });
    let most = "x".repeat(MAX_BODY_BYTES);
    let signature = sign(most.as_bytes(), Namespace::Manifest, &private("alice")).unwrap();
    assert!(verify(&document(&most, &[&signature]), Namespace::Manifest, &signers, 1).is_ok());
}

#[test]
fn signing_refuses_what_verifying_would() {
    let key = private("alice");
    assert_eq!(sign(b"", Namespace::Manifest, &key), Err(DocumentError::BodySize { len: 0 }));
    let len = MAX_BODY_BYTES + 1;
    assert_eq!(sign(&vec![0; len], Namespace::Manifest, &key), Err(DocumentError::BodySize { len }));
    assert_eq!(sign(b"x", Namespace::Manifest, &private("locked")), Err(DocumentError::KeyLocked));
}

#[test]
fn refusals_name_the_signature() {
    let text = |signatures: &[&str], quorum| check(signatures, quorum).unwrap_err().to_string();
    assert_eq!(
        text(&[BOB_SIG, "junk"], 1),
        "signatures[1]: not an SSH signature (expected the output of ssh-keygen -Y sign)"
    );
    assert_eq!(
        text(&[ALICE_POLICY_SIG], 1),
        "signatures[0]: made for another namespace than manifest@quorate"
    );
    assert_eq!(text(&[ALICE_SIG], 2), "signatures: 2 signers must agree, got 1");
}

#[test]
fn a_hash_names_kind_and_body_but_no_signature() {
    let one = document(BODY, &[ALICE_SIG]);
    let two = document(BODY, &[ALICE_SIG, BOB_SIG]);
    assert_eq!(one.hash(Namespace::Manifest), two.hash(Namespace::Manifest));
    assert_ne!(one.hash(Namespace::Manifest), one.hash(Namespace::Policy));
    assert_ne!(one.hash(Namespace::Manifest), document("x", &[]).hash(Namespace::Manifest));
}
