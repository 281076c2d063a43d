//! Writing manifests.

use quorate_manifest::{Manifest, ManifestDraft, ManifestError};

use crate::rig::{BODY, draft};

#[test]
fn what_is_written_reads_back() {
    let text = draft().to_yaml().unwrap();
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    assert_eq!(ManifestDraft::from(&manifest), draft());
    let fixture = Manifest::parse(BODY.as_bytes()).unwrap();
    let again = ManifestDraft::from(&fixture).to_yaml().unwrap();
    assert_eq!(Manifest::parse(again.as_bytes()).unwrap(), fixture);
}

#[test]
fn nobody_is_asked_to_sign_what_every_node_would_refuse() {
    let mut bad = draft();
    bad.nodes[1].role = "cold".to_owned();
    let Err(ManifestError::Invalid { path, .. }) = bad.to_yaml() else { panic!("written") };
    assert_eq!(path, "groups[0].service");
}
