//! 32 bytes that are signed as they are.

use quorate_intent::{Action, DecodedDigest, decode};
use quorate_types::{B256, Payload};

#[test]
fn a_raw_digest_is_what_is_signed_and_says_nothing_else() {
    let digest = B256::repeat_byte(0xab);
    let payload = Payload::RawDigest(digest);
    let decoded = decode(&payload).unwrap();
    assert_eq!(decoded.digest.digest(), digest);
    assert!(matches!(decoded.digest, DecodedDigest::Raw(raw) if raw.digest() == digest));
    assert_eq!(
        decoded.digest.read(),
        None,
        "whatever takes digests of payloads that were read takes none of it"
    );

    let intent = decoded.intent;
    assert_eq!(intent.action, Action::RawDigest { digest });
    assert_eq!(intent.summary(), format!("sign 32 bytes that nobody can read, {digest}"));
    assert_eq!((intent.chain, intent.signer, intent.recipient(), intent.spender()), (None, None, None, None));
    assert_eq!((intent.charges().unwrap(), intent.once(), intent.transaction), (vec![], None, None));
}

/// The same bytes as a message are another payload with another digest: they are prefixed and hashed.
#[test]
fn it_is_no_message_of_32_bytes() {
    let digest = B256::repeat_byte(0xab);
    let (raw, message) = (Payload::RawDigest(digest), Payload::Message(digest.to_vec().into()));
    assert_ne!(raw.hash(), message.hash());
    assert_ne!(decode(&raw).unwrap().digest.digest(), decode(&message).unwrap().digest.digest());
    assert!(decode(&message).unwrap().digest.read().is_some());
}
