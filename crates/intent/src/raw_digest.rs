//! 32 bytes that are signed as they are.

use quorate_types::{B256, U256};

use crate::{Action, Decoded, DecodedDigest, Intent, RawDigest, Validity};

/// There is nothing to read. That it may be the hash of anything is for rules to judge.
pub(crate) const fn decode(digest: B256) -> Decoded {
    let intent = Intent {
        chain: None,
        signer: None,
        action: Action::RawDigest { digest },
        native_value: U256::ZERO,
        max_native_fee: U256::ZERO,
        transaction: None,
        validity: Validity { not_before_s: None, not_after_s: None },
    };
    Decoded { intent, digest: DecodedDigest::Raw(RawDigest::of(digest)) }
}
