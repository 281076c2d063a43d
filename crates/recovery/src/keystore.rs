//! A Web3 secret storage file, version 3: scrypt, AES-128 in counter mode, and a Keccak-256 check.
//!
//! Written here, with the cost geth uses by default: the one crate for it fixes scrypt at a thirty-second of that. Tests
//! have that crate open what is written here.

use aes::Aes128;
use aes::cipher::{KeyIvInit, StreamCipher};
use ctr::Ctr128BE;
use quorate_types::Address;
use rand_core::{OsRng, RngCore};
use scrypt::Params;
use serde_json::json;
use sha3::{Digest, Keccak256};
use zeroize::Zeroizing;

/// scrypt's cost: 256 MiB of memory, about a second.
const LOG_N: u8 = 18;
const R: u32 = 8;
const P: u32 = 1;

/// Why it was not encrypted.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// A cost or a length the libraries refuse. A defect.
    #[error("the keystore's parameters are refused")]
    Parameters,
}

/// The file's text.
pub(crate) fn encrypt(
    secret: &[u8; 32],
    address: Address,
    passphrase: &[u8],
) -> Result<String, KeystoreError> {
    let refused = |()| KeystoreError::Parameters;
    let (mut salt, mut iv, mut id) = ([0; 32], [0; 16], [0; 16]);
    for random in [&mut salt[..], &mut iv[..], &mut id[..]] {
        OsRng.fill_bytes(random);
    }
    let mut derived = Zeroizing::new([0; 32]);
    let params = Params::new(LOG_N, R, P, derived.len()).map_err(|_| refused(()))?;
    scrypt::scrypt(passphrase, &salt, &params, derived.as_mut_slice()).map_err(|_| refused(()))?;
    let (key, check) = derived.split_at(16);
    let mut text = Zeroizing::new(*secret);
    let mut cipher = Ctr128BE::<Aes128>::new_from_slices(key, &iv).map_err(|_| refused(()))?;
    cipher.apply_keystream(text.as_mut_slice());
    let mac = Keccak256::new().chain_update(check).chain_update(text.as_slice()).finalize();
    let keystore = json!({
        "version": 3, "id": uuid(id), "address": hex::encode(address),
        "crypto": {
            "cipher": "aes-128-ctr", "cipherparams": { "iv": hex::encode(iv) }, "ciphertext": hex::encode(*text),
            "kdf": "scrypt",
            "kdfparams": { "n": 1_u32 << LOG_N, "r": R, "p": P, "dklen": derived.len(), "salt": hex::encode(salt) },
            "mac": hex::encode(mac),
        },
    });
    Ok(format!("{keystore}\n"))
}

/// Random bytes as a UUID of version 4.
fn uuid(random: [u8; 16]) -> String {
    let bits = u128::from_be_bytes(random) & !(0xf000 << 64) & !(0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
    let digits = format!("{bits:032x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_that_it_is_random() {
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
