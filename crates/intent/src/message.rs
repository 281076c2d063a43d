//! EIP-191 personal messages (version byte `0x45`).

use quorate_types::{Bytes, U256};

use crate::{Action, Decoded, Intent, SigningDigest, Validity};

/// Every byte string is a message. The prefix keeps it apart from transactions (which start with 1, 2 or a list)
/// and from typed data (`0x1901`), so that a message of 32 bytes is no blind signature either.
pub(crate) fn decode(bytes: &Bytes) -> Decoded {
    let mut preimage = format!("\x19Ethereum Signed Message:\n{}", bytes.len()).into_bytes();
    preimage.extend_from_slice(bytes);
    let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
    let intent = Intent {
        chain: None,
        signer: None,
        action: Action::PersonalMessage { bytes: bytes.clone(), text },
        native_value: U256::ZERO,
        max_native_fee: U256::ZERO,
        transaction: None,
        validity: Validity::default(),
    };
    Decoded { intent, digest: SigningDigest::of(preimage) }
}
