//! Keeps the pools at what the demand asks for: a bounded number of presigning sessions, the neediest wallet first, and
//! longer and longer pauses where they fail.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_manifest::Group;
use quorate_proto::v1;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_types::WalletId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::ops::sign::SIGNERS;
use crate::session_run::{Plan, run as run_session};
use crate::why::why;

/// How often the demand is looked at where nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// After a change, how long others are waited for: looking at all wallets for each of them would be too often.
const GATHER: Duration = Duration::from_millis(100);
/// And at least so many times what the last look took: with many wallets it stays a small part of one core.
const GATHER_LOOKS: u32 = 20;
/// Longest presigning session.
const DEADLINE: Duration = Duration::from_secs(60);
/// The pause after a first failure; it doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// What is under way, and what is not to be tried for now.
#[derive(Default)]
struct State {
    sessions: JoinSet<(WalletId, How)>,
    under_way: HashMap<WalletId, usize>,
    pauses: HashMap<WalletId, (Instant, Duration)>,
}

/// How a presigning session ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Made,
    /// A node had no time for it, which says nothing about the wallet.
    NotNow,
    Failed,
}

/// Refills until `stop`.
pub(crate) async fn run(core: Arc<Coordinator>, stop: CancellationToken) {
    if core.pools_config.per_wallet == 0 {
        return;
    }
    let mut state = State::default();
    loop {
        let began = Instant::now();
        while let Some(wallet) = state.neediest(&core) {
            state.start(&core, wallet);
        }
        let gather = GATHER.max(began.elapsed().saturating_mul(GATHER_LOOKS));
        let sessions = &mut state.sessions;
        let change = async {
            core.pools.change().await;
            sleep(gather).await;
        };
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            Some(ended) = sessions.join_next() => Some(ended),
            _ = timeout(TICK, change) => None,
        };
        match ended {
            Some(Ok((wallet, how))) => state.ended(wallet, how),
            Some(Err(error)) => tracing::error!(%error, "a presigning task died"),
            None => {}
        }
    }
}

impl State {
    /// The wallet that has the smallest part of what it should have, and room for one more session.
    fn neediest(&mut self, core: &Coordinator) -> Option<(WalletId, Group)> {
        let config = &core.pools_config;
        if self.sessions.len() >= config.sessions {
            return None;
        }
        let now = Instant::now();
        let mut neediest: Option<(f64, WalletId, Group)> = None;
        for (wallet, group, target) in core.demand.targets(config, now) {
            if self.pauses.get(&wallet).is_some_and(|(until, _)| now < *until) {
                continue;
            }
            let Ok(group) = core.group(&group) else { continue };
            let under_way = self.under_way.get(&wallet).copied().unwrap_or_default();
            let coming = core.pools.ready(&wallet, &group).saturating_add(under_way);
            let unfit = || core.pools.is_quarantined(&group, now) || core.seats(&group, &SIGNERS).is_err();
            if coming >= target || unfit() {
                continue;
            }
            let part = coming as f64 / target as f64;
            if neediest.as_ref().is_none_or(|(least, ..)| part < *least) {
                neediest = Some((part, wallet, group));
            }
        }
        neediest.map(|(_, wallet, group)| (wallet, group))
    }

    fn start(&mut self, core: &Arc<Coordinator>, (wallet, group): (WalletId, Group)) {
        let under_way = self.under_way.entry(wallet.clone()).or_default();
        *under_way = under_way.saturating_add(1);
        let core = core.clone();
        self.sessions.spawn(async move {
            let (how, outcome) = match presign(&core, &wallet, &group).await {
                Ok(()) => (How::Made, "made"),
                Err(error @ OpError::Unavailable { .. }) => {
                    tracing::info!(%wallet, %error, "not presigned now");
                    (How::NotNow, "not_now")
                }
                Err(error) => {
                    tracing::warn!(%wallet, %error, "presigning failed");
                    (How::Failed, "failed")
                }
            };
            metrics::counter!("quorate_presign_total", "outcome" => outcome).increment(1);
            (wallet, how)
        });
    }

    fn ended(&mut self, wallet: WalletId, how: How) {
        if let Some(under_way) = self.under_way.get_mut(&wallet) {
            *under_way = under_way.saturating_sub(1);
        }
        self.under_way.retain(|_, under_way| *under_way > 0);
        let pause = match how {
            How::Made => {
                self.pauses.remove(&wallet);
                return;
            }
            How::NotNow => PAUSE,
            How::Failed => {
                self.pauses.get(&wallet).map_or(PAUSE, |(_, pause)| (*pause * 2).min(LONGEST_PAUSE))
            }
        };
        self.pauses.insert(wallet, (Instant::now() + pause, pause));
    }
}

/// One presignature. Both nodes report what they hold on their streams; here only the session's end is heard.
async fn presign(core: &Coordinator, wallet: &WalletId, group: &Group) -> Result<(), OpError> {
    let convened = core.relay.convene(core.seats(group, &SIGNERS)?, None)?;
    let protocol = Protocol::Presign(v1::StartPresign { wallet: wallet.to_string() });
    let plan = Plan { protocol, decisive: None, deadline: Instant::now() + DEADLINE };
    let ended = run_session(convened, plan).await;
    let pooled = |node| matches!(ended.outcome_of(node), Some(Outcome::Pooled(_)));
    if SIGNERS.iter().all(|role| pooled(group.of(*role))) { Ok(()) } else { Err(why(&ended).into_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_whose_presigning_fails_is_tried_less_and_less_often() {
        let wallet = || "w".parse::<WalletId>().unwrap();
        let mut state = State::default();
        let mut failed = || {
            state.ended(wallet(), How::Failed);
            let (until, pause) = state.pauses[&wallet()];
            assert!(until > Instant::now() + pause / 2);
            pause.as_secs()
        };
        let pauses: Vec<_> = (0..9).map(|_| failed()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        state.ended(wallet(), How::NotNow);
        assert_eq!(state.pauses[&wallet()].1, PAUSE, "no fault of the wallet's");
        state.ended(wallet(), How::Made);
        assert!(state.pauses.is_empty());
    }
}
