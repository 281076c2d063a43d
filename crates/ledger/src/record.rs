//! How keys and records are written: length-prefixed fields, and a version byte before postcard.

use quorate_types::{B256, UnixMillis};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::LedgerError;

/// Requests, by wallet and idempotency key.
pub(crate) const ENTRIES: &str = "ledger_entry";
/// The requests that are neither answered nor voided, by the same key.
pub(crate) const IN_FLIGHT: &str = "ledger_in_flight";
/// What counts as spent, by wallet, asset, time and origin.
pub(crate) const SPENDS: &str = "ledger_spend";
/// What counts as signed, by wallet, time and origin.
pub(crate) const SIGNATURES: &str = "ledger_signature";
/// What was denied, by wallet, time and origin.
pub(crate) const DENIED: &str = "ledger_denied";
/// When what an origin was counted for counts, by wallet and origin.
pub(crate) const ORIGINS: &str = "ledger_origin";
/// What was counted up to each of the above, by wallet, what is counted, payee, time and origin.
pub(crate) const TOTALS: &str = "ledger_total";
/// What was signed, or is about to be, by wallet, place, effect and origin.
pub(crate) const PLACES: &str = "ledger_place";
/// Which wallets an agent has that anything was counted for, by agent and wallet.
pub(crate) const AGENTS: &str = "ledger_agent";
/// A service node's charges, by wallet and payload hash.
pub(crate) const CHARGES: &str = "ledger_charge";

/// Since when payloads have been on hold, and under what, by wallet and payload hash.
pub(crate) const HOLDS: &str = "ledger_hold";

/// Version of a table's records. Another one is refused, but for what [`decode_version`] is asked for by its reader.
fn version(table: &str) -> u8 {
    match table {
        SPENDS => 3,
        ENTRIES | SIGNATURES | DENIED | HOLDS => 2,
        _ => 1,
    }
}

/// Fields, each prefixed with its length as 8 bytes big-endian: no two field lists give the same key, and no key of
/// complete fields is a prefix of another's.
pub(crate) fn key_of(fields: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::new();
    for field in fields {
        key.extend_from_slice(&(field.len() as u64).to_be_bytes());
        key.extend_from_slice(field);
    }
    key
}

/// `prefix | time, 8 bytes big-endian | origin hash, 32 bytes`: keys of one prefix ascend by time.
pub(crate) fn timed_key(prefix: &[u8], at: UnixMillis, origin: B256) -> Vec<u8> {
    [prefix, &at.to_be_bytes(), origin.as_slice()].concat()
}

pub(crate) fn encode<T: Serialize>(table: &'static str, record: &T) -> Result<Vec<u8>, LedgerError> {
    postcard::to_extend(record, vec![version(table)]).map_err(|_| LedgerError::Malformed { table })
}

/// Reads a record that fills `bytes` exactly.
pub(crate) fn decode<T: DeserializeOwned>(table: &'static str, bytes: &[u8]) -> Result<T, LedgerError> {
    decode_version(version(table), table, bytes)
}

/// Reads a record of this version that fills `bytes` exactly.
pub(crate) fn decode_version<T: DeserializeOwned>(
    version: u8,
    table: &'static str,
    bytes: &[u8],
) -> Result<T, LedgerError> {
    let malformed = || LedgerError::Malformed { table };
    let (found, body) = bytes.split_first().ok_or_else(malformed)?;
    if *found != version {
        return Err(malformed());
    }
    match postcard::take_from_bytes(body) {
        Ok((record, [])) => Ok(record),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unambiguous() {
        assert_ne!(key_of(&[b"ab", b"c"]), key_of(&[b"a", b"bc"]));
        assert_ne!(key_of(&[b"a"]), key_of(&[b"a", b""]));
        assert!(!key_of(&[b"ab"]).starts_with(&key_of(&[b"a"])));
    }

    #[test]
    fn a_record_fills_its_bytes_and_names_its_version() {
        let bytes = encode(ENTRIES, &(7u32, "x")).unwrap();
        assert_eq!(bytes, [2, 7, 1, b'x']);
        assert_eq!(decode::<(u32, String)>(ENTRIES, &bytes).unwrap(), (7, "x".to_owned()));
        let trailing = [bytes.as_slice(), &[0]].concat();
        let other_version = [&[9], &bytes[1..]].concat();
        for bad in [&[][..], &bytes[..3], &trailing, &other_version] {
            let error = decode::<(u32, String)>(CHARGES, bad).unwrap_err();
            assert_eq!(error.to_string(), "ledger: malformed record in table ledger_charge");
        }
    }
}
