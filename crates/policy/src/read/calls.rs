//! Functions of contracts that may be called.

use std::collections::BTreeMap;

use quorate_intent::{TOKENS, selector};

use super::{chain, conditions, few, people};
use crate::draft::CallDraft;
use crate::finding::Findings;
use crate::scalar::Scalar;
use crate::{Call, Function};

const MAX_CALLS: usize = 256;
const MAX_ARGUMENTS: usize = 32;

/// What `multicall` takes last.
const NESTED: &str = "bytes[]";

/// Lines by chain, contract and selector. Each line of one function allows apart from the others.
pub(crate) type Calls = BTreeMap<Function, Vec<Call>>;

/// Functions that may be called.
pub(super) fn calls(drafts: &[CallDraft], findings: &mut Findings) -> Calls {
    let mut calls = Calls::new();
    if !few("rules.calls", drafts.len(), MAX_CALLS, findings) {
        return calls;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = format!("rules.calls[{at}]");
        if let Some((key, call)) = call(&path, draft, findings) {
            let lines = calls.entry(key).or_default();
            if lines.contains(&call) {
                findings.error(path, "the same line stands there already");
            }
            lines.push(call);
        }
    }
    calls
}

fn call(path: &str, draft: &CallDraft, findings: &mut Findings) -> Option<(Function, Call)> {
    let chain = chain(format!("{path}.chain"), &draft.chain, findings);
    if let Err(reason) = people::check_label(&draft.label) {
        findings.error(format!("{path}.label"), reason);
    }
    let contract = people::address(&draft.contract);
    let contract = contract.map_err(|reason| findings.error(format!("{path}.contract"), reason)).ok();
    if contract.is_some_and(|contract| TOKENS.iter().any(|token| token.address == contract)) {
        let reason = "is a token's: transfers and allowances have rules of their own, nothing else is called";
        findings.error(format!("{path}.contract"), reason);
    }
    let function = function(&draft.function);
    let function = function.map_err(|reason| findings.error(format!("{path}.function"), reason)).ok();
    let (arguments, multicall) = function?;
    if multicall && draft.inside_multicall {
        findings.error(format!("{path}.inside_multicall"), "a multicall inside a multicall is never signed");
    }
    let mut found = Vec::new();
    for (nth, draft) in draft.arguments.iter().enumerate() {
        let path = format!("{path}.arguments[{nth}]");
        let Some(scalar) = arguments.get(draft.at) else {
            findings.error(format!("{path}.at"), "the function has no such argument; the first is 0");
            continue;
        };
        let condition = conditions::condition(&path, *scalar, (&draft.one_of, &draft.at_most), findings);
        found.extend(condition.map(|condition| (draft.at, condition)));
    }
    let (label, inside) = (draft.label.clone(), draft.inside_multicall);
    let function = draft.function.clone();
    let call = Call { label, function, arguments, multicall, inside, conditions: found };
    Some(((chain?, contract?, selector(&draft.function)), call))
}

/// The arguments of a canonical signature such as `deposit(uint256,address)`, and whether it takes further calls.
fn function(signature: &str) -> Result<(Vec<Scalar>, bool), &'static str> {
    const SHAPE: &str = "expected a signature such as deposit(uint256,address), without spaces and names";
    let (name, rest) = signature.split_once('(').ok_or(SHAPE)?;
    let list = rest.strip_suffix(')').ok_or(SHAPE)?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$');
    if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$') {
        return Err(SHAPE);
    }
    let mut types: Vec<&str> = if list.is_empty() { Vec::new() } else { list.split(',').collect() };
    if types.len() > MAX_ARGUMENTS {
        return Err("has more than 32 arguments");
    }
    let multicall = name == "multicall" && types.last() == Some(&NESTED);
    if multicall {
        types.pop();
    }
    let scalars = types.into_iter().map(|name| Scalar::named(name).filter(|scalar| scalar.is_one_word()));
    let scalars = scalars.collect::<Option<Vec<Scalar>>>().ok_or(
        "only arguments of one word can be judged: address, bool, uint8 to uint256, int8 to int256, bytes1 to bytes32; \
         and bytes[] as the last one of multicall",
    )?;
    Ok((scalars, multicall))
}
