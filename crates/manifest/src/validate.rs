//! From a draft to a manifest: every field checked, every refusal with its path.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use quorate_session::NodePublicKey;
use quorate_types::{GroupId, NodeId, Role};

use crate::draft::{CoordinatorDraft, GroupDraft, NodeDraft};
use crate::{FORMAT, Group, Manifest, ManifestDraft, ManifestError, NodeEntry, people, recovery};

const MAX_NODES: usize = 1024;
const MAX_GROUPS: usize = 1024;
const MAX_COORDINATORS: usize = 16;

pub(crate) fn manifest(draft: ManifestDraft) -> Result<Manifest, ManifestError> {
    if draft.manifest != FORMAT {
        return Err(ManifestError::invalid("manifest", format!("expected {FORMAT}")));
    }
    if draft.version == 0 {
        return Err(ManifestError::invalid("version", "must be at least 1"));
    }
    let nodes = nodes(&draft.nodes)?;
    let groups = groups(&draft.groups, &nodes)?;
    let operators = people::read("operators", &draft.operators)?;
    let approvers = people::read("approvers", &draft.approvers)?;
    people::check_same_names("approvers", &approvers, &operators)?;
    let custodians = people::read("custodians", &draft.custodians)?;
    people::check_same_names("custodians", &custodians, &[&operators[..], &approvers].concat())?;
    let (operator_quorum, manifest_quorum) = people::quorums(&draft.quorum, &operators)?;
    Ok(Manifest {
        cluster: parse("cluster".to_owned(), &draft.cluster)?,
        version: draft.version,
        dev: draft.dev,
        operator_quorum,
        manifest_quorum,
        recovery: recovery::read(&draft.recovery, !groups.is_empty())?,
        coordinators: coordinators(&draft.coordinators)?,
        nodes,
        groups,
        operators,
        approvers,
        custodians,
    })
}

fn nodes(drafts: &[NodeDraft]) -> Result<Vec<NodeEntry>, ManifestError> {
    check_count("nodes", drafts.len(), MAX_NODES)?;
    let (mut ids, mut keys) = (BTreeMap::new(), BTreeMap::new());
    let mut nodes = Vec::with_capacity(drafts.len());
    for (at, draft) in drafts.iter().enumerate() {
        let id: NodeId = parse(format!("nodes[{at}].id"), &draft.id)?;
        let role: Role = parse(format!("nodes[{at}].role"), &draft.role)?;
        let key: NodePublicKey = parse(format!("nodes[{at}].key"), &draft.key)?;
        // Written as it is printed: one key, one spelling.
        if key.to_string() != draft.key {
            return Err(ManifestError::invalid(format!("nodes[{at}].key"), "expected lowercase hex"));
        }
        unique(&mut ids, id.clone(), format!("nodes[{at}].id"))?;
        unique(&mut keys, *key.as_bytes(), format!("nodes[{at}].key"))?;
        nodes.push(NodeEntry { id, role, key });
    }
    Ok(nodes)
}

fn groups(drafts: &[GroupDraft], nodes: &[NodeEntry]) -> Result<Vec<Group>, ManifestError> {
    check_count("groups", drafts.len(), MAX_GROUPS)?;
    let roles: BTreeMap<&str, Role> = nodes.iter().map(|node| (node.id.as_str(), node.role)).collect();
    let mut ids = BTreeMap::new();
    let mut groups = Vec::with_capacity(drafts.len());
    for (at, draft) in drafts.iter().enumerate() {
        let id: GroupId = parse(format!("groups[{at}].id"), &draft.id)?;
        unique(&mut ids, id.clone(), format!("groups[{at}].id"))?;
        let member = |role: Role, name: &str| -> Result<NodeId, ManifestError> {
            let path = format!("groups[{at}].{role}");
            match roles.get(name) {
                None => Err(ManifestError::invalid(path, "names no node of this manifest")),
                Some(other) if *other != role => {
                    Err(ManifestError::invalid(path, format!("{name} is of role {other}")))
                }
                Some(_) => parse(path, name),
            }
        };
        let agent = member(Role::Agent, &draft.agent)?;
        let service = member(Role::Service, &draft.service)?;
        let cold = member(Role::Cold, &draft.cold)?;
        groups.push(Group { id, agent, service, cold });
    }
    Ok(groups)
}

fn coordinators(drafts: &[CoordinatorDraft]) -> Result<Vec<String>, ManifestError> {
    check_count("coordinators", drafts.len(), MAX_COORDINATORS)?;
    let mut ids = BTreeMap::new();
    let mut coordinators = Vec::with_capacity(drafts.len());
    for (at, draft) in drafts.iter().enumerate() {
        let path = format!("coordinators[{at}].id");
        // A coordinator's name stands in its certificate just as a node's does.
        let id = draft.id.parse::<NodeId>().map_err(|_| {
            ManifestError::invalid(path.clone(), "expected 1 to 63 of a-z, 0-9 and inner '-'")
        })?;
        unique(&mut ids, id, path)?;
        coordinators.push(draft.id.clone());
    }
    Ok(coordinators)
}

pub(crate) fn check_count(path: &str, count: usize, max: usize) -> Result<(), ManifestError> {
    if count > max {
        return Err(ManifestError::invalid(path, format!("at most {max} entries, got {count}")));
    }
    Ok(())
}

pub(crate) fn parse<T>(path: String, text: &str) -> Result<T, ManifestError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| ManifestError::invalid(path, error))
}

/// Refuses a `value` that was seen, and says where.
pub(crate) fn unique<T: Ord>(
    seen: &mut BTreeMap<T, String>,
    value: T,
    path: String,
) -> Result<(), ManifestError> {
    match seen.get(&value) {
        Some(first) => Err(ManifestError::invalid(path, format!("the same as {first}"))),
        None => {
            seen.insert(value, path);
            Ok(())
        }
    }
}
