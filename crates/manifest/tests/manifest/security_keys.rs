//! Signatures put together by hand: as security keys make them (OpenSSH's PROTOCOL.u2f), and as nobody should.

use ed25519_dalek::Signer;
use quorate_manifest::{DocumentError, Namespace, Person, PersonKey, SignatureFault, verify};
use ssh_key::public::{KeyData, SkEcdsaSha2NistP256, SkEd25519};
use ssh_key::sha2::{Digest, Sha256};
use ssh_key::{HashAlg, PrivateKey, PublicKey, Signature, SshSig};

use crate::rig::{document, private};

const BODY: &str = "manifest: of a security key";
const TOUCHED: u8 = 1;
const PIN_ENTERED: u8 = 4;

fn sk_key(key: &PrivateKey, application: &str) -> KeyData {
    match key.public_key().key_data() {
        KeyData::Ed25519(point) => KeyData::SkEd25519(SkEd25519::new(*point, application)),
        KeyData::Ecdsa(ssh_key::public::EcdsaPublicKey::NistP256(point)) => {
            KeyData::SkEcdsaSha2NistP256(SkEcdsaSha2NistP256::new(*point, application))
        }
        _ => panic!("no such security key"),
    }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// The token signs `SHA256(application) || flags || counter || SHA256(message)`.
fn sk_signature(key: &PrivateKey, application: &str, flags: u8) -> String {
    let message =
        SshSig::signed_data(Namespace::Manifest.as_str(), HashAlg::Sha512, BODY.as_bytes()).unwrap();
    let trailer = [flags, 0, 0, 1, 2];
    let mut shown = Sha256::digest(application).to_vec();
    shown.extend_from_slice(&trailer);
    shown.extend_from_slice(&Sha256::digest(message));
    let raw: Signature = key.try_sign(&shown).unwrap();
    let public = sk_key(key, application);
    let algorithm = public.algorithm();
    let mut signature = string(algorithm.as_str().as_bytes());
    signature.extend(string(raw.as_bytes()));
    signature.extend_from_slice(&trailer);
    let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
    blob.extend(string(&PublicKey::from(public).to_bytes().unwrap()));
    for field in [Namespace::Manifest.as_str().as_bytes(), b"", b"sha512", &signature] {
        blob.extend(string(field));
    }
    armor(&blob)
}

fn armor(blob: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for chunk in blob.chunks(3) {
        let word =
            chunk.iter().chain([0, 0].iter()).take(3).fold(0, |word, byte| word << 8 | usize::from(*byte));
        for at in 0..4 {
            text.push(if at <= chunk.len() { DIGITS[word >> (18 - 6 * at) & 63] } else { b'=' });
        }
    }
    let lines: Vec<_> = text.chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

fn check(owner: &str, application: &str, armored: &str) -> Result<Vec<String>, DocumentError> {
    let public = PublicKey::from(sk_key(&private(owner), application));
    let key = PersonKey::try_from(&public).unwrap();
    let signers = [Person { name: owner.to_owned(), key }];
    verify(&document(BODY, &[armored]), Namespace::Manifest, &signers, 1)
}

#[test]
fn a_touched_security_key_signs() {
    for owner in ["alice", "bob"] {
        for flags in [TOUCHED, TOUCHED | PIN_ENTERED] {
            let armored = sk_signature(&private(owner), "ssh:", flags);
            assert_eq!(check(owner, "ssh:", &armored), Ok(vec![owner.to_owned()]));
        }
    }
}

#[test]
fn an_untouched_one_does_not() {
    for owner in ["alice", "bob"] {
        for flags in [0, PIN_ENTERED] {
            let armored = sk_signature(&private(owner), "ssh:", flags);
            let fault = SignatureFault::NotTouched { name: owner.to_owned() };
            assert_eq!(check(owner, "ssh:", &armored), Err(DocumentError::Signature { index: 0, fault }));
        }
    }
}

#[test]
fn flags_and_application_are_signed() {
    for owner in ["alice", "bob"] {
        let armored = sk_signature(&private(owner), "ssh:", 0);
        let untouched = SshSig::from_pem(armored.trim()).unwrap();
        let mut bytes = untouched.signature_bytes().to_vec();
        let flags = bytes.len() - 5;
        bytes[flags] |= TOUCHED;
        // The flag set by hand, after signing.
        let mut blob = string(untouched.algorithm().as_str().as_bytes());
        blob.extend(string(&bytes[..flags]));
        blob.extend_from_slice(&bytes[flags..]);
        let mut forged = b"SSHSIG\0\0\0\x01".to_vec();
        forged.extend(string(&PublicKey::from(untouched.public_key().clone()).to_bytes().unwrap()));
        for field in [Namespace::Manifest.as_str().as_bytes(), b"", b"sha512", &blob] {
            forged.extend(string(field));
        }
        let fault = SignatureFault::Mismatch { name: owner.to_owned() };
        let refused = Err(DocumentError::Signature { index: 0, fault });
        assert_eq!(check(owner, "ssh:", &armor(&forged)), refused);
        // A key of another application is another key.
        let other = sk_signature(&private(owner), "ssh:other", TOUCHED);
        let fault = check(owner, "ssh:", &other).unwrap_err();
        assert!(fault.to_string().contains("not among the signers"), "{fault}");
    }
}

#[test]
fn a_plain_signature_does_not_pass_for_a_security_keys() {
    let plain = quorate_manifest::sign(BODY.as_bytes(), Namespace::Manifest, &private("alice")).unwrap();
    assert!(check("alice", "ssh:", &plain).is_err());
}

#[test]
fn reserved_data_means_something_this_version_does_not_know() {
    let key = private("alice");
    let sign = |reserved: &[u8]| {
        let mut shown = b"SSHSIG".to_vec();
        let hash = ssh_key::sha2::Sha512::digest(BODY);
        for field in [Namespace::Manifest.as_str().as_bytes(), reserved, b"sha512", &hash] {
            shown.extend(string(field));
        }
        let raw: Signature = key.try_sign(&shown).unwrap();
        let mut signature = string(b"ssh-ed25519");
        signature.extend(string(raw.as_bytes()));
        let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
        blob.extend(string(&key.public_key().to_bytes().unwrap()));
        for field in [Namespace::Manifest.as_str().as_bytes(), reserved, b"sha512", &signature] {
            blob.extend(string(field));
        }
        armor(&blob)
    };
    let key = PersonKey::try_from(private("alice").public_key()).unwrap();
    let signers = [Person { name: "alice".to_owned(), key }];
    let check = |armored: &str| verify(&document(BODY, &[armored]), Namespace::Manifest, &signers, 1);
    assert!(check(&sign(b"")).is_ok());
    let fault = SignatureFault::Malformed;
    assert_eq!(check(&sign(b"x")), Err(DocumentError::Signature { index: 0, fault }));
}
