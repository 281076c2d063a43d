//! One signing per idempotency key at a time. Whoever asks again meanwhile waits for the same answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_ledger::IdempotencyKey;
use quorate_proto::v1::SignResponse;
use quorate_types::{B256, WalletId};
use tokio::sync::{broadcast, watch};

use crate::error::OpError;
use crate::gate::Request;

/// Signings under way at once; more are told to come back.
const MAX_RUNNING: usize = 256;

/// How a signing ended.
pub(crate) type Answer = Result<SignResponse, OpError>;

/// Answers that whoever watches may be behind.
const ANSWERS: usize = 256;

/// Which request: the caller's key for it, in its wallet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) wallet: WalletId,
    pub(crate) key: IdempotencyKey,
}

/// The signings under way, and what was answered of late.
pub(crate) struct Signings {
    table: Mutex<HashMap<Name, (B256, Waiting)>>,
    answers: broadcast::Sender<Arc<(Name, Answer)>>,
}

impl Default for Signings {
    fn default() -> Self {
        let (answers, _) = broadcast::channel(ANSWERS);
        Self { table: Mutex::default(), answers }
    }
}

/// Waits for a signing's answer.
#[derive(Clone)]
pub(crate) struct Waiting(watch::Receiver<Option<Answer>>);

/// Where a request stands in line.
pub(crate) enum Place {
    /// It is to be worked on, and the answer put here.
    First(Ticket, Waiting),
    /// It is being worked on.
    Behind(Waiting),
}

/// The duty to answer. One that is dropped unanswered tells those who wait that it was.
pub(crate) struct Ticket {
    name: Name,
    answer: watch::Sender<Option<Answer>>,
}

impl Signings {
    fn table(&self) -> MutexGuard<'_, HashMap<Name, (B256, Waiting)>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every answer that is given from now on.
    pub(crate) fn answers(&self) -> broadcast::Receiver<Arc<(Name, Answer)>> {
        self.answers.subscribe()
    }

    /// Takes a place in line.
    pub(crate) fn join(&self, request: &Request) -> Result<Place, OpError> {
        let name = Name { wallet: request.wallet.clone(), key: request.key.clone() };
        let mut table = self.table();
        // A line whose ticket was lost has no sender any more, and is taken over.
        let running = table.get(&name).filter(|(_, waiting)| waiting.0.has_changed().is_ok());
        if let Some((payload_hash, waiting)) = running {
            if *payload_hash != request.payload_hash {
                return Err(quorate_ledger::LedgerError::Conflict.into());
            }
            return Ok(Place::Behind(waiting.clone()));
        }
        if table.len() >= MAX_RUNNING {
            let reason = format!("{MAX_RUNNING} signings are under way");
            return Err(OpError::Unavailable { reason, nodes: Vec::new() });
        }
        let (answer, waiting) = watch::channel(None);
        let waiting = Waiting(waiting);
        table.insert(name.clone(), (request.payload_hash, waiting.clone()));
        Ok(Place::First(Ticket { name, answer }, waiting))
    }

    /// Answers everyone who waits, and clears the line.
    pub(crate) fn answer(&self, ticket: Ticket, answer: Answer) {
        self.table().remove(&ticket.name);
        let _nobody_may_watch = self.answers.send(Arc::new((ticket.name.clone(), answer.clone())));
        ticket.answer.send_replace(Some(answer));
    }
}

impl Waiting {
    /// The answer.
    pub(crate) async fn answer(mut self) -> Answer {
        match self.0.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or_else(|| Err(OpError::defect("an empty answer"))),
            Err(_) => Err(OpError::defect("a signing ended without an answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_types::Payload;

    fn request(key: &str, bytes: &'static [u8]) -> Request {
        let payload = Payload::Message(quorate_types::Bytes::from_static(bytes));
        Request {
            wallet: "w".parse().unwrap(),
            key: key.parse().unwrap(),
            payload_hash: payload.hash(),
            payload,
            agent: None,
            metadata: Default::default(),
        }
    }

    #[tokio::test]
    async fn everyone_in_line_gets_the_one_answer() {
        let signings = Signings::default();
        let Ok(Place::First(ticket, first)) = signings.join(&request("k", b"x")) else { panic!() };
        let Ok(Place::Behind(behind)) = signings.join(&request("k", b"x")) else { panic!() };
        assert!(matches!(signings.join(&request("k", b"y")), Err(OpError::Conflict { .. })));
        assert!(matches!(signings.join(&request("l", b"y")), Ok(Place::First(..))));
        let answer = SignResponse { repeated_answer: true, ..Default::default() };
        signings.answer(ticket, Ok(answer.clone()));
        assert_eq!(first.answer().await.unwrap(), answer);
        assert_eq!(behind.answer().await.unwrap(), answer);
        assert!(matches!(signings.join(&request("k", b"y")), Ok(Place::First(..))), "the line is clear");
    }

    #[tokio::test]
    async fn a_lost_ticket_does_not_leave_anyone_waiting() {
        let signings = Signings::default();
        let Ok(Place::First(ticket, first)) = signings.join(&request("k", b"x")) else { panic!() };
        drop(ticket);
        assert!(matches!(first.answer().await, Err(OpError::Internal(_))));
        assert!(matches!(signings.join(&request("k", b"x")), Ok(Place::First(..))));
    }
}
