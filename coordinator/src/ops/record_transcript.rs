//! Taking an offline ceremony's transcript on record: its chain holds, operators signed its head, and each signature it
//! tells of is by the key it names. Every step becomes an entry of the audit log.

use quorate_audit::{AuditError, Event, PendingReceipt, Receipt};
use quorate_ceremony::{Head, HeadError, Made, Step, read_steps};
use quorate_manifest::SignedDocument;
use quorate_store::{Read, Txn};
use quorate_types::{UnixMillis, WalletId};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::coordinator::{Change, Coordinator};
use crate::error::{Internal, OpError};
use crate::records::{CeremonyRecord, Record, WalletRecord, get, put};

/// Largest transcript accepted: of some ten thousand swept wallets. Larger fleets are swept with a transcript a part.
pub(crate) const MAX_TRANSCRIPT_BYTES: usize = 16 << 20;

/// What is on record now.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) steps: u64,
    pub(crate) new: u64,
    pub(crate) signatures: u64,
    pub(crate) signers: Vec<String>,
    pub(crate) receipt: Option<Receipt>,
}

/// A transcript that was read and believed.
struct Ceremony {
    record: CeremonyRecord,
    steps: Vec<Step>,
    signers: Vec<String>,
    caller: Caller,
}

/// Records the steps of a transcript that are not on record yet, all of them or none.
///
/// # Errors
/// Invalid where transcript, head or a signature does not hold; a conflict where it contradicts what is on record.
pub(crate) async fn record_transcript(
    core: &Coordinator,
    caller: Caller,
    (head, transcript): (SignedDocument, Vec<u8>),
) -> Result<Recorded, OpError> {
    let pinned = core.pinned.load_full();
    let (head, signers) = Head::verify(&head, pinned.manifest()).map_err(|error| refused(&error))?;
    if transcript.len() > MAX_TRANSCRIPT_BYTES {
        let reason = format!("{} bytes, at most {MAX_TRANSCRIPT_BYTES}", transcript.len());
        return Err(OpError::invalid("transcript", reason));
    }
    let text = String::from_utf8(transcript).map_err(|_| OpError::invalid("transcript", "not text"))?;
    let steps = read_steps(&text).map_err(|error| OpError::invalid("transcript", error))?;
    head.check(&steps).map_err(|error| refused(&error))?;
    let first = steps.first().ok_or_else(|| OpError::invalid("transcript", "has no step"))?;
    let record = CeremonyRecord { ceremony: first.hash, steps: head.steps, last: head.last };
    let ceremony = Ceremony { record, steps, signers, caller };
    let _alone = core.changes.lock(&Change::Ceremonies).await;
    let now = core.clock.now();
    let ((recorded, receipt), synced) = core.db.update(move |txn| ceremony.write(txn, now)).await?;
    Ok(Recorded { receipt: receipt.map(|receipt| receipt.confirm(&synced)), ..recorded })
}

impl Ceremony {
    fn write(
        self,
        txn: &mut dyn Txn,
        now: UnixMillis,
    ) -> Result<(Recorded, Option<PendingReceipt>), OpError> {
        let known = get::<CeremonyRecord>(txn, &self.record.key())?;
        let from = known.map_or(Ok(0), |known| self.follows(&known))?;
        let (mut receipt, mut signatures) = (None, 0);
        for step in self.steps.iter().skip(from) {
            let (event, made) = self.event(txn, step)?;
            signatures += made;
            receipt = Some(quorate_audit::append(txn, now, &event).map_err(|error| unfit(step, error))?);
        }
        put(txn, &self.record)?;
        let steps = self.record.steps;
        let new = steps.saturating_sub(from as u64);
        Ok((Recorded { steps, new, signatures, signers: self.signers, receipt: None }, receipt))
    }

    /// How many steps are on record already: those, and no others of the same name.
    fn follows(&self, known: &CeremonyRecord) -> Result<usize, OpError> {
        let from = usize::try_from(known.steps).unwrap_or(usize::MAX);
        let last = from.checked_sub(1).and_then(|at| self.steps.get(at));
        match last {
            None => {
                let reason = format!("{} steps of it are on record already: this copy is older", known.steps);
                Err(OpError::conflict("transcript", reason))
            }
            Some(last) if last.hash != known.last => {
                let reason =
                    format!("step {from} differs from the one on record: two transcripts of one beginning");
                Err(OpError::conflict("transcript", reason))
            }
            Some(_) => Ok(from),
        }
    }

    /// A step as an entry, and how many signatures it tells of.
    fn event(&self, read: &dyn Read, step: &Step) -> Result<(Event, u64), OpError> {
        let made = Made::read(&step.detail).map_err(|error| at(step, error))?;
        // A key of a wallet that never became active can be swept too; the log says which ones are not this cluster's.
        let mut others = Vec::new();
        for made in &made {
            let wallet = get::<WalletRecord>(read, made.wallet.as_str().as_bytes())?;
            let key = wallet.and_then(|wallet| wallet.born).map(|born| born.public_key);
            if key != Some(made.public_key) {
                others.push(json!(made.public_key));
            }
        }
        let event = Event::new("recovery.step")
            .field("caller", json!(self.caller.0.to_string()))
            .field("signers", json!(self.signers))
            .field("ceremony", json!(self.record.ceremony))
            .field("sequence", json!(step.sequence))
            .field("at_ms", json!(step.at_ms))
            .field("step", json!(step.step))
            .field("hash", json!(step.hash))
            .field("detail", step.detail.clone())
            .field("other_keys", Value::Array(others));
        let event = match one_wallet(&made) {
            Some(wallet) => event.wallet(wallet),
            None => event,
        };
        Ok((event, made.len() as u64))
    }
}

fn one_wallet(made: &[Made]) -> Option<&WalletId> {
    let (first, rest) = made.split_first()?;
    rest.iter().all(|other| other.wallet == first.wallet).then_some(&first.wallet)
}

fn at(step: &Step, error: impl std::fmt::Display) -> OpError {
    OpError::invalid("transcript", format!("line {}: {error}", step.sequence.saturating_add(1)))
}

/// What cannot be an entry is the transcript's fault, and nothing else is.
fn unfit(step: &Step, error: AuditError) -> OpError {
    match error {
        AuditError::Event(error) => at(step, error),
        error => Internal::from(error).into(),
    }
}

fn refused(error: &HeadError) -> OpError {
    match error {
        HeadError::Field { field, reason } => OpError::invalid(format!("head.{field}"), reason),
        HeadError::Yaml(_) | HeadError::Document(_) => OpError::invalid("head", error),
    }
}
