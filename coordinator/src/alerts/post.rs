//! Sends one receiver's letters, the oldest first, however long each takes. Others' wait for nothing here.

use std::sync::Arc;
use std::time::Duration;

use quorate_alert::SendError;
use rand_core::{OsRng, RngCore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Addressee;
use super::outbox::{Dead, Letter};
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::link::quoted;

/// The pause after a first failure; it doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// Sends until `stop`. What is cut by it is sent again after the next start.
pub(super) async fn run(
    core: Arc<Coordinator>,
    receiver: Addressee,
    give_up_ms: u64,
    stop: CancellationToken,
) {
    let mut failures = 0_u32;
    let work = async {
        loop {
            match one(&core, &receiver, give_up_ms).await {
                Ok(true) => failures = 0,
                Ok(false) => {
                    sleep(pause(failures)).await;
                    failures = failures.saturating_add(1);
                }
                Err(error) => {
                    tracing::error!(receiver = receiver.name, %error, "alerts cannot be kept");
                    sleep(LONGEST_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Between half of the pause and all of it, so that receivers that failed together are not tried together.
fn pause(failures: u32) -> Duration {
    let longest =
        PAUSE.saturating_mul(1_u32.checked_shl(failures.min(16)).unwrap_or(u32::MAX)).min(LONGEST_PAUSE);
    let half = longest / 2;
    half + half.mul_f64(f64::from(OsRng.next_u32()) / f64::from(u32::MAX))
}

/// Whether the oldest letter is dealt with.
async fn one(core: &Coordinator, receiver: &Addressee, give_up_ms: u64) -> Result<bool, OpError> {
    let letter = core.outbox.oldest(core, &receiver.name).await?;
    let sent = receiver.receiver.send(&letter.alert, core.clock.now() / 1000).await;
    let outcome = match &sent {
        Ok(()) => "sent",
        Err(SendError::Failed(_)) => "failed",
        Err(SendError::Refused(_)) => "refused",
    };
    let name = receiver.name.clone();
    metrics::counter!("quorate_alerts_sent_total", "receiver" => name, "outcome" => outcome).increment(1);
    let Err(error) = sent else {
        core.outbox.sent(core, &letter).await?;
        return Ok(true);
    };
    let (id, reason) = (&letter.alert.id, quoted(&error.to_string()));
    let over = letter.queued_at.saturating_add(give_up_ms) <= core.clock.now();
    if over || matches!(error, SendError::Refused(_)) {
        tracing::error!(
            receiver = receiver.name,
            alert = id,
            reason,
            "an alert did not arrive, and is put aside"
        );
        bury(core, letter, reason).await?;
        return Ok(true);
    }
    tracing::warn!(
        receiver = receiver.name,
        alert = id,
        reason,
        "an alert did not arrive, and is tried again"
    );
    Ok(false)
}

async fn bury(core: &Coordinator, letter: Letter, reason: String) -> Result<(), OpError> {
    let given_up_at = core.clock.now();
    core.outbox.bury(core, Dead { letter, given_up_at, reason }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_never_all_the_same() {
        for (failures, longest) in [(0, 1), (1, 2), (5, 32), (6, 64), (7, 64), (u32::MAX, 64)] {
            let longest = Duration::from_secs(longest);
            let pauses: Vec<_> = (0..20).map(|_| pause(failures)).collect();
            assert!(pauses.iter().all(|pause| (longest / 2..=longest).contains(pause)), "{failures}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
    }
}
