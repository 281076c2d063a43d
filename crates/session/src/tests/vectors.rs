//! Pinned bytes, computed by an independent implementation (Python's `cryptography`). A change here is a change of the
//! protocol: it needs a new version in the domains.

use quorate_types::Transcript;

use super::rig::{channels, opening, sign_terms};
use crate::Recipient;

fn hash(bytes: &[u8]) -> String {
    hex::encode(Transcript::new("test/vector").field(bytes).finish())
}

#[test]
fn opens_eid_and_envelopes_keep_their_bytes() {
    let terms = sign_terms();
    assert_eq!(hash(&terms.encode()), "5279e6c54eebd95ec27636000cacbeda1f9d2ba9a9d6435160379a2575a51b4d");
    assert_eq!(
        hash(opening(&terms, 0, 1).signed_open()),
        "e4ab604e302d307dadb20fcfe0a27e17a549d0f891396dbe2f0eaaf9ecdf517e"
    );
    let mut all = channels(&terms, 1);
    let zero = all.get_mut(&0).unwrap();
    assert_eq!(zero.eid().to_string(), "4149aa0aacdc562be8d6212d58ded78d87bac983b362f51f5eb7c33f67479006");
    assert_eq!(
        hash(&zero.seal(1, Recipient::One(1), b"body").unwrap()[0].bytes),
        "3dd747c196876964160855cf8a8c737f8b9bca609239b1810db129daa43c812b"
    );
    assert_eq!(
        hash(&zero.seal(1, Recipient::All, b"body").unwrap()[0].bytes),
        "27997d4b4a58e74c7d35e3554f524f11d16b4d49389ebff147f96d3ede3710c0"
    );
}
