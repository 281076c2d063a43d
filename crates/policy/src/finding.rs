//! What there is to say about a policy text.

use std::fmt;

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Every machine refuses the policy.
    Error,
    /// The policy is accepted, and may not do what its author thinks.
    Warning,
}

/// One remark about a policy text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The field, such as `rules.per_transaction[0].max`; empty for the text as a whole.
    pub path: String,
    /// What is wrong, or odd.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        match self.path.as_str() {
            "" => write!(f, "{severity}: {}", self.message),
            path => write!(f, "{severity}: {path}: {}", self.message),
        }
    }
}

/// Findings as they are gathered.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Longest message kept, in characters: some quote what was read.
    const MAX_MESSAGE: usize = 240;

    pub(crate) fn error(&mut self, path: impl Into<String>, message: impl ToString) {
        self.push(Severity::Error, path, &message.to_string());
    }

    pub(crate) fn warn(&mut self, path: impl Into<String>, message: impl ToString) {
        self.push(Severity::Warning, path, &message.to_string());
    }

    /// Messages may quote the text: cut short, and without anything a terminal would obey.
    fn push(&mut self, severity: Severity, path: impl Into<String>, message: &str) {
        let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let message = message.chars().map(printable).take(Self::MAX_MESSAGE).collect();
        self.0.push(Finding { severity, path: path.into(), message });
    }

    pub(crate) fn first_error(&self) -> Option<&Finding> {
        self.0.iter().find(|finding| finding.severity == Severity::Error)
    }

    /// Errors first, each kind in the order of the text.
    pub(crate) fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.severity);
        self.0
    }
}
