//! Wallets as they are on record.

use quorate_proto::v1;
use quorate_store::Read;
use quorate_types::WalletId;

use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::records::{DrillRecord, PolicyRecord, Record, WalletRecord, get, page};
use crate::wire::wallet_to_pb;

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1000;

/// One wallet.
pub(crate) async fn get_wallet(core: &Coordinator, wallet: WalletId) -> Result<v1::Wallet, OpError> {
    let read = core.db.read(move |read| {
        let record = get::<WalletRecord>(read, wallet.as_str().as_bytes())?;
        let record = record.ok_or_else(|| OpError::not_found("wallet", &wallet))?;
        in_full(read, &record)
    });
    read.await
}

/// How many a page holds where so many are asked for.
///
/// # Errors
/// Invalid where that is too many.
pub(crate) fn page_size(asked: u32) -> Result<usize, OpError> {
    let size = match asked {
        0 => DEFAULT_PAGE,
        1..=LARGEST_PAGE => asked,
        _ => return Err(OpError::invalid("page_size", format!("at most {LARGEST_PAGE}"))),
    };
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// A page of wallets in the order of their names.
pub(crate) async fn list_wallets(
    core: &Coordinator,
    page_size: u32,
    after: Option<WalletId>,
) -> Result<v1::ListWalletsResponse, OpError> {
    let size = self::page_size(page_size)?;
    let read = core.db.read(move |read| {
        let after = after.map(|wallet| wallet.as_str().as_bytes().to_vec()).unwrap_or_default();
        // One more than asked for tells whether this is the last page.
        let mut records = page::<WalletRecord>(read, &after, size + 1)?;
        let more = records.len() > size;
        records.truncate(size);
        let last = records.last().map(|record| record.wallet.to_string());
        let wallets = records.iter().map(|record| in_full(read, record));
        Ok(v1::ListWalletsResponse {
            wallets: wallets.collect::<Result<_, _>>()?,
            next_after: last.filter(|_| more).unwrap_or_default(),
        })
    });
    read.await
}

fn in_full(read: &dyn Read, record: &WalletRecord) -> Result<v1::Wallet, OpError> {
    let policy = get::<PolicyRecord>(read, &record.key())?;
    let drill = get::<DrillRecord>(read, &record.key())?;
    let drilled_at_ms = drill.map_or(0, |drill| drill.drilled_at);
    Ok(v1::Wallet { drilled_at_ms, ..wallet_to_pb(record, policy.as_ref()) })
}
