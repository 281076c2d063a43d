//! Which keys people may have.

use quorate_manifest::{DocumentError, Namespace, PersonKey, PersonKeyError, SignatureFault, verify};
use ssh_key::PublicKey;
use ssh_key::public::{Ed25519PublicKey, KeyData, SkEcdsaSha2NistP256, SkEd25519};

use crate::rig::{ALICE, BOB, BODY, alice_and_bob, document};

fn line(data: KeyData) -> String {
    PublicKey::from(data).to_openssh().unwrap()
}

fn read(line: &str) -> Result<PersonKey, PersonKeyError> {
    line.parse()
}

#[test]
fn a_key_is_read_and_printed_without_its_comment() {
    for text in [ALICE, BOB] {
        let key = read(text).unwrap();
        let bare = text.rsplit_once(' ').unwrap().0;
        assert_eq!(key.to_string(), bare);
        assert_eq!(read(bare), Ok(key.clone()));
        assert_eq!(read(&format!("  {bare} someone else \n")), Ok(key));
    }
    assert_ne!(read(ALICE), read(BOB));
    assert_eq!(
        read(ALICE).unwrap().fingerprint(),
        PublicKey::from_openssh(ALICE).unwrap().fingerprint(Default::default()).to_string()
    );
}

#[test]
fn security_keys_are_read() {
    let ed25519 = read(ALICE).unwrap().to_string();
    let inner = PublicKey::from_openssh(&ed25519).unwrap().key_data().ed25519().copied().unwrap();
    let sk = read(&line(KeyData::SkEd25519(SkEd25519::new(inner, "ssh:")))).unwrap();
    assert!(sk.to_string().starts_with("sk-ssh-ed25519@openssh.com "));
    assert!(sk.is_security_key() && !read(ALICE).unwrap().is_security_key());
    assert_ne!(sk, read(ALICE).unwrap());
    let point = ssh_key::sec1::EncodedPoint::from_bytes(
        PublicKey::from_openssh(BOB).unwrap().key_data().ecdsa().unwrap().as_sec1_bytes(),
    );
    let sk = SkEcdsaSha2NistP256::new(point.unwrap(), "ssh:work");
    let sk = read(&line(KeyData::SkEcdsaSha2NistP256(sk))).unwrap();
    assert!(sk.to_string().starts_with("sk-ecdsa-sha2-nistp256@openssh.com ") && sk.is_security_key());
    let web = SkEd25519::new(inner, "example.org");
    assert_eq!(read(&line(KeyData::SkEd25519(web))), Err(PersonKeyError::Application));
}

#[test]
fn other_kinds_of_key_are_refused() {
    for text in [include_str!("../../fixtures/rsa.pub"), include_str!("../../fixtures/p384.pub")] {
        assert_eq!(read(text), Err(PersonKeyError::Kind), "{text}");
    }
}

#[test]
fn what_is_no_key_line_is_refused() {
    let bare = ALICE.rsplit_once(' ').unwrap().0;
    let other_kind = ALICE.replace("ssh-ed25519", "ssh-rsa");
    let cut = &bare[..bare.len() - 4];
    let (two, option) = (format!("{bare}\n{bare}"), format!("no-pty {bare}"));
    let long = format!("{bare} {}", "x".repeat(1024));
    let private = include_str!("../../fixtures/alice");
    for bad in ["", "ssh-ed25519", "ssh-ed25519 AAAA", &other_kind, cut, &two, &option, &long, private] {
        assert_eq!(read(bad), Err(PersonKeyError::Malformed), "{bad}");
    }
}

#[test]
fn keys_under_which_anyone_can_sign_are_refused() {
    // Two of the eight points of small order, the second in an encoding that is not canonical as well.
    let mut weak = [0; 32];
    weak[0] = 1;
    let mut odd = [0xff; 32];
    odd[0] = 0xee;
    odd[31] = 0x7f;
    for (bytes, error) in [(weak, PersonKeyError::Weak), (odd, PersonKeyError::Malformed)] {
        let plain = Ed25519PublicKey(bytes);
        assert_eq!(read(&line(KeyData::Ed25519(plain))), Err(error));
        let sk = KeyData::SkEd25519(SkEd25519::new(plain, "ssh:"));
        assert!(read(&line(sk)).is_err());
    }
}

#[test]
fn a_compressed_point_is_no_second_key() {
    let bob = PublicKey::from_openssh(BOB).unwrap();
    let sec1 = bob.key_data().ecdsa().unwrap().as_sec1_bytes().to_vec();
    let mut compressed = vec![2 + (sec1[64] & 1)];
    compressed.extend_from_slice(&sec1[1..33]);
    let key = ssh_key::public::EcdsaPublicKey::from_sec1_bytes(&compressed).unwrap();
    assert_eq!(read(&line(KeyData::Ecdsa(key))), Err(PersonKeyError::Malformed));
}

#[test]
fn a_signature_by_another_kind_of_key_says_so() {
    let armored = include_str!("../../fixtures/manifest.rsa.sig");
    let answer = verify(&document(BODY, &[armored]), Namespace::Manifest, &alice_and_bob(), 1);
    let fault = SignatureFault::KeyType(PersonKeyError::Kind);
    assert_eq!(answer, Err(DocumentError::Signature { index: 0, fault }));
}
