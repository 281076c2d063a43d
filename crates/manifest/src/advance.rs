//! What a later manifest may not change, whoever signs it.

use quorate_types::Role;

use crate::{Group, Manifest, ManifestError, NodeEntry};

pub(crate) fn check(present: &Manifest, next: &Manifest) -> Result<(), ManifestError> {
    if next.cluster() != present.cluster() {
        let reason = format!("the cluster is {} and stays it", present.cluster());
        return Err(ManifestError::changed("cluster", reason));
    }
    // A development cluster's primes are known to everyone: no later version makes its wallets safe.
    if next.is_dev() != present.is_dev() {
        return Err(ManifestError::changed("dev", format!("is {} for life", present.is_dev())));
    }
    for (at, node) in next.nodes().iter().enumerate() {
        check_node(present, at, node)?;
    }
    for group in present.groups() {
        check_group(next, group)?;
    }
    Ok(())
}

fn check_node(present: &Manifest, at: usize, node: &NodeEntry) -> Result<(), ManifestError> {
    if let Some(before) = present.node(&node.id) {
        if before.key != node.key {
            let reason = format!("the key of {} is fixed; a new key needs a new node id", node.id);
            return Err(ManifestError::changed(format!("nodes[{at}].key"), reason));
        }
        if before.role != node.role {
            let reason = format!("{} is of role {} for life", node.id, before.role);
            return Err(ManifestError::changed(format!("nodes[{at}].role"), reason));
        }
    } else if let Some(owner) = present.nodes().iter().find(|before| before.key == node.key) {
        let reason = format!("this key is {}'s", owner.id);
        return Err(ManifestError::changed(format!("nodes[{at}].key"), reason));
    }
    Ok(())
}

/// A group's auxiliary information and every share made with it belong to exactly its nodes.
fn check_group(next: &Manifest, before: &Group) -> Result<(), ManifestError> {
    let Some(at) = next.groups().iter().position(|group| group.id == before.id) else {
        return Err(ManifestError::changed("groups", format!("group {} is missing", before.id)));
    };
    let after = next.groups().get(at).unwrap_or(before);
    for role in Role::ALL {
        if after.of(role) != before.of(role) {
            let reason = format!("the {role} of group {} is {} for life", before.id, before.of(role));
            return Err(ManifestError::changed(format!("groups[{at}].{role}"), reason));
        }
    }
    Ok(())
}
