//! The execution id: what a session is called by those who run it.

use std::fmt;

use quorate_types::{B256, Transcript};

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

    /// The execution id of one signing with a presignature: over the execution id of the session that made it, which
    /// holds every participant's nonce, and every field of `terms`, as this node was shown and holds them. A presignature
    /// signs once, so no two signings have one id; nodes that were shown different things have different ones.
    pub fn online(presignature: &B256, terms: &Terms) -> Self {
        let mut transcript = Transcript::new("quorate/online-eid/v1").field(presignature.as_slice());
        for (_, value) in terms.fields() {
            transcript = transcript.field(&value);
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
