//! The gate. No node hears of a signing that did not pass here: what starts a session takes [`Admitted`], and only
//! [`Gate::admit`] makes one, out of a policy's approval, a synced reservation and an audit receipt.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use quorate_audit::{Event, Receipt};
use quorate_freeze::FrozenSet;
use quorate_intent::{Charge, Decoded};
use quorate_ledger::{Claim, IdempotencyKey, LedgerError, Reservation, State};
use quorate_policy::{Approval, Decision, Denial, Facts, SignedPolicy, evaluate};
use quorate_proto::v1;
use quorate_types::{B256, Clock, Payload, UnixMillis, WalletId};
use serde_json::json;
use tokio::sync::OwnedMutexGuard;

use crate::access::{Caller, SIGNERS};
use crate::db::Db;
use crate::error::OpError;
use crate::keyed_locks::KeyedLocks;
use crate::link::quoted;
use crate::policies;
use crate::records::{Born, WalletRecord, get};
use crate::wire;

/// A well-formed request for a signature. What it says has not been judged.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) wallet: WalletId,
    pub(crate) key: IdempotencyKey,
    pub(crate) payload: Payload,
    pub(crate) payload_hash: B256,
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
    approval: Approval,
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
    db: Db,
    clock: Arc<dyn Clock>,
    wallets: KeyedLocks<WalletId>,
    freezes: Arc<ArcSwap<FrozenSet>>,
}

impl Gate {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>, freezes: Arc<ArcSwap<FrozenSet>>) -> Self {
        Self { db, clock, wallets: KeyedLocks::default(), freezes }
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

        // 4. Evaluate: may they?
        let now = self.clock.now();
        let address = born.public_key.address();
        let facts = Facts { wallet: &request.wallet, address, intent: &decoded.intent, now };
        let decision = evaluate(policy.as_ref(), &facts);
        let decision = quorate_freeze::judge(&self.freezes.load(), &wallet.agent, &facts, decision);
        let approval = match decision {
            Decision::Allow(approval) => approval,
            Decision::Deny(denial) => return self.deny(caller, &request, &decoded, denial).await,
        };

        // 5. Reserve and write it down, in one synced transaction.
        let event = allowed(caller, &request, &decoded, &approval);
        let (budget, receipt) = self.reserve(&request, approval.charges(), (before, event, now)).await?;
        let case = Case { wallet, born, request, decoded, approval, receipt };
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

    async fn reserve(
        &self,
        request: &Request,
        charges: &[Charge],
        (before, event, now): (Option<State>, Event, UnixMillis),
    ) -> Result<(Budget, Receipt), OpError> {
        let charges = charges.to_vec();
        let (wallet, key, payload_hash) = (request.wallet.clone(), request.key.clone(), request.payload_hash);
        let write = self.db.update(move |txn| {
            let receipt = quorate_audit::append(txn, now, &event)?;
            if before == Some(State::Releasing) {
                return Ok((None, receipt));
            }
            if before == Some(State::Reserved) {
                // Left by a try that ended before any node was asked.
                quorate_ledger::void(txn, &wallet, &key)?;
            }
            let (wallet, key, charges) = (&wallet, &key, charges.as_slice());
            let request = quorate_ledger::Request { wallet, key, payload_hash, charges };
            Ok((Some(quorate_ledger::reserve(txn, &request, now)?), receipt))
        });
        let ((reservation, receipt), synced) = write.await?;
        let budget = match reservation {
            Some(reservation) => Budget::Reserved(reservation.confirm(&synced)),
            None => Budget::Held,
        };
        Ok((budget, receipt.confirm(&synced)))
    }

    async fn deny(
        &self,
        caller: &Caller,
        request: &Request,
        decoded: &Decoded,
        denial: Denial,
    ) -> Result<Verdict, OpError> {
        let denial = wire::denial_to_pb(&denial);
        let now = self.clock.now();
        let event =
            asked("sign.denied", caller, request, decoded).field("denial", wire::denial_json(&denial));
        let (receipt, synced) =
            self.db.update(move |txn| Ok(quorate_audit::append(txn, now, &event)?)).await?;
        Ok(Verdict::Denied(Box::new(wire::denied(denial, &receipt.confirm(&synced)))))
    }
}

fn asked(kind: &'static str, caller: &Caller, request: &Request, decoded: &Decoded) -> Event {
    Event::new(kind)
        .wallet(&request.wallet)
        .field("caller", json!(caller.0.to_string()))
        .field("idempotency_key", json!(request.key.as_str()))
        .field("payload_hash", json!(request.payload_hash))
        .field("digest", json!(decoded.digest.digest()))
        .field("summary", json!(quoted(&decoded.intent.summary())))
        .field("metadata", json!(request.metadata))
}

fn allowed(caller: &Caller, request: &Request, decoded: &Decoded, approval: &Approval) -> Event {
    asked("sign.allowed", caller, request, decoded)
        .field("policy_version", json!(approval.policy_version()))
        .field("policy_hash", json!(approval.policy_hash()))
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

    pub(crate) fn approval(&self) -> &Approval {
        &self.approval
    }

    pub(crate) fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}
