//! The real programs, as processes.

use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: [&str; 3] = ["quorate", "quorate-node", "quorate-coordinator"];

/// Where the programs of this build are. `cargo test --workspace` makes them; where one is missing, they are made here.
///
/// # Panics
/// Where they cannot be built.
pub fn programs() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().unwrap().parent().unwrap();
    if !PROGRAMS.iter().all(|program| target.join(program).is_file()) {
        let packages =
            ["quorate-cli", "quorate-coordinator", "quorate-node"].map(|name| ["-p", name]).concat();
        let built = Command::new(env!("CARGO"))
            .args(["build", "--locked", "--features", "dev,failpoints", "--target-dir"])
            .arg(target.parent().unwrap())
            .args(packages)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
            .status()
            .unwrap();
        assert!(built.success());
    }
    target.to_owned()
}
