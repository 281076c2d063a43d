//! Taking a drill's certificate on record: the wallet's own signature proves it, and it is newer than the last.

use quorate_audit::{Event, Receipt};
use quorate_ceremony::{CertificateError, DrillCertificate};
use quorate_types::UnixMillis;
use serde_json::json;

use crate::access::Caller;
use crate::coordinator::{Change, Coordinator};
use crate::drills;
use crate::error::OpError;
use crate::records::{DrillRecord, WalletRecord, get, put};

/// How far the offline machine's clock may be ahead. A drill in the future would keep the alarm silent for as long.
const AHEAD_MS: UnixMillis = 5 * 60 * 1_000;

/// Records a certificate, and answers with what is on record. No receipt where it was there before.
///
/// # Errors
/// Invalid where it proves nothing about a wallet of this cluster, naming the field; a conflict where it is not newer
/// than the last one.
pub(crate) async fn record_drill(
    core: &Coordinator,
    caller: Caller,
    bytes: &[u8],
) -> Result<(DrillRecord, Option<Receipt>), OpError> {
    let (certificate, challenge) = DrillCertificate::parse(bytes).map_err(refused)?;
    let _alone = core.changes.lock(&Change::Wallet(challenge.wallet.clone())).await;
    let name = challenge.wallet.clone();
    let read = core.db.read(move |read| {
        let key = name.as_str().as_bytes();
        let wallet = get::<WalletRecord>(read, key)?;
        let wallet = wallet.ok_or_else(|| OpError::not_found("challenge.wallet", &name))?;
        Ok((wallet, get::<DrillRecord>(read, key)?))
    });
    let (wallet, last) = read.await?;
    if wallet.terms.raw_digest {
        let reason =
            "signs raw digests, so that its cluster can sign a challenge's: its signature proves no drill";
        return Err(OpError::conflict("challenge.wallet", reason));
    }
    let born = wallet.born.ok_or_else(|| OpError::conflict("challenge.wallet", "it has no key yet"))?;
    let pinned = core.pinned.load_full();
    let signature =
        certificate.verify(&challenge, pinned.manifest().cluster(), born.public_key).map_err(refused)?;
    let now = core.clock.now();
    if challenge.at_ms > now.saturating_add(AHEAD_MS) {
        let reason = format!("is {}, which has not come yet: it is {now}", challenge.at_ms);
        return Err(OpError::invalid("challenge.Unix milliseconds", reason));
    }
    let record = DrillRecord {
        wallet: wallet.wallet,
        group: wallet.group,
        drilled_at: challenge.at_ms,
        challenge: challenge.to_string(),
    };
    match last {
        Some(last) if last == record => return Ok((last, None)),
        Some(last) if last.drilled_at >= record.drilled_at => {
            let reason =
                format!("is {}, and a drill of {} is on record: stale", record.drilled_at, last.drilled_at);
            return Err(OpError::conflict("challenge.Unix milliseconds", reason));
        }
        _ => {}
    }
    let event = Event::new("recovery.drilled")
        .wallet(&record.wallet)
        .field("caller", json!(caller.0.to_string()))
        .field("challenge", json!(record.challenge))
        .field("signature", json!(hex::encode(signature.to_bytes())));
    let written = record.clone();
    let write = core.db.update(move |txn| {
        put(txn, &written)?;
        Ok(quorate_audit::append(txn, now, &event)?)
    });
    let (receipt, synced) = write.await?;
    drills::measure(&core.db).await?;
    Ok((record, Some(receipt.confirm(&synced))))
}

fn refused(error: CertificateError) -> OpError {
    match error {
        CertificateError::Field { field, reason } => OpError::invalid(field, reason),
        CertificateError::Shape(_) => OpError::invalid("certificate", error),
    }
}
