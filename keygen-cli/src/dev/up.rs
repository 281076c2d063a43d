//! Starts what is not running, and waits until everything is.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use super::health::{ProcessView, look};
use super::init::program;
use super::layout::{COORDINATOR, processes};
use super::{Layout, process};
use crate::cli::Globals;
use crate::refusal::Refusal;

/// How often everything is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Lines of a log that say enough.
const TAIL: usize = 8;

/// What `up` did.
pub(crate) struct Up {
    /// Processes started now; the others were running.
    pub(crate) started: Vec<&'static str>,
    /// Every process, ready.
    pub(crate) processes: Vec<ProcessView>,
}

/// Starts what is not running and waits until every process is ready and every node attached.
pub(crate) async fn up(globals: &Globals, patience: Duration) -> Result<Up, Refusal> {
    let layout = Layout::new(&globals.dir);
    layout.must_exist()?;
    let _held = process::lock(&layout)?;
    let mut children = Vec::new();
    for id in processes().filter(|id| process::running(&layout, id).is_none()) {
        let name = if id == COORDINATOR { "quorate-coordinator" } else { "quorate-node" };
        children.push((id, process::start(&layout, id, &program(globals, name)?)?));
    }
    let started = children.iter().map(|(id, _)| *id).collect();
    let processes = wait(&layout, &mut children, patience).await?;
    Ok(Up { started, processes })
}

async fn wait(
    layout: &Layout,
    children: &mut [(&'static str, Child)],
    patience: Duration,
) -> Result<Vec<ProcessView>, Refusal> {
    let until = Instant::now() + patience;
    loop {
        for (id, child) in children.iter_mut() {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(fell_over(layout, id, &status.to_string()));
            }
        }
        let views = look(layout).await?;
        if views.iter().all(ProcessView::is_well) {
            return Ok(views);
        }
        if Instant::now() >= until {
            return Err(not_ready(&views, patience));
        }
        tokio::time::sleep(TICK).await;
    }
}

fn not_ready(views: &[ProcessView], patience: Duration) -> Refusal {
    let missing: Vec<_> = views.iter().filter(|view| !view.is_well()).collect();
    let each: Vec<_> = missing.iter().map(|view| format!("{}: {}", view.name, view.missing)).collect();
    let mut refusal =
        Refusal::unavailable(format!("not ready after {} s\n  {}", patience.as_secs(), each.join("\n  ")));
    refusal.nodes = missing.iter().map(|view| view.name.to_owned()).collect();
    match missing.first() {
        Some(view) => refusal.next(format!("read {}; `quorate dev up` waits again", view.log)),
        None => refusal,
    }
}

fn fell_over(layout: &Layout, id: &str, status: &str) -> Refusal {
    let log = layout.log(id);
    Refusal::unavailable(format!("{id} ended at once ({status}); its last words:\n{}", tail(&log)))
        .next(format!("read {}, then `quorate dev up` again", log.display()))
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines.iter().skip(from).map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
