//! What a process that holds key material asks of the kernel, before it reads any. Called from `main` only: these are
//! properties of the process, which tests share.

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

/// The kernel refused one of the measures a node does not run without.
#[derive(Debug, thiserror::Error)]
#[error("hardening: {measure}: {source}")]
pub struct HardenError {
    /// Which measure.
    pub measure: &'static str,
    /// Why.
    pub source: Errno,
}

/// What is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardening {
    /// Whether memory is locked, so that no share is ever written to swap. Best effort; told in a metric.
    pub memory_locked: bool,
}

/// No core dumps, not dumpable (so no ptrace by the same user, and `/proc/<pid>/mem` is root's), no new privileges, and
/// memory locked where the system allows.
///
/// # Errors
/// [`HardenError`] where one of the first three is refused.
pub fn harden() -> Result<Hardening, HardenError> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|source| HardenError { measure: "no core dumps", source })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|source| HardenError { measure: "not dumpable", source })?;
    set_no_new_privs(true).map_err(|source| HardenError { measure: "no new privileges", source })?;
    Ok(Hardening { memory_locked: lock_memory() })
}

fn lock_memory() -> bool {
    // Under a limit `mlockall(FUTURE)` can succeed now and make a later allocation fail, which ends the process. So it is
    // asked for only where there is no limit to run into.
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    let privileged = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    // ONFAULT: thread stacks and the allocator's arenas are reserved far larger than they are used.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    (unlimited || privileged) && mlockall(flags).is_ok()
}
