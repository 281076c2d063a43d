//! An order, as people write and sign it.

use quorate_manifest::read_yaml;
use quorate_types::ClusterId;
use serde::{Deserialize, Serialize};

use crate::{FreezeError, Scope};

/// The first field of every order of this version.
pub const FORMAT: &str = "quorate/v1";

/// Longest reason, in characters.
const MAX_REASON: usize = 200;

/// What to do. Ordered: at one sequence, lifting counts more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Sign nothing within the scope.
    Freeze,
    /// Sign again what policy allows.
    Unfreeze,
    /// Never sign again with this wallet. Nothing lifts it.
    Retire,
}

impl Action {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Freeze => "freeze",
            Action::Unfreeze => "unfreeze",
            Action::Retire => "retire",
        }
    }
}

/// An order. Whether anyone signed it is another matter: see [`SignedFreeze`](crate::SignedFreeze).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The cluster it is for.
    pub cluster: ClusterId,
    /// 1 or more; higher than that of every order before it for the same scope.
    pub sequence: u64,
    /// What it is about.
    pub scope: Scope,
    /// What to do.
    pub action: Action,
    /// Why, for people: 1 to 200 characters on one line.
    pub reason: String,
}

/// The YAML, field by field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    freeze: String,
    cluster: String,
    sequence: u64,
    scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    action: Action,
    reason: String,
}

impl Order {
    /// Reads an order and checks every field.
    ///
    /// # Errors
    /// [`FreezeError`], naming the field.
    pub fn parse(body: &[u8]) -> Result<Self, FreezeError> {
        let draft: Draft = read_yaml(body).map_err(FreezeError::Yaml)?;
        let invalid = |field, reason: String| FreezeError::Invalid { field, reason };
        if draft.freeze != FORMAT {
            return Err(invalid("freeze", format!("expected {FORMAT}")));
        }
        if draft.sequence == 0 {
            return Err(invalid("sequence", "must be at least 1".to_owned()));
        }
        let length = draft.reason.chars().count();
        if !(1..=MAX_REASON).contains(&length) || draft.reason.chars().any(char::is_control) {
            return Err(invalid("reason", format!("must be 1 to {MAX_REASON} characters on one line")));
        }
        let cluster = draft.cluster.parse();
        let scope = Scope::of(&draft.scope, draft.target.as_deref());
        let scope = scope.map_err(|error| invalid("scope", error.to_string()))?;
        if draft.action == Action::Retire && !matches!(scope, Scope::Wallet(_)) {
            return Err(invalid("scope", "only a wallet is retired".to_owned()));
        }
        Ok(Self {
            cluster: cluster
                .map_err(|error: quorate_types::IdError| invalid("cluster", error.to_string()))?,
            sequence: draft.sequence,
            scope,
            action: draft.action,
            reason: draft.reason,
        })
    }

    /// The order to be signed. It is read back first: nobody is asked to sign what every node would refuse.
    ///
    /// # Errors
    /// [`FreezeError`], as [`Order::parse`] would answer.
    pub fn to_yaml(&self) -> Result<String, FreezeError> {
        let draft = Draft {
            freeze: FORMAT.to_owned(),
            cluster: self.cluster.to_string(),
            sequence: self.sequence,
            scope: self.scope.kind().to_owned(),
            target: self.scope.target(),
            action: self.action,
            reason: self.reason.clone(),
        };
        let text = serde_norway::to_string(&draft).map_err(|error| FreezeError::Yaml(error.to_string()))?;
        Self::parse(text.as_bytes())?;
        Ok(text)
    }
}
