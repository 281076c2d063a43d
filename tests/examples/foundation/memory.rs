//! Resident memory of real processes: a dev cluster of the programs beside this one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Starts a dev cluster, signs with it, and prints what its processes hold before and after.
pub(crate) fn print() {
    let programs = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
    if !programs.join("quorate").is_file() {
        println!("\nmemory: not measured, the programs are not built beside this one");
        return;
    }
    let dev = Dev { dir: TempDir::new().unwrap(), programs };
    dev.run(&["dev", "init"]);
    let up = dev.run(&["dev", "up"]);
    let started = up.get("processes").and_then(Value::as_array).expect("the dev cluster did not start");
    let processes: Vec<_> = started.iter().filter_map(Process::read).collect();
    let before: Vec<_> = processes.iter().map(Process::resident).collect();
    dev.run(&["demo"]);
    println!("\nmemory, resident, of real processes");
    for (process, before) in processes.iter().zip(before) {
        println!("  {:<14} {before} at start, {} after the demo", process.name, process.resident());
    }
}

struct Process {
    name: String,
    pid: i64,
}

impl Process {
    fn read(view: &Value) -> Option<Self> {
        Some(Self { name: view.get("name")?.as_str()?.to_owned(), pid: view.get("pid")?.as_i64()? })
    }

    /// `VmRSS` of /proc, as the kernel prints it.
    fn resident(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.map_or_else(|| "gone".to_owned(), |kib| kib.trim().to_owned())
    }
}

/// A dev cluster. Dropped, it is stopped.
struct Dev {
    dir: TempDir,
    programs: PathBuf,
}

impl Dev {
    fn run(&self, args: &[&str]) -> Value {
        let mut command = Command::new(self.programs.join("quorate"));
        command.arg("--json").arg("--dir").arg(self.dir.path().join("cluster")).args(args);
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.run(&["dev", "down"]);
    }
}
