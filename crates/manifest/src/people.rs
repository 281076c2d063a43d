//! The operators, approvers and custodians of a manifest.

use std::collections::BTreeMap;

use crate::draft::{PersonDraft, QuorumDraft};
use crate::validate::{check_count, parse, unique};
use crate::{MAX_SIGNATURES, ManifestError, Person, PersonKey};

const MAX_PEOPLE: usize = 64;
const MAX_NAME: usize = 64;

pub(crate) fn read(list: &str, drafts: &[PersonDraft]) -> Result<Vec<Person>, ManifestError> {
    check_count(list, drafts.len(), MAX_PEOPLE)?;
    let (mut names, mut points) = (BTreeMap::new(), BTreeMap::new());
    let mut people = Vec::with_capacity(drafts.len());
    for (at, draft) in drafts.iter().enumerate() {
        let path = format!("{list}[{at}].name");
        check_name(&draft.name).map_err(|reason| ManifestError::invalid(path.clone(), reason))?;
        // Names that differ in case only are one name to whoever reads the record.
        unique(&mut names, draft.name.to_ascii_lowercase(), path)?;
        let path = format!("{list}[{at}].key");
        let key: PersonKey = parse(path.clone(), &draft.key)?;
        unique(&mut points, key.point().to_vec(), path)?;
        people.push(Person { name: draft.name.clone(), key });
    }
    Ok(people)
}

/// ASCII without control characters: a name is printed on terminals and compared by eye.
fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err("must be 1 to 64 characters");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b" ._@+-".contains(&b);
    if !name.bytes().all(allowed) || name.trim() != name {
        return Err("only letters, digits, inner spaces and . _ @ + - are allowed");
    }
    Ok(())
}

/// Someone on two lists is one person with one key.
pub(crate) fn check_same_names(list: &str, people: &[Person], known: &[Person]) -> Result<(), ManifestError> {
    for (at, person) in people.iter().enumerate() {
        let same_key = |other: &&Person| other.key.point() == person.key.point();
        let same_name = |other: &&Person| other.name.eq_ignore_ascii_case(&person.name);
        let by_key = known.iter().find(same_key).map(|other| other.name.as_str());
        let by_name = known.iter().find(same_name).map(|other| other.name.as_str());
        if by_key != by_name || by_key.is_some_and(|name| name != person.name) {
            let reason = "this name and key belong to different people on another list";
            return Err(ManifestError::invalid(format!("{list}[{at}]"), reason));
        }
    }
    Ok(())
}

/// How many must sign policies and orders, and how many manifests.
pub(crate) fn quorums(draft: &QuorumDraft, operators: &[Person]) -> Result<(usize, usize), ManifestError> {
    // More signatures than a document may carry could never be met.
    let most = operators.len().min(MAX_SIGNATURES);
    if most == 0 {
        return Err(ManifestError::invalid("operators", "at least one is needed"));
    }
    let within = |path: &str, quorum: usize, least: usize| {
        let fits = (least..=most).contains(&quorum).then_some(quorum);
        let reason = || ManifestError::invalid(path, format!("must be {least} to {most}, got {quorum}"));
        fits.ok_or_else(reason)
    };
    let policies = within("quorum.operators", draft.operators, 1)?;
    // Whoever may say who the operators are may do all they may.
    let manifests = within("quorum.manifests", draft.manifests.unwrap_or(policies), policies)?;
    Ok((policies, manifests))
}
