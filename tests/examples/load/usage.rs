//! What the processes used, from the system: processor time by kind of thread, memory, commits, bytes on loopback.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Sub;
use std::path::Path;

/// Clock ticks in a second, on every Linux there is.
const TICKS: f64 = 100.0;

/// Processor seconds, by what threads do.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// Presigning, in the background.
    pub(crate) presign: f64,
    /// Protocols somebody waits for.
    pub(crate) maths: f64,
    /// Everything else: network, policy, ledger, log.
    pub(crate) rest: f64,
}

/// One process, at one moment or over a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Process {
    pub(crate) cpu: Cpu,
    /// Resident, in bytes.
    pub(crate) resident: u64,
    /// Synced commits: each is two fsyncs.
    pub(crate) commits: u64,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    pub(crate) processes: BTreeMap<String, Process>,
    /// Bytes over loopback, of everything on this machine.
    pub(crate) bytes: u64,
}

impl Process {
    pub(crate) fn read(pid: u32, data: &Path) -> Self {
        let mut cpu = Cpu::default();
        for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
            let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
            let (name, seconds) = thread(&stat);
            match name {
                "presign" => cpu.presign += seconds,
                "maths" => cpu.maths += seconds,
                _ => cpu.rest += seconds,
            }
        }
        // A node keeps other things beside its store; a coordinator does not.
        let notes = ["store/commits", "commits"].map(|note| fs::read(data.join(note)).ok());
        let count = notes.into_iter().flatten().find_map(|bytes| bytes.try_into().ok());
        Self { cpu, resident: resident(pid), commits: count.map_or(0, u64::from_be_bytes) }
    }
}

/// A thread's name, and its user and system time in seconds.
fn thread(stat: &str) -> (&str, f64) {
    let (before, after) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (before.split_once('(').unwrap().1, (ticks(11) + ticks(12)) / TICKS)
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// Bytes sent over the loopback interface since the machine started.
pub(crate) fn loopback() -> u64 {
    let text = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    line.and_then(|line| line.split_whitespace().nth(8)?.parse().ok()).unwrap_or_default()
}

impl Sub for &Process {
    type Output = Process;

    /// What was used since. Memory is what it is now.
    fn sub(self, before: &Process) -> Process {
        let cpu = Cpu {
            presign: self.cpu.presign - before.cpu.presign,
            maths: self.cpu.maths - before.cpu.maths,
            rest: self.cpu.rest - before.cpu.rest,
        };
        Process { cpu, resident: self.resident, commits: self.commits.saturating_sub(before.commits) }
    }
}

impl Sub for &Usage {
    type Output = Usage;

    fn sub(self, before: &Usage) -> Usage {
        let processes = self
            .processes
            .iter()
            .filter_map(|(name, now)| Some((name.clone(), now - before.processes.get(name)?)));
        Usage { processes: processes.collect(), bytes: self.bytes - before.bytes }
    }
}
