//! Makes a dev cluster's directory, whole or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::configs::EXPORT_DIR;
use super::layout::NODES;
use super::{Layout, configs, identities, manifest};
use quorate_types::Role;

use crate::cli::Globals;
use crate::files;
use crate::refusal::{OrRefuse, Refusal};

/// A program of the cluster: in `--bin-dir`, or beside this one.
pub(crate) fn program(globals: &Globals, name: &str) -> Result<PathBuf, Refusal> {
    let dir = match &globals.bin_dir {
        Some(dir) => dir.clone(),
        None => {
            let own = std::env::current_exe().or_internal("finding this program's directory")?;
            own.parent().map(Path::to_owned).unwrap_or_default()
        }
    };
    let path = dir.join(name);
    if !path.is_file() {
        return Err(Refusal::not_found(format!("{name} is not in {}", dir.display()))
            .field("--bin-dir")
            .next("build it (`make build`), or name its directory with --bin-dir"));
    }
    // A relative path would be looked up elsewhere by a process started in another directory.
    std::path::absolute(&path).or_internal("finding the programs")
}

/// Makes the cluster's directory.
pub(crate) fn init(globals: &Globals) -> Result<Layout, Refusal> {
    let target = Layout::new(&globals.dir);
    let root = target.root();
    if root.symlink_metadata().is_ok() {
        return Err(Refusal::conflict(format!("{} exists already", root.display()))
            .field("--dir")
            .next("`quorate dev up` starts it; `quorate dev down --wipe` deletes it with every key in it"));
    }
    let node = program(globals, "quorate-node")?;
    let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).or_internal(format!("creating {}", parent.display()))?;
    // Private before the first key is in it, in the same file system, deleted on every early return.
    let draft = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o700))
        .prefix(".quorate-dev-draft-")
        .tempdir_in(parent)
        .or_internal(format!("creating a directory in {}", parent.display()))?;
    fill(&Layout::new(draft.path()), &node)?;
    fs::rename(draft.path(), root).or_internal(format!("putting {} in place", root.display()))?;
    // It is elsewhere now: nothing is left to delete.
    let _ = draft.keep();
    Ok(target)
}

fn fill(layout: &Layout, node: &Path) -> Result<(), Refusal> {
    for dir in ["logs", "run", "policies"] {
        files::private_dir(&layout.root().join(dir))?;
    }
    // A cold node writes its sealed files where it is told to, and makes no directory for them.
    for (id, _) in NODES.into_iter().filter(|(_, role)| *role == Role::Cold) {
        files::private_dir(&layout.machine(id).join(EXPORT_DIR))?;
    }
    identities::certificates(layout)?;
    identities::keks(layout)?;
    let nodes = identities::nodes(layout, node)?;
    let operator = identities::operator_key(layout)?;
    let recovery = identities::recovery(layout)?;
    manifest::write(layout, nodes, &operator, recovery)?;
    configs::write(layout, &operator)
}
