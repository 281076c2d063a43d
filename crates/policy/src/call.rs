//! Calls of contracts that a line may allow, and how their calldata is read: exactly, or not at all.

use std::fmt;

use quorate_intent::ChainId;
use quorate_types::Address;

use crate::scalar::{Condition, Scalar, Value};

/// Most calls inside a multicall.
const MAX_INNER: usize = 64;

/// A function: its chain, contract and selector.
pub type Function = (ChainId, Address, [u8; 4]);

/// One line about a contract's function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What people call the contract.
    pub label: String,
    /// The function's signature.
    pub function: String,
    /// Its arguments, but for a multicall's `bytes[]`.
    pub(crate) arguments: Vec<Scalar>,
    /// The last argument is a `bytes[]` of calls to the same contract.
    pub(crate) multicall: bool,
    /// Allowed inside a multicall, and nowhere else.
    pub(crate) inside: bool,
    pub(crate) conditions: Vec<(usize, Condition)>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.function, if self.inside { " inside a multicall" } else { "" })?;
        for (at, (argument, condition)) in self.conditions.iter().enumerate() {
            write!(f, "{} argument {argument} {condition}", if at == 0 { " with" } else { "," })?;
        }
        Ok(())
    }
}

/// Calldata behind the selector, as one line's function reads it.
pub(crate) struct Arguments<'a> {
    values: Vec<Value>,
    /// The calls inside, where it is a multicall.
    pub(crate) inner: Vec<&'a [u8]>,
}

impl Call {
    /// Reads arguments that are exactly one encoding of this function's; `None` where they are anything else.
    pub(crate) fn read<'a>(&self, data: &'a [u8]) -> Option<Arguments<'a>> {
        let (head, tail) = data.split_at_checked(self.arguments.len().checked_mul(32)?)?;
        let (words, _) = head.as_chunks::<32>();
        let values = self.arguments.iter().zip(words).map(|(scalar, word)| scalar.read(word));
        let values = values.collect::<Option<Vec<Value>>>()?;
        let inner = match self.multicall {
            true => inner(tail, head.len().checked_add(32)?)?,
            false if tail.is_empty() => Vec::new(),
            false => return None,
        };
        Some(Arguments { values, inner })
    }

    /// Whether every condition holds.
    pub(crate) fn holds(&self, arguments: &Arguments<'_>) -> bool {
        let holds = |(at, condition): &(usize, Condition)| {
            arguments.values.get(*at).is_some_and(|value| condition.holds(value))
        };
        self.conditions.iter().all(holds)
    }
}

/// The items of a `bytes[]` that is encoded as compilers do it: one behind the other, padded with zeros, nothing between
/// and nothing behind. `offset` is where it says to begin.
fn inner(data: &[u8], offset: usize) -> Option<Vec<&[u8]>> {
    let (first, array) = data.split_first_chunk::<32>()?;
    let (count, items) = array.split_first_chunk::<32>()?;
    let count = number(count).filter(|count| (1..=MAX_INNER).contains(count))?;
    let (offsets, _) = items.split_at_checked(count.checked_mul(32)?)?;
    let mut at = offsets.len();
    let mut found = Vec::with_capacity(count);
    for word in offsets.as_chunks::<32>().0 {
        if number(word)? != at {
            return None;
        }
        let (len, rest) = items.get(at..)?.split_first_chunk::<32>()?;
        let len = number(len)?;
        let padded = len.checked_next_multiple_of(32)?;
        let (call, padding) = rest.get(..padded)?.split_at_checked(len)?;
        if padding.iter().any(|byte| *byte != 0) {
            return None;
        }
        found.push(call);
        at = at.checked_add(32)?.checked_add(padded)?;
    }
    (number(first)? == offset && at == items.len()).then_some(found)
}

fn number(word: &[u8; 32]) -> Option<usize> {
    let (high, low) = word.split_at_checked(28)?;
    let low = u32::from_be_bytes(low.try_into().ok()?);
    if high.iter().any(|byte| *byte != 0) { None } else { usize::try_from(low).ok() }
}
