//! The gate. No node hears of a signing that did not pass here: what starts a session takes [`Admitted`], and only
//! [`Gate::admit`] makes one, out of a policy's approval, a spend that is marked and synced, and an audit receipt.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use quorate_audit::{Quota, Receipt};
use quorate_freeze::FrozenSet;
use quorate_intent::Decoded;
use quorate_ledger::{IdempotencyKey, Releasing};
use quorate_manifest::{Pinned, SignedDocument};
use quorate_policy::SignedPolicy;
use quorate_proto::v1;
use quorate_session::AgentSignature;
use quorate_store::Durable;
use quorate_types::{B256, Clock, Payload, PublicKey, WalletId};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::access::{Caller, SIGNERS};
use crate::db::Db;
use crate::error::OpError;
use crate::parsed::Parsed;
use crate::places::Places;
use crate::question::{Allowed, Question, Waiting, Written};
use crate::records::WalletRecord;
use crate::wire;

/// Evaluations at once: they cost what a signing's gate does, and must leave the processor to those.
const MAX_FORETELLING: usize = 2;
/// Evaluations that are under way or wait for their turn: all together, and of one caller.
const MAX_WAITING: (usize, usize) = (128, 32);
/// How long one waits for its turn.
const FORETELL_WAIT: Duration = Duration::from_secs(5);

/// A well-formed request for a signature. What it says has not been judged.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) wallet: WalletId,
    pub(crate) key: IdempotencyKey,
    pub(crate) payload: Payload,
    pub(crate) payload_hash: B256,
    pub(crate) agent: Option<AgentSignature>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A request that may be put to the nodes, once. Its spend is on record: a crash from here on leaves it standing.
pub(crate) struct Admitted {
    case: Case,
    budget: Budget,
}

/// What was admitted, and by what.
pub(crate) struct Case {
    wallet: Arc<WalletRecord>,
    public_key: PublicKey,
    request: Request,
    decoded: Decoded,
    policy: Arc<SignedPolicy>,
    approval: Option<SignedDocument>,
    receipt: Receipt,
}

/// How an admitted request's spend is held.
pub(crate) enum Budget {
    /// Counted just now: nodes are asked for the first time.
    Counted(Releasing),
    /// Held since an earlier try at this very request, for which nodes may have been asked: nothing can prove that nothing
    /// left them.
    Held,
}

/// What the gate says.
pub(crate) enum Verdict {
    Admitted(Box<Admitted>),
    /// Policy says no. Nothing is reserved and the key stays usable.
    Denied(Box<v1::SignResponse>),
    /// Nothing but time or people stands against it. Nothing is reserved.
    Waiting(Box<Held>),
    /// The same request was answered before, with these bytes.
    Answered(Vec<u8>),
}

/// A request that waits.
pub(crate) struct Held {
    pub(crate) answer: v1::SignResponse,
    pub(crate) wallet: Arc<WalletRecord>,
    pub(crate) request: Request,
    pub(crate) policy_hash: B256,
    /// Whether a hold begins with it.
    pub(crate) begins: bool,
}

pub(crate) struct Gate {
    pinned: Arc<ArcSwap<Pinned>>,
    db: Db,
    clock: Arc<dyn Clock>,
    freezes: Arc<ArcSwap<FrozenSet>>,
    parsed: Arc<Parsed>,
    refusals: Arc<Quota<WalletId>>,
    foretelling: Arc<Semaphore>,
    waiting: Places,
}

impl Gate {
    pub(crate) fn new(
        pinned: Arc<ArcSwap<Pinned>>,
        db: Db,
        clock: Arc<dyn Clock>,
        freezes: Arc<ArcSwap<FrozenSet>>,
    ) -> Self {
        let foretelling = Arc::new(Semaphore::new(MAX_FORETELLING));
        let waiting = Places::new("evaluations", MAX_WAITING.0, MAX_WAITING.1);
        let (parsed, refusals) = Default::default();
        Self { pinned, db, clock, freezes, parsed, refusals, foretelling, waiting }
    }

