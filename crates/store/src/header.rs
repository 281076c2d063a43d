//! The header of a sealed store: whose it is, and its data key under the KEK. It is a record of the store itself, so
//! it is written, synced and backed up with what it opens.

use std::fmt::Display;

use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::kdf::{Argon2id, Key};
use crate::keyspace::HEADER_TABLE;
use crate::seal::{Sealer, associated};
use crate::{Backend, Binding, Kek, StoreError, update};

const KEY: &[u8] = b"seal";
const DOMAIN: &str = "quorate/store/data-key/v1";
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    claims: Claims,
    /// the data key, sealed by the KEK with the claims as associated data
    wrapped: Vec<u8>,
}

/// The readable part, which the seal of the data key covers.
#[derive(Serialize, Deserialize)]
struct Claims {
    version: u8,
    cluster: String,
    owner: String,
    epoch: u32,
    derivation: Option<Argon2id>,
}

/// The data key of a store: unwrapped from its header, or drawn, wrapped and synced if the store is new.
pub(crate) fn data_key(store: &dyn Backend, binding: &Binding, kek: &Kek) -> Result<Key, StoreError> {
    match store.get(HEADER_TABLE, KEY)? {
        Some(bytes) => {
            let header: Header = postcard::from_bytes(&bytes).map_err(damaged)?;
            header.claims.check(binding)?;
            header.unwrap(kek)
        }
        None if store.is_empty()? => {
            let (key, header) = Header::fresh(binding, kek)?;
            let bytes = postcard::to_allocvec(&header).map_err(damaged)?;
            let ((), _durable) = update(store, |txn| txn.put(HEADER_TABLE, KEY, &bytes))?;
            Ok(key)
        }
        // Drawing a new data key here would make every record unreadable for ever.
        None => Err(StoreError::Corrupt("header: missing, but there are records".to_owned())),
    }
}

fn damaged(err: impl Display) -> StoreError {
    StoreError::Corrupt(format!("header: {err}"))
}

impl Header {
    fn fresh(binding: &Binding, kek: &Kek) -> Result<(Key, Self), StoreError> {
        let claims = Claims {
            version: VERSION,
            cluster: binding.cluster.to_string(),
            owner: binding.owner.clone(),
            epoch: binding.epoch,
            derivation: kek.fresh_derivation(),
        };
        let mut key = Box::new(Zeroizing::new([0; 32]));
        OsRng.fill_bytes(key.as_mut_slice());
        let wrapped = Sealer::new(&kek.key(claims.derivation.as_ref())?)
            .seal(&claims.associated()?, key.as_slice())
            .map_err(|_| damaged("the data key cannot be sealed"))?;
        Ok((key, Self { claims, wrapped }))
    }

    fn unwrap(&self, kek: &Kek) -> Result<Key, StoreError> {
        let wrapping = kek.key(self.claims.derivation.as_ref())?;
        let opened = Sealer::new(&wrapping)
            .open(&self.claims.associated()?, &self.wrapped)
            .map_err(|_| StoreError::WrongKek)?;
        let key = opened.as_slice().try_into().map_err(|_| damaged("its data key has another length"))?;
        Ok(Box::new(Zeroizing::new(key)))
    }
}

impl Claims {
    /// Whose store it is comes before the key: opening a neighbour's directory is the likelier mistake.
    fn check(&self, binding: &Binding) -> Result<(), StoreError> {
        if self.version != VERSION {
            return Err(damaged(format!("version {} is not {VERSION}", self.version)));
        }
        let wrong = |field, expected: &dyn Display, found: &dyn Display| {
            Err(StoreError::WrongBinding { field, expected: expected.to_string(), found: found.to_string() })
        };
        if self.cluster != binding.cluster.as_str() {
            return wrong("cluster", &binding.cluster, &self.cluster);
        }
        if self.owner != binding.owner {
            return wrong("owner", &binding.owner, &self.owner);
        }
        if self.epoch != binding.epoch {
            return wrong("epoch", &binding.epoch, &self.epoch);
        }
        Ok(())
    }

    fn associated(&self) -> Result<Vec<u8>, StoreError> {
        Ok(associated(DOMAIN, &[&postcard::to_allocvec(self).map_err(damaged)?]))
    }
}
