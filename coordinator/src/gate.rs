//! The gate. No node hears of a signing that did not pass here: what starts a session takes [`Admitted`], and only
//! [`Gate::admit`] makes one, out of a policy's approval, a synced reservation and an audit receipt.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use quorate_audit::Receipt;
use quorate_freeze::FrozenSet;
use quorate_intent::Decoded;
use quorate_ledger::{Claim, IdempotencyKey, LedgerError, Reservation};
use quorate_policy::SignedPolicy;
use quorate_proto::v1;
use quorate_session::AgentSignature;
use quorate_types::{B256, Clock, ClusterId, Payload, WalletId};
use tokio::sync::OwnedMutexGuard;

use crate::access::{Caller, SIGNERS};
use crate::db::Db;
use crate::error::OpError;
use crate::keyed_locks::KeyedLocks;
use crate::policies;
use crate::question::{Question, Written};
use crate::records::{Born, WalletRecord, get};
use crate::wire;

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

/// A request that may be put to the nodes, once.
pub(crate) struct Admitted {
    case: Case,
    budget: Budget,
}

/// What was admitted, and by what.
pub(crate) struct Case {
    wallet: WalletRecord,
    born: Born,
    request: Request,
    decoded: Decoded,
    policy_hash: B256,
    receipt: Receipt,
}

/// How an admitted request's spend is held.
pub(crate) enum Budget {
    /// Reserved just now.
    Reserved(Reservation),
    /// Held since an earlier try at this very request, which nodes may have been asked for. It stays spent.
    Held,
}

/// What the gate says.
pub(crate) enum Verdict {
    Admitted(Box<Admitted>),
    /// Policy says no. Nothing is reserved and the key stays usable.
    Denied(Box<v1::SignResponse>),
    /// The same request was answered before, with these bytes.
    Answered(Vec<u8>),
}

/// What the record says of a request.
struct Known {
    wallet: WalletRecord,
    claim: Claim,
    policy: Option<SignedPolicy>,
}

pub(crate) struct Gate {
    cluster: ClusterId,
    db: Db,
    clock: Arc<dyn Clock>,
    wallets: KeyedLocks<WalletId>,
    freezes: Arc<ArcSwap<FrozenSet>>,
}

impl Gate {
    pub(crate) fn new(
        cluster: ClusterId,
        db: Db,
        clock: Arc<dyn Clock>,
        freezes: Arc<ArcSwap<FrozenSet>>,
    ) -> Self {
        Self { cluster, db, clock, wallets: KeyedLocks::default(), freezes }
    }

    /// Holds a wallet's requests back, as long as the guard lives: what they are judged by is about to change.
    pub(crate) async fn close(&self, wallet: &WalletId) -> OwnedMutexGuard<()> {
        self.wallets.lock(wallet).await
    }

    /// Authorise, claim, decode, evaluate, reserve.
    pub(crate) async fn admit(&self, caller: &Caller, request: Request) -> Result<Verdict, OpError> {
        // 1. Authorise: the role table said so already; nobody signs by a slip in it.
        if !SIGNERS.contains(&caller.0.role()) {
            return Err(OpError::Forbidden(caller.0.to_string()));
        }
        // From here on, one request of a wallet at a time: what is judged is what is reserved.
        let _alone = self.wallets.lock(&request.wallet).await;

        // 2. Claim: one key, one payload, one answer.
        let Known { wallet, claim, policy } = self.known(&request).await?;
        let before = match claim {
            Claim::Conflict => return Err(LedgerError::Conflict.into()),
            Claim::Done(answer) => return Ok(Verdict::Answered(answer)),
            Claim::InFlight(state) => Some(state),
            Claim::Fresh => None,
        };
        let Some(born) = wallet.born.clone() else {
            return Err(OpError::conflict(
                "wallet",
                "its key generation is not complete, it cannot sign yet",
            ));
        };

        // 3. Decode: what would the bytes do?
        let decoded =
            quorate_intent::decode(&request.payload).map_err(|error| OpError::invalid("payload", error))?;

        // 4. Evaluate, reserve and write it down, in one synced transaction.
        let question = Question {
            cluster: self.cluster.clone(),
            caller: caller.clone(),
            request,
            decoded,
            policy,
            agent: wallet.agent.clone(),
            agent_key: wallet.agent_key,
            public_key: born.public_key,
            freezes: self.freezes.load_full(),
            clock: Arc::clone(&self.clock),
        };
        let write = self.db.update(move |txn| Ok((question.answer(txn, before)?, question)));
        let ((answer, question), synced) = write.await?;
        let (policy_hash, reservation, receipt) = match answer {
            Written::Denied(denial, receipt) => {
                let denied = wire::denied(denial, &receipt.confirm(&synced));
                return Ok(Verdict::Denied(Box::new(denied)));
            }
            Written::Allowed { policy_hash, reservation, receipt } => (policy_hash, reservation, receipt),
        };
        let budget = reservation.map_or(Budget::Held, |pending| Budget::Reserved(pending.confirm(&synced)));
        let (Question { request, decoded, .. }, receipt) = (question, receipt.confirm(&synced));
        let case = Case { wallet, born, request, decoded, policy_hash, receipt };
        Ok(Verdict::Admitted(Box::new(Admitted { case, budget })))
    }

    async fn known(&self, request: &Request) -> Result<Known, OpError> {
        let (wallet, key, payload_hash) = (request.wallet.clone(), request.key.clone(), request.payload_hash);
        let read = self.db.read(move |read| {
            let record = get::<WalletRecord>(read, wallet.as_str().as_bytes())?;
            Ok(Known {
                wallet: record.ok_or_else(|| OpError::not_found("wallet", &wallet))?,
                claim: quorate_ledger::claim(read, &wallet, &key, payload_hash)?,
                policy: policies::in_force(read, &wallet)?,
            })
        });
        read.await
    }
}

impl Admitted {
    pub(crate) fn case(&self) -> &Case {
        &self.case
    }

    /// The case, and its budget to be spent or given back: once.
    pub(crate) fn into_parts(self) -> (Case, Budget) {
        (self.case, self.budget)
    }
}

impl Case {
    pub(crate) fn wallet(&self) -> &WalletRecord {
        &self.wallet
    }

    pub(crate) fn born(&self) -> &Born {
        &self.born
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) fn decoded(&self) -> &Decoded {
        &self.decoded
    }

    /// The policy that allowed it.
    pub(crate) fn policy_hash(&self) -> B256 {
        self.policy_hash
    }

    pub(crate) fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}
