//! The policy in force for a wallet.

use quorate_policy::SignedPolicy;
use quorate_store::Read;
use quorate_types::WalletId;

use crate::error::{Internal, OpError};
use crate::records::{PolicyRecord, Record, get};

/// A wallet's policy, as it was verified when it was put in force. `None` denies everything.
pub(crate) fn in_force(read: &dyn Read, wallet: &WalletId) -> Result<Option<SignedPolicy>, OpError> {
    let record = get::<PolicyRecord>(read, wallet.as_str().as_bytes())?;
    record.map(|record| restore(wallet, &record)).transpose()
}

/// The policy of a record, where it is the one that was verified, and this wallet's.
pub(crate) fn restore(wallet: &WalletId, record: &PolicyRecord) -> Result<SignedPolicy, OpError> {
    let malformed =
        |reason: String| Internal::Record { table: PolicyRecord::TABLE, key: wallet.to_string(), reason };
    let policy =
        SignedPolicy::restore(&record.document, record.hash).map_err(|error| malformed(error.to_string()))?;
    if policy.wallet() != wallet {
        return Err(malformed("it is for another wallet".to_owned()).into());
    }
    Ok(policy)
}
