//! Argon2id, for stores opened with a passphrase.

use argon2::{Algorithm, Argon2, Params, Version};
use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::StoreError;

/// A symmetric key, on the heap so that moving it leaves no copy behind.
pub(crate) type Key = Box<Zeroizing<[u8; 32]>>;

/// What RFC 9106 recommends where 2 GiB are too much: 64 MiB, 3 passes, 4 lanes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;
/// A header that asks for more than this was altered: it may not take the machine down.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 64;

/// Salt and costs, as the store's header keeps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Argon2id {
    salt: [u8; 16],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Argon2id {
    /// Today's costs and a drawn salt.
    pub(crate) fn fresh() -> Self {
        let mut salt = [0; 16];
        OsRng.fill_bytes(&mut salt);
        Self { salt, memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES }
    }

    /// The key of a passphrase.
    pub(crate) fn derive(&self, passphrase: &[u8]) -> Result<Key, StoreError> {
        if self.memory_kib > MOST_MEMORY_KIB || self.passes > MOST_PASSES || self.lanes > MOST_LANES {
            return Err(StoreError::Corrupt("header: its Argon2id costs are out of range".to_owned()));
        }
        let bad = |err: argon2::Error| StoreError::Corrupt(format!("header: Argon2id: {err}"));
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(bad)?;
        let mut key = Box::new(Zeroizing::new([0; 32]));
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, &self.salt, key.as_mut_slice())
            .map_err(bad)?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_passphrase_and_salt_give_the_same_key_and_no_others_do() {
        let small = Argon2id { memory_kib: 64, passes: 1, lanes: 1, ..Argon2id::fresh() };
        let key = small.derive(b"correct horse").unwrap();
        assert_eq!(**small.derive(b"correct horse").unwrap(), **key);
        assert_ne!(**small.derive(b"correct horsf").unwrap(), **key);
        let salted = Argon2id { salt: [0; 16], ..small };
        assert_ne!(**salted.derive(b"correct horse").unwrap(), **key);
    }

    #[test]
    fn costs_beyond_reason_are_refused_before_they_are_paid() {
        for bad in [
            Argon2id { memory_kib: u32::MAX, ..Argon2id::fresh() },
            Argon2id { passes: u32::MAX, ..Argon2id::fresh() },
            Argon2id { lanes: 1000, ..Argon2id::fresh() },
            Argon2id { memory_kib: 0, ..Argon2id::fresh() },
        ] {
            assert!(matches!(bad.derive(b"correct horse"), Err(StoreError::Corrupt(_))), "{bad:?}");
        }
    }
}
