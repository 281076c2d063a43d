//! Why a session ended without its result, sorted by whose fault it is, and how that is told.

use quorate_audit::AuditError;
use quorate_failpoint::Died;
use quorate_ledger::LedgerError;
use quorate_mpc::MpcError;
use quorate_policy::Denial;
use quorate_proto::{FieldError, v1};
use quorate_session::{EnvelopeError, Fault, OpenError, SealError, StatementError, TermsError};
use quorate_store::StoreError;
use quorate_types::PartyIndex;

use crate::maths::Stopped;
use crate::pool::slots::SlotError;
use crate::vault::VaultError;

/// Why this node left a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// A verdict, not a failure: this node's own policy says no.
    #[error("denied by policy")]
    Denied(Box<Denial>),
    /// What was asked for is wrong.
    #[error("{field}: {reason}")]
    Caller { field: &'static str, reason: String },
    /// A peer made what no honest node makes.
    #[error("party {party}: {reason}")]
    Peer { party: PartyIndex, reason: String },
    /// Messages did not arrive, or somebody unknown spoiled them.
    #[error("{0}")]
    Network(String),
    /// The deadline passed before all of a round's messages came. Nobody's fault: they may be on their way.
    #[error("timed out, waiting for {names}")]
    Waiting { parties: Vec<PartyIndex>, names: String },
    /// This program, or its disk.
    #[error("internal: {0}")]
    Bug(String),
    /// A sync failed: nothing this process believes of its disk is true any more, and it must stop.
    #[error("store: {0}")]
    Fatal(String),
}

impl SessionError {
    pub(crate) fn caller(field: &'static str, reason: impl ToString) -> Self {
        Self::Caller { field, reason: reason.to_string() }
    }

    fn of(fault: Fault, field: &'static str, reason: String) -> Self {
        match fault {
            Fault::Caller => Self::Caller { field, reason },
            Fault::Peer(party) => Self::Peer { party, reason },
            Fault::Network => Self::Network(reason),
            Fault::Bug => Self::Bug(reason),
        }
    }

    /// Sorted as the relay protocol sorts failures.
    const fn fault(&self) -> v1::session_failure::Fault {
        match self {
            Self::Denied(_) | Self::Caller { .. } => v1::session_failure::Fault::Caller,
            Self::Peer { .. } => v1::session_failure::Fault::Peer,
            Self::Network(_) | Self::Waiting { .. } => v1::session_failure::Fault::Network,
            Self::Bug(_) | Self::Fatal(_) => v1::session_failure::Fault::Bug,
        }
    }

    /// The outcome to report. `node` names a party's node; `released` says whether this node's contribution left.
    pub(crate) fn outcome(
        &self,
        me: &str,
        released: bool,
        node: impl Fn(PartyIndex) -> Option<String>,
    ) -> v1::session_outcome::Outcome {
        if let Self::Denied(denial) = self {
            return v1::session_outcome::Outcome::Denied(denial_to_pb(denial, me));
        }
        let field = if let Self::Caller { field, .. } = self { field } else { "" };
        let (mut blamed, mut waited_for) = (None, None);
        match self {
            Self::Peer { party, .. } => blamed = node(*party),
            Self::Waiting { parties, .. } => waited_for = parties.first().and_then(|party| node(*party)),
            _ => {}
        }
        let reason = match self {
            Self::Caller { reason, .. } | Self::Peer { reason, .. } => reason.clone(),
            // What went wrong inside is for this node's own log.
            Self::Bug(_) => "internal error; see this node's log".to_owned(),
            Self::Fatal(_) => "this node's store failed and it is stopping".to_owned(),
            other => other.to_string(),
        };
        v1::session_outcome::Outcome::Failed(v1::SessionFailure {
            fault: self.fault().into(),
            blamed: blamed.unwrap_or_default(),
            field: field.to_owned(),
            reason,
            released,
            waited_for: waited_for.unwrap_or_default(),
        })
    }
}

fn denial_to_pb(denial: &Denial, decided_by: &str) -> v1::Denial {
    let failures = denial.failures.iter().map(|failure| v1::RuleFailure {
        rule: failure.rule.clone(),
        reason: failure.reason.clone(),
        limit: failure.limit.clone(),
        requested: failure.requested.clone(),
        used: failure.used.clone().unwrap_or_default(),
        resets_at_ms: failure.resets_at_ms,
    });
    v1::Denial {
        policy_hash: denial.policy_hash.map(|hash| hash.to_vec()).unwrap_or_default(),
        failures: failures.collect(),
        decided_by: decided_by.to_owned(),
    }
}

impl From<TermsError> for SessionError {
    fn from(error: TermsError) -> Self {
        Self::of(error.fault(), "terms", error.to_string())
    }
}

impl From<OpenError> for SessionError {
    fn from(error: OpenError) -> Self {
        let field = match &error {
            OpenError::Differs { field, .. } => field,
            _ => "opens",
        };
        Self::of(error.fault(), field, error.to_string())
    }
}

impl From<EnvelopeError> for SessionError {
    fn from(error: EnvelopeError) -> Self {
        Self::of(error.fault(), "envelope", error.to_string())
    }
}

impl From<SealError> for SessionError {
    fn from(error: SealError) -> Self {
        Self::of(error.fault(), "envelope", error.to_string())
    }
}

impl From<MpcError> for SessionError {
    fn from(error: MpcError) -> Self {
        let reason = error.to_string();
        match error {
            MpcError::Argument { field, .. } => Self::Caller { field, reason },
            MpcError::Peer { party: Some(party), reason } => Self::Peer { party, reason },
            // The library saw a fault and cannot say whose: no honest party may be blamed for it.
            MpcError::Peer { party: None, .. } | MpcError::Closed => Self::Network(reason),
            MpcError::Bug(_) => Self::Bug(reason),
        }
    }
}

impl From<Died> for SessionError {
    fn from(died: Died) -> Self {
        Self::Fatal(died.to_string())
    }
}

impl From<FieldError> for SessionError {
    fn from(error: FieldError) -> Self {
        Self::Caller { field: error.field, reason: error.reason }
    }
}

impl From<StatementError> for SessionError {
    fn from(error: StatementError) -> Self {
        Self::Bug(error.to_string())
    }
}

impl From<Stopped> for SessionError {
    fn from(error: Stopped) -> Self {
        Self::Bug(error.to_string())
    }
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        if error.is_fatal() { Self::Fatal(error.to_string()) } else { Self::Bug(error.to_string()) }
    }
}

impl From<VaultError> for SessionError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            // Another session of the same wallet or group ended while this one ran.
            VaultError::HasWallets(_) | VaultError::OtherAux(_) => Self::caller("group", error),
            VaultError::Active(_) | VaultError::TooManyPending(_) => Self::caller("wallet", error),
            other => Self::Bug(other.to_string()),
        }
    }
}

impl From<SlotError> for SessionError {
    fn from(error: SlotError) -> Self {
        match error {
            SlotError::Store(error) => error.into(),
            other => Self::Bug(other.to_string()),
        }
    }
}

impl From<LedgerError> for SessionError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Store(error) => error.into(),
            other => Self::Bug(other.to_string()),
        }
    }
}

impl From<AuditError> for SessionError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => error.into(),
            other => Self::Bug(other.to_string()),
        }
    }
}
