//! The manifest of a dev cluster, signed by its operator's key.

use std::fs;

use quorate_manifest::{
    CoordinatorDraft, GroupDraft, ManifestDraft, Namespace, NodeDraft, PersonDraft, Pinned,
};

use super::layout::{CLUSTER, COORDINATOR, GROUP, Layout, NODES};
use crate::files::{self, Mode};
use crate::refusal::{OrRefuse, Refusal};
use crate::ssh;

/// Writes and signs the manifest, checks it as a node will, and gives every machine a copy.
pub(super) fn write(
    layout: &Layout,
    nodes: Vec<NodeDraft>,
    operator: &str,
    recovery: String,
) -> Result<(), Refusal> {
    let [agent, service, cold] = NODES.map(|(id, _)| id.to_owned());
    let draft = ManifestDraft {
        dev: true,
        nodes,
        groups: vec![GroupDraft { id: GROUP.to_owned(), agent, service, cold }],
        // The same person with the same key.
        approvers: vec![PersonDraft { name: "operator".to_owned(), key: operator.to_owned() }],
        recovery: vec![recovery],
        coordinators: vec![CoordinatorDraft { id: COORDINATOR.to_owned() }],
        ..ManifestDraft::new(
            CLUSTER,
            vec![PersonDraft { name: "operator".to_owned(), key: operator.to_owned() }],
        )
    };
    let path = layout.manifest();
    let yaml = draft.to_yaml().or_internal("the dev manifest")?;
    files::create(&path, yaml.as_bytes(), Mode::Public)?;
    ssh::sign_file(&path, Namespace::Manifest, &layout.operator_key())?;
    let root = operator.parse().or_internal("the operator's public key")?;
    Pinned::enrol(&ssh::document(&path, &[])?, &[root]).or_internal("the dev manifest")?;
    for id in super::layout::processes() {
        for name in ["manifest.yaml", "manifest.yaml.sig"] {
            let to = layout.machine(id).join(name);
            fs::copy(layout.root().join(name), &to).or_internal(format!("writing {}", to.display()))?;
        }
    }
    Ok(())
}
