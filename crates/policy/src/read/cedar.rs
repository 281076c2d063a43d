//! Conditions over metadata, in Cedar.

use quorate_conditions::{Condition, Conditions, Kind, Part};

use super::people;
use crate::draft::{ConditionsDraft, KindDraft};
use crate::finding::Findings;

/// Conditions that were checked against the types they declare.
pub(super) fn conditions(draft: &ConditionsDraft, findings: &mut Findings) -> Option<Conditions> {
    let path = |part| match part {
        Part::Whole => "rules.conditions".to_owned(),
        Part::Name(at) => format!("rules.conditions.metadata[{at}].name"),
        Part::Condition(at) => format!("rules.conditions.require[{at}]"),
    };
    for (at, line) in draft.require.iter().enumerate() {
        if let Err(reason) = people::check_label(&line.label) {
            findings.error(format!("{}.label", path(Part::Condition(at))), reason);
        }
    }
    let metadata: Vec<_> = draft.metadata.iter().map(|line| (line.name.clone(), kind(line.kind))).collect();
    let lines = draft.require.iter();
    let lines = lines.map(|line| Condition { label: line.label.clone(), text: line.cedar.clone() }).collect();
    Conditions::parse(&metadata, lines).map_err(|error| findings.error(path(error.part), error)).ok()
}

const fn kind(draft: KindDraft) -> Kind {
    match draft {
        KindDraft::Boolean => Kind::Boolean,
        KindDraft::Decimal => Kind::Decimal,
        KindDraft::Integer => Kind::Integer,
        KindDraft::Text => Kind::Text,
    }
}
