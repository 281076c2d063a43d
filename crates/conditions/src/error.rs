//! Why conditions are refused when they are read, and why they are not met.

use std::fmt;

use crate::{Condition, Kind};

/// Which part of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All that is required together.
    Whole,
    /// One of the names of metadata, by its place in the list.
    Name(usize),
    /// One of the conditions, by its place in the list.
    Condition(usize),
}

/// Conditions that cannot be asked, and which part of them is the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// what is wrong
    pub part: Part,
    /// why, in words
    pub reason: String,
}

impl Refused {
    pub(crate) fn new(part: Part, reason: impl fmt::Display) -> Self {
        Self { part, reason: reason.to_string() }
    }
}

/// One reason why conditions are not met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmet<'a> {
    /// Something is not said, or is not of its type.
    #[error("{name} is not said as {kind}")]
    Unsaid {
        /// which of the metadata
        name: &'a str,
        /// its type
        kind: Kind,
    },
    /// A condition does not hold.
    #[error("{:?} does not hold", .0.label)]
    Fails(&'a Condition),
    /// A condition could not be told, which is a no.
    #[error("{:?} cannot be told: {reason}", .condition.label)]
    Untold {
        /// which condition
        condition: &'a Condition,
        /// Cedar's words
        reason: String,
    },
    /// None could be told, which is a no.
    #[error("nothing can be told: {0}")]
    Failed(String),
}
