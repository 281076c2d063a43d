//! Signed transactions, read back field by field with the second library.

use k256::ecdsa::SigningKey;
use quorate_intent::{decode, signed_transaction};
use quorate_types::{Payload, PublicKey, Signature, U256};
use rlp::Rlp;

use crate::encoder::Plain;
use crate::transactions::plain;

fn sign(payload: &Payload) -> Signature {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let public = PublicKey::from_sec1(key.verifying_key().to_encoded_point(true).as_bytes()).unwrap();
    let digest = decode(payload).unwrap().digest.digest();
    let (signature, _) = key.sign_prehash_recoverable(digest.as_slice()).unwrap();
    let (r, s) = signature.split_bytes();
    Signature::verified(<[u8; 32]>::from(r).into(), <[u8; 32]>::from(s).into(), digest, public).unwrap()
}

fn signed(plain: &Plain) -> (Signature, Vec<u8>) {
    let payload = Payload::Transaction(plain.encode().into());
    let signature = sign(&payload);
    (signature, signed_transaction(&payload, &signature).unwrap().to_vec())
}

#[test]
fn typed_transactions_end_in_parity_r_and_s() {
    for (ty, fields) in [(1, 8), (2, 9)] {
        let plain = Plain { ty, ..plain() };
        let (signature, bytes) = signed(&plain);
        assert_eq!(bytes[0], ty);
        let list = Rlp::new(&bytes[1..]);
        assert_eq!(list.item_count(), Ok(fields + 3));
        let number = |i: usize| U256::from_be_slice(list.at(fields + i).unwrap().data().unwrap());
        assert_eq!(number(0), U256::from(u8::from(signature.y_parity())));
        assert_eq!(number(1), U256::from_be_bytes(signature.r().0));
        assert_eq!(number(2), U256::from_be_bytes(signature.s().0));
        // The fields before are the ones that were signed.
        let unsigned = plain.encode();
        let before = Rlp::new(&unsigned[1..]);
        for i in 0..fields {
            assert_eq!(list.at(i).unwrap().as_raw(), before.at(i).unwrap().as_raw());
        }
    }
}

#[test]
fn legacy_transactions_carry_the_chain_in_v() {
    let plain = Plain { ty: 0, chain: 8453, ..plain() };
    let (signature, bytes) = signed(&plain);
    let list = Rlp::new(&bytes);
    assert_eq!(list.item_count(), Ok(9));
    assert_eq!(list.val_at::<u64>(6), Ok(35 + 2 * 8453 + u64::from(signature.y_parity())));
}

#[test]
fn nothing_else_becomes_a_transaction() {
    let message = Payload::Message(b"hello".to_vec().into());
    let signature = sign(&message);
    assert_eq!(signed_transaction(&message, &signature), None);
    // Nor the raw digest of one: nobody was shown the transaction.
    let digest = decode(&Payload::Transaction(plain().encode().into())).unwrap().digest.digest();
    let raw = Payload::RawDigest(digest);
    assert_eq!(signed_transaction(&raw, &sign(&raw)), None);
    for bytes in [vec![], vec![3, 0xc0], vec![2], [Plain { ty: 2, ..plain() }.encode(), vec![0]].concat()] {
        assert_eq!(signed_transaction(&Payload::Transaction(bytes.into()), &signature), None);
    }
}
