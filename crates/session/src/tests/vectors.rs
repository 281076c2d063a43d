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
        "e5f1c0b42403a9ab0d9e4010a822d53c47d62948c062dc01e57e4bc9f4624384"
    );
    let mut all = channels(&terms, 1);
    let zero = all.get_mut(&0).unwrap();
    assert_eq!(zero.eid().to_string(), "86dbd55c0c610c9fc5178cf64e1491c026b4ec2a0eca8c329c4f49ac4be655f4");
    assert_eq!(
        hash(&zero.seal(1, Recipient::One(1), b"body").unwrap()[0].bytes),
        "08e71ca6b60e14424c7e2fb6214d2afc4283de531a7477f6f4b4ce6c628d72eb"
    );
    assert_eq!(
        hash(&zero.seal(1, Recipient::All, b"body").unwrap()[0].bytes),
        "d5955eadfdee8f0b9a2b4a451b2a0e6d2cbba55f5aa1efe533aff435ff06d050"
    );
}
