//! Why a command did not do what was asked: whose turn it is, what is wrong, and what to do next.

use std::fmt::Display;

use serde::Serialize;

/// What sort of refusal, which is also the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The command line is wrong.
    Usage,
    /// A file, field or argument is wrong.
    Invalid,
    /// It contradicts what is already there.
    Conflict,
    /// There is no such thing.
    NotFound,
    /// The certificate's role may not do this.
    Forbidden,
    /// A part of the cluster is missing.
    Unavailable,
    /// The deadline passed.
    Timeout,
    /// A node broke the protocol.
    PeerFault,
    /// A defect in Quorate, or a broken disk.
    Internal,
}

impl Kind {
    /// The exit code; 3 is kept for denials, which are answers and not refusals.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 2,
            Kind::Invalid | Kind::Conflict | Kind::NotFound | Kind::Forbidden => 4,
            Kind::Unavailable | Kind::Timeout => 5,
            Kind::PeerFault | Kind::Internal => 70,
        }
    }
}

/// A refusal. It never holds a secret: it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Refusal {
    pub(crate) kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) nodes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl Refusal {
    pub(crate) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self { kind, field: None, reason: reason.into(), nodes: Vec::new(), next: None }
    }

    pub(crate) fn usage(reason: impl Into<String>) -> Self {
        Self::new(Kind::Usage, reason)
    }

    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, reason)
    }

    pub(crate) fn conflict(reason: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, reason)
    }

    pub(crate) fn not_found(reason: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, reason)
    }

    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, reason)
    }

    pub(crate) fn internal(reason: impl Into<String>) -> Self {
        Self::new(Kind::Internal, reason)
    }

    /// Names the field or argument that is wrong.
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says what to do next.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The refusal for a person.
    pub(crate) fn words(&self) -> String {
        let mut words = match &self.field {
            Some(field) => format!("error: {field}: {}", self.reason),
            None => format!("error: {}", self.reason),
        };
        if !self.nodes.is_empty() {
            words.push_str(&format!("\n nodes: {}", self.nodes.join(", ")));
        }
        if let Some(next) = &self.next {
            words.push_str(&format!("\n  next: {next}"));
        }
        words
    }
}

/// Turns another crate's error into a refusal, with what was being done.
pub(crate) trait OrRefuse<T> {
    /// The caller's input is wrong.
    fn or_invalid(self, doing: impl Display) -> Result<T, Refusal>;
    /// The machine or Quorate is at fault.
    fn or_internal(self, doing: impl Display) -> Result<T, Refusal>;
}

impl<T, E: Display> OrRefuse<T> for Result<T, E> {
    fn or_invalid(self, doing: impl Display) -> Result<T, Refusal> {
        self.map_err(|error| Refusal::invalid(format!("{doing}: {error}")))
    }

    fn or_internal(self, doing: impl Display) -> Result<T, Refusal> {
        self.map_err(|error| Refusal::internal(format!("{doing}: {error}")))
    }
}
