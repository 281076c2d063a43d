//! EIP-191 messages.

use quorate_intent::{Action, decode};
use quorate_types::{Bytes, Payload};

use crate::encoder::keccak;

#[test]
fn any_bytes_are_a_message_under_the_prefix() {
    for message in [&b""[..], b"x", &[0xff; 32], &[0x19, 0x01, 7], "héllo".as_bytes()] {
        let decoded = decode(&Payload::Message(Bytes::copy_from_slice(message))).unwrap();
        let mut preimage = vec![0x19];
        preimage.extend(b"Ethereum Signed Message:\n");
        preimage.extend(message.len().to_string().bytes());
        preimage.extend(message);
        assert_eq!(decoded.digest.read().unwrap().preimage(), preimage);
        assert_eq!(decoded.digest.digest().0, keccak(&preimage));
        let Action::PersonalMessage { bytes, text } = &decoded.intent.action else { panic!() };
        assert_eq!(bytes.as_ref(), message);
        assert_eq!(text.as_deref(), std::str::from_utf8(message).ok());
        assert_eq!(decoded.intent.chain, None);
        assert_eq!(decoded.intent.charges().unwrap(), []);
    }
}