    /// Authorise; then claim, decode, evaluate, reserve and write it down, in one synced transaction. `at_hand` says
    /// whether there is anybody to ask: where there is not, nothing is reserved.
    pub(crate) async fn admit(
        &self,
        caller: &Caller,
        request: Request,
        at_hand: impl FnOnce(&WalletRecord) -> Result<(), OpError> + Send + 'static,
    ) -> Result<Verdict, OpError> {
        let question = self.question(caller, request)?;
        let write = self.db.update_or_leave(move |txn| question.answer(txn, at_hand));
        let (written, synced) = match write.await? {
            ControlFlow::Continue(written) => written,
            ControlFlow::Break(answer) => return Ok(Verdict::Answered(answer)),
        };
        match written {
            Written::Allowed(allowed) => {
                Ok(Verdict::Admitted(Box::new(Admitted::confirm(*allowed, &synced))))
            }
            Written::Denied(denial, receipt) => {
                Ok(Verdict::Denied(Box::new(wire::denied(denial, &receipt.confirm(&synced)))))
            }
            Written::Waiting(wait) => {
                let Waiting { waiting, wallet, request, policy_hash, begins, receipt } = *wait;
                let answer = wire::waiting(waiting, &receipt.confirm(&synced));
                Ok(Verdict::Waiting(Box::new(Held { answer, wallet, request, policy_hash, begins })))
            }
            Written::NotStarted(error, receipt) => {
                receipt.confirm(&synced);
                Err(error)
            }
        }
    }

    /// What [`Gate::admit`] would say now. Nothing is claimed, reserved or written, and nobody who writes waits for it.
    pub(crate) async fn foretell(
        &self,
        caller: &Caller,
        request: Request,
    ) -> Result<v1::Evaluation, OpError> {
        let question = self.question(caller, request)?;
        // Turns are taken in the order they were asked for: whoever asks for many must leave the others theirs.
        let waiting = self.waiting.take(caller)?;
        let place = timeout(FORETELL_WAIT, Arc::clone(&self.foretelling).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let reason = format!("{MAX_FORETELLING} evaluations are under way");
            return Err(OpError::Unavailable { reason, nodes: Vec::new() });
        };
        let read = self.db.read(move |read| {
            let _until_read = (place, waiting);
            question.foretell(read)
        });
        read.await
    }

    fn question(&self, caller: &Caller, request: Request) -> Result<Question, OpError> {
        // The role table said so already; nobody signs by a slip in it.
        if !SIGNERS.contains(&caller.0.role()) {
            return Err(OpError::Forbidden(caller.0.to_string()));
        }
        Ok(Question {
            pinned: self.pinned.load_full(),
            caller: caller.clone(),
            request,
            freezes: self.freezes.load_full(),
            clock: Arc::clone(&self.clock),
            parsed: Arc::clone(&self.parsed),
            refusals: Arc::clone(&self.refusals),
        })
    }
}

impl Admitted {
    fn confirm(allowed: Allowed, synced: &Durable) -> Self {
        let Allowed { wallet, public_key, request, decoded, policy, approval, releasing, receipt } = allowed;
        let budget = releasing.map_or(Budget::Held, |pending| Budget::Counted(pending.confirm(synced)));
        let receipt = receipt.confirm(synced);
        let case = Case { wallet, public_key, request, decoded, policy, approval, receipt };
        Self { case, budget }
    }

    pub(crate) fn case(&self) -> &Case {
        &self.case
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl Case {
    pub(crate) fn wallet(&self) -> &WalletRecord {
        &self.wallet
    }

    /// The wallet's key.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.public_key
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) fn decoded(&self) -> &Decoded {
        &self.decoded
    }

    /// The policy that allowed it.
    pub(crate) fn policy_hash(&self) -> B256 {
        self.policy.hash()
    }

    pub(crate) fn policy_version(&self) -> u64 {
        self.policy.version()
    }

    /// The approvers' yes, where policy asked for it.
    pub(crate) fn approval(&self) -> Option<&SignedDocument> {
        self.approval.as_ref()
    }

    pub(crate) fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}
