//! EIP-191 personal messages (version byte `0x45`).

use quorate_types::{Bytes, U256};

use crate::{Action, Decoded, Intent, SignIn, SigningDigest, Validity};

/// What the challenge of every recovery drill begins with, of any version. A drill proves that two shares came together
/// offline, so no policy lets a cluster sign one.
pub const DRILL: &str = "Quorate recovery drill, version ";

/// Every byte string is a message. The prefix keeps it apart from transactions (which start with 1, 2 or a list)
/// and from typed data (`0x1901`), so that a message of 32 bytes is no blind signature either.
pub(crate) fn decode(bytes: &Bytes) -> Decoded {
    let mut preimage = format!("\x19Ethereum Signed Message:\n{}", bytes.len()).into_bytes();
    preimage.extend_from_slice(bytes);
    let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
    if let Some(sign_in) = text.as_deref().and_then(SignIn::parse) {
        return Decoded { intent: sign_in_intent(sign_in), digest: SigningDigest::of(preimage).into() };
    }
    let intent = Intent {
        chain: None,
        signer: None,
        action: Action::PersonalMessage { bytes: bytes.clone(), text },
        native_value: U256::ZERO,
        max_native_fee: U256::ZERO,
        transaction: None,
        validity: Validity::default(),
    };
    Decoded { intent, digest: SigningDigest::of(preimage).into() }
}

fn sign_in_intent(sign_in: SignIn) -> Intent {
    // Its end is the first second at which it is over, here the last at which it is not.
    let validity = Validity {
        not_before_s: sign_in.not_before_s,
        not_after_s: sign_in.expires_at_s.map(|end| end.saturating_sub(1)),
    };
    Intent {
        chain: Some(sign_in.chain),
        signer: Some(sign_in.address),
        action: Action::SignIn(Box::new(sign_in)),
        native_value: U256::ZERO,
        max_native_fee: U256::ZERO,
        transaction: None,
        validity,
    }
}
