//! The processes of a dev cluster: started detached, found again, stopped, and never mistaken for another.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::Layout;
use crate::files::{self, Mode};
use crate::refusal::{OrRefuse, Refusal};

/// How often a stopping process is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Which process: a pid alone is given to another one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PidFile {
    pid: i32,
    /// Clock ticks from the machine's start to the process's (`/proc/<pid>/stat`, field 22).
    started: u64,
    /// The machine's boot: ticks start anew with each.
    boot: String,
}

/// How a process was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stopped {
    /// It was not running.
    NotRunning,
    /// It ended when asked.
    Gracefully,
    /// It had to be killed.
    Killed,
}

/// Starts `binary run --config <config>` in its own process group, writing to its log.
pub(crate) fn start(layout: &Layout, id: &str, binary: &Path) -> Result<Child, Refusal> {
    let log_path = layout.log(id);
    let open = || OpenOptions::new().append(true).create(true).mode(0o600).open(&log_path);
    let log = open().and_then(|log| log.try_clone().map(|copy| (log, copy)));
    let (out, err) = log.or_internal(format!("opening {}", log_path.display()))?;
    let config = std::path::absolute(layout.config(id)).or_internal("finding the configuration")?;
    let child = Command::new(binary)
        .arg("run")
        .arg("--config")
        .arg(config)
        // Its log is a file.
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        // Its own group: Ctrl-C at this terminal is not for it.
        .process_group(0)
        .spawn()
        .or_internal(format!("starting {}", binary.display()))?;
    remember(layout, id, &child)?;
    Ok(child)
}

fn remember(layout: &Layout, id: &str, child: &Child) -> Result<(), Refusal> {
    let pid = i32::try_from(child.id()).or_internal("a process id")?;
    let Some((started, _)) = stat(pid) else {
        return Err(Refusal::internal(format!("{id} is gone, or /proc cannot be read (Linux is needed)")));
    };
    let file = PidFile { pid, started, boot: boot()? };
    let text = serde_json::to_string(&file).or_internal("writing a pid file")?;
    files::replace(&layout.pid(id), text.as_bytes())
}

/// The pid of `id`, where the very process that was started is still running.
pub(crate) fn running(layout: &Layout, id: &str) -> Option<i32> {
    let file: PidFile = serde_json::from_slice(&fs::read(layout.pid(id)).ok()?).ok()?;
    is_same(&file).then_some(file.pid)
}

fn is_same(file: &PidFile) -> bool {
    let alive =
        stat(file.pid).is_some_and(|(started, state)| started == file.started && !matches!(state, 'Z' | 'X'));
    alive && boot().is_ok_and(|boot| boot == file.boot)
}

/// Asks `id` to end, and kills it where it has not ended after `patience`.
pub(crate) async fn stop(layout: &Layout, id: &str, patience: Duration) -> Result<Stopped, Refusal> {
    let Some(pid) = running(layout, id) else {
        forget(layout, id);
        return Ok(Stopped::NotRunning);
    };
    let signalling = || format!("stopping {id} (pid {pid})");
    let named = Pid::from_raw(pid).ok_or_else(|| Refusal::internal(signalling()))?;
    let Ok(handle) = pidfd_open(named, PidfdFlags::empty()) else {
        forget(layout, id);
        return Ok(Stopped::NotRunning);
    };
    // Looked at again now that the handle is held: from here on it can mean no other process.
    if running(layout, id).is_none() {
        forget(layout, id);
        return Ok(Stopped::NotRunning);
    }
    pidfd_send_signal(&handle, Signal::TERM).or_internal(signalling())?;
    if ended(layout, id, patience).await {
        forget(layout, id);
        return Ok(Stopped::Gracefully);
    }
    pidfd_send_signal(&handle, Signal::KILL).or_internal(signalling())?;
    if !ended(layout, id, Duration::from_secs(5)).await {
        return Err(Refusal::internal(format!("{id} (pid {pid}) does not end")));
    }
    forget(layout, id);
    Ok(Stopped::Killed)
}

