//! The execution id: what a session is called by those who run it.

use std::fmt;

use quorate_types::Transcript;

use crate::terms::Terms;

/// A session's execution id. Every participant's fresh nonce is in it, so no one can choose or repeat it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Eid([u8; 32]);

impl Eid {
    /// SHA-256 over the domain, every agreed field, and the hashes of the signed opens in order of party index.
    pub(crate) fn derive<'a>(terms: &Terms, opens: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut transcript = Transcript::new("quorate/eid/v1");
        for (_, value) in terms.fields() {
            transcript = transcript.field(&value);
        }
        for open in opens {
            let hash = Transcript::new("quorate/open-hash/v1").field(open).finish();
            transcript = transcript.field(hash.as_slice());
        }
        Self(transcript.finish().0)
    }

    /// The 32 bytes, as the threshold protocols take them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Eid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Eid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
