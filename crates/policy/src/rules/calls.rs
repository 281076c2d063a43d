//! Contracts that may be called, by function and by what their arguments are. A call that no line reads is denied.

use quorate_intent::{Action, ChainId};
use quorate_types::Address;

use super::{Failure, Question, codes};
use crate::{Call, RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let intent = question.facts.intent;
    let Action::ContractCall { to, data, .. } = &intent.action else { return Vec::new() };
    // What names no chain fails there.
    let Some(chain) = intent.chain else { return Vec::new() };
    let asked = Asked { question, chain, contract: *to, coin: !intent.native_value.is_zero() };
    match asked.judge(data, Depth::Outside) {
        Ok(()) => Vec::new(),
        Err(refused) => {
            let requested = format!("{} of {to} on {}", told(data), words::chain(chain));
            let limit = match question.policy.calls().len() {
                1 => "1 function".to_owned(),
                count => format!("{count} functions"),
            };
            Failure { reason: refused, limit, requested, ..Failure::default() }.of(codes::CALLS)
        }
    }
}

/// Whether a call stands alone, or is one of several that a contract makes to itself.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    Outside,
    Inside,
}

struct Asked<'a> {
    question: &'a Question<'a>,
    chain: ChainId,
    contract: Address,
    coin: bool,
}

impl Asked<'_> {
    fn judge(&self, data: &[u8], depth: Depth) -> Result<(), String> {
        let Some((selector, arguments)) = data.split_first_chunk::<4>() else {
            return Err("calldata of less than four bytes calls no function".to_owned());
        };
        let lines = self.question.policy.calls().get(&(self.chain, self.contract, *selector));
        let lines = lines.into_iter().flatten().filter(|line| line.inside == (depth == Depth::Inside));
        let mut refused = None;
        for line in lines {
            match self.allow(line, arguments) {
                Ok(()) => return Ok(()),
                Err(reason) => refused = Some(reason),
            }
        }
        Err(refused.unwrap_or_else(|| match depth {
            Depth::Outside => "there is no line for this function of this contract".to_owned(),
            Depth::Inside => format!("{} has no line for a call inside a multicall", told(data)),
        }))
    }

    fn allow(&self, line: &Call, arguments: &[u8]) -> Result<(), String> {
        let Some(arguments) = line.read(arguments) else {
            return Err("its arguments are not exactly those of the function".to_owned());
        };
        if !line.holds(&arguments) {
            return Err("an argument is not one that is allowed".to_owned());
        }
        // Each call inside would see the same coin, and take it for its own.
        if line.multicall && self.coin {
            return Err("a multicall takes no coin".to_owned());
        }
        // A multicall is never listed inside another, so this goes no deeper.
        arguments.inner.iter().try_for_each(|call| self.judge(call, Depth::Inside))
    }
}

fn told(data: &[u8]) -> String {
    match data.first_chunk::<4>() {
        Some(selector) => format!("function 0x{:08x}", u32::from_be_bytes(*selector)),
        None => "no function".to_owned(),
    }
}
