//! Typed data that may be signed.

use std::collections::BTreeMap;

use quorate_intent::{Domain, TOKENS, type_hash};

use super::conditions::{self, bytes};
use super::{chain, few, people};
use crate::TypedLine;
use crate::draft::{DomainDraft, TypedDataDraft};
use crate::finding::Findings;
use crate::scalar::Scalar;

const MAX_LINES: usize = 64;

/// The fields of each struct: name and type.
type Structs<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a str)>>;

/// Typed data that may be signed.
pub(super) fn typed_data(drafts: &[TypedDataDraft], findings: &mut Findings) -> Vec<TypedLine> {
    let mut lines = Vec::new();
    if !few("rules.typed_data", drafts.len(), MAX_LINES, findings) {
        return lines;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = format!("rules.typed_data[{at}]");
        if let Err(reason) = people::check_label(&draft.label) {
            findings.error(format!("{path}.label"), reason);
        }
        let domain = domain(&format!("{path}.domain"), &draft.domain, findings);
        let Some((primary, structs)) = structs(&draft.encode_type) else {
            let shape =
                "expected encodeType of EIP-712, such as Mail(Person from,string text)Person(string name)";
            findings.error(format!("{path}.type"), shape);
            continue;
        };
        let mut found = Vec::new();
        for (nth, field) in draft.fields.iter().enumerate() {
            let path = format!("{path}.fields[{nth}]");
            let names: Vec<String> = field.path.split('.').map(str::to_owned).collect();
            let Some(scalar) = resolve(&structs, primary, &names) else {
                findings.error(
                    format!("{path}.path"),
                    "names no field of one value; fields of arrays cannot be judged",
                );
                continue;
            };
            let condition = conditions::condition(&path, scalar, (&field.one_of, &field.at_most), findings);
            found.extend(condition.map(|condition| (names, condition)));
        }
        let (label, encode_type) = (draft.label.clone(), draft.encode_type.clone());
        let type_hash = type_hash(&encode_type);
        lines.extend(domain.map(|domain| TypedLine {
            label,
            domain,
            encode_type,
            type_hash,
            conditions: found,
        }));
    }
    lines
}

fn domain(path: &str, draft: &DomainDraft, findings: &mut Findings) -> Option<Domain> {
    let chain_id = match &draft.chain {
        Some(name) => Some(chain(format!("{path}.chain"), name, findings)?),
        None => None,
    };
    let contract = draft.contract.as_ref().map(|text| people::address(text)).transpose();
    let contract = contract.map_err(|reason| findings.error(format!("{path}.contract"), reason)).ok()?;
    if contract.is_some_and(|contract| TOKENS.iter().any(|token| token.address == contract)) {
        findings.error(
            format!("{path}.contract"),
            "is a token's: authorizations and permits have rules of their own",
        );
    }
    let salt = draft.salt.as_ref().map(|text| bytes(text).and_then(|salt| salt.as_ref().try_into().ok()));
    if salt == Some(None) {
        findings.error(format!("{path}.salt"), "expected 0x and 64 hex digits");
    }
    let domain = Domain {
        name: draft.name.clone(),
        version: draft.version.clone(),
        chain_id,
        verifying_contract: contract,
        salt: salt.flatten(),
    };
    if domain == Domain::default() {
        findings.error(path, "names nothing: an empty domain would be every application's");
    }
    Some(domain)
}

/// The primary type's name, and every struct's fields.
fn structs(encode_type: &str) -> Option<(&str, Structs<'_>)> {
    let mut found = Structs::new();
    let mut primary = None;
    let mut rest = encode_type;
    while !rest.is_empty() {
        let (name, body) = rest.split_once('(')?;
        let (fields, after) = body.split_once(')')?;
        let fields = fields.split(',').filter(|field| !field.is_empty());
        let fields = fields.map(|field| field.split_once(' ').map(|(ty, name)| (name, ty)));
        let fields = fields.collect::<Option<Vec<_>>>()?;
        let plain = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
        };
        if !plain(name) || !fields.iter().all(|(name, _)| plain(name)) || found.insert(name, fields).is_some()
        {
            return None;
        }
        primary = primary.or(Some(name));
        rest = after;
    }
    let known = |ty: &str| {
        let base = ty.split_once('[').map_or(ty, |(base, _)| base);
        Scalar::named(base).is_some() || found.contains_key(base)
    };
    let complete = found.values().flatten().all(|(_, ty)| known(ty));
    primary.filter(|_| complete).map(|primary| (primary, found))
}

fn resolve(structs: &Structs<'_>, primary: &str, path: &[String]) -> Option<Scalar> {
    let field = |owner: &str, name: &String| {
        structs.get(owner)?.iter().find(|(known, _)| known == name).map(|(_, ty)| *ty)
    };
    let ty = path.iter().try_fold(primary, field)?;
    Scalar::named(ty)
}