async fn ended(layout: &Layout, id: &str, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    while running(layout, id).is_some() {
        if Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(TICK).await;
    }
    true
}

fn forget(layout: &Layout, id: &str) {
    // Where it stays, it names a process that `running` no longer recognises.
    let _ = fs::remove_file(layout.pid(id));
}

/// Start time and state of a process; `None` where there is none.
fn stat(pid: i32) -> Option<(u64, char)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, field 2, is in parentheses and can hold anything, parentheses too.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((started, state))
}

fn boot() -> Result<String, Refusal> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).or_internal("reading the machine's boot id (Linux is needed)")
}

/// One `dev up` or `dev down` at a time.
pub(crate) fn lock(layout: &Layout) -> Result<File, Refusal> {
    let path = layout.lock();
    if !path.exists() {
        match files::create(&path, b"", Mode::Secret) {
            Ok(()) => {}
            // Another command made it in between; the lock decides below.
            Err(refusal) if refusal.kind == crate::refusal::Kind::Conflict => {}
            Err(refusal) => return Err(refusal),
        }
    }
    let file = File::open(&path).or_internal(format!("opening {}", path.display()))?;
    file.try_lock().map_err(|_| {
        Refusal::conflict(format!("another `quorate dev` command is at work in {}", layout.root().display()))
            .next("wait for it to end")
    })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["run", "logs"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let layout = Layout::new(dir.path());
        for id in ["polite", "stubborn"] {
            fs::create_dir_all(layout.machine(id)).unwrap();
            fs::write(layout.config(id), "").unwrap();
        }
        (dir, layout)
    }

    fn script(dir: &Path, name: &str, body: &str) -> std::path::PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[tokio::test]
    async fn a_process_is_found_again_and_stopped() {
        let (dir, layout) = layout();
        let polite = script(dir.path(), "polite", "exec sleep 60");
        let mut child = start(&layout, "polite", &polite).unwrap();
        assert_eq!(running(&layout, "polite"), i32::try_from(child.id()).ok());
        assert_eq!(stop(&layout, "polite", Duration::from_secs(5)).await.unwrap(), Stopped::Gracefully);
        assert_eq!(stop(&layout, "polite", Duration::ZERO).await.unwrap(), Stopped::NotRunning);
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_killed() {
        let (dir, layout) = layout();
        let ready = dir.path().join("ready");
        let body = format!("trap '' TERM\ntouch {}\nwhile :; do sleep 0.1; done", ready.display());
        let stubborn = script(dir.path(), "stubborn", &body);
        let mut child = start(&layout, "stubborn", &stubborn).unwrap();
        while !ready.exists() {
            tokio::time::sleep(TICK).await;
        }
        assert_eq!(stop(&layout, "stubborn", Duration::from_millis(200)).await.unwrap(), Stopped::Killed);
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_recycled_pid_is_left_alone() {
        let (_dir, layout) = layout();
        let own = i32::try_from(std::process::id()).unwrap();
        let (started, _) = stat(own).unwrap();
        for (started, boot) in [(started + 1, boot().unwrap()), (started, "another boot".to_owned())] {
            let file = PidFile { pid: own, started, boot };
            fs::write(layout.pid("polite"), serde_json::to_string(&file).unwrap()).unwrap();
            // Were it not told apart, this test would end itself here.
            assert_eq!(stop(&layout, "polite", Duration::ZERO).await.unwrap(), Stopped::NotRunning);
        }
    }

    #[test]
    fn one_command_at_a_time() {
        let (_dir, layout) = layout();
        let held = lock(&layout).unwrap();
        assert_eq!(lock(&layout).unwrap_err().kind.exit_code(), 4);
        drop(held);
        assert!(lock(&layout).is_ok());
    }
}
