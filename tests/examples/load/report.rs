//! The figures, as a table.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::library::Library;
use crate::plots;
use crate::point::{Point, quantile};
use crate::processes::{Filled, PARTIES};
use crate::stops::Stops;
use crate::usage::Usage;
use crate::wallets::Wallets;

/// Everything a run measured.
pub(crate) struct Report {
    library: Library,
    /// What filling the pools took, and the library's presigning just after.
    presigning: Option<(Filled, Duration)>,
    points: Vec<Point>,
    stops: Option<Stops>,
    wallets: Option<Wallets>,
}

impl Report {
    pub(crate) const fn new(library: Library) -> Self {
        Self { library, presigning: None, points: Vec::new(), stops: None, wallets: None }
    }

    pub(crate) fn stops(&mut self, stops: Stops) {
        self.stops = Some(stops);
    }

    pub(crate) fn wallets(&mut self, wallets: Wallets) {
        self.wallets = Some(wallets);
    }

    pub(crate) fn presigning(&mut self, filled: Filled, library_after: Duration) {
        self.presigning = Some((filled, library_after));
    }

    pub(crate) fn add(&mut self, point: Point) {
        self.points.push(point);
    }

    /// Writes the table, and the plots beside it.
    pub(crate) fn write(&self, dir: &Path) {
        fs::write(dir.join("report.md"), self.to_string()).unwrap();
        plots::latencies(&dir.join("latencies.svg"), &self.points).unwrap();
        plots::throughput(&dir.join("throughput.svg"), &self.points).unwrap();
        println!("written to {}", dir.display());
    }

    fn machine(out: &mut Formatter<'_>) -> fmt::Result {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let commit = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
        let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        writeln!(
            out,
            "{} cores of {}; commit {}; load average after the run {}\n",
            cores,
            model.map_or("an unknown processor", |(_, name)| name.trim()),
            commit.unwrap_or_default(),
            load.split(' ').next().unwrap_or_default(),
        )
    }

    fn no(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Some(Stops { denied, frozen }) = &self.stops else { return Ok(()) };
        writeln!(out, "\n| how fast no is said | p50 ms | p95 | p99 |\n|---|---|---|---|")?;
        for (name, of) in
            [("denied by policy", denied), ("frozen: the coordinator and both nodes obey", frozen)]
        {
            let [p50, p95, p99] = [50, 95, 99].map(|percent| quantile(of, percent));
            writeln!(out, "| {name} ({}) | {p50:.1} | {p95:.1} | {p99:.1} |", of.len())?;
        }
        Ok(())
    }

    fn many(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Some(Wallets { times, before, after }) = &self.wallets else { return Ok(()) };
        let (first, last) = times.split_at(times.len() / 2);
        writeln!(out, "\n| {} wallets, one after another | p50 ms | p99 |\n|---|---|---|", times.len())?;
        for (name, of) in [("the first half", first), ("the second half", last)] {
            writeln!(out, "| {name} | {:.1} | {:.1} |", quantile(of, 50), quantile(of, 99))?;
        }
        write!(out, "| resident memory above what it was, kB a wallet |")?;
        for (party, _) in PARTIES {
            let resident = |usage: &Usage| usage.processes.get(party).map_or(0, |process| process.resident);
            let more = resident(after).saturating_sub(resident(before)) / 1000;
            write!(out, " {party} {:.1}", more as f64 / times.len() as f64)?;
        }
        writeln!(out, " | |")
    }

    fn library(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Library { keygen, presign_cpu, online, interactive } = &self.library;
        let ms = |time: &Duration| time.as_secs_f64() * 1000.0;
        writeln!(out, "| the library alone, in the same run | |\n|---|---|")?;
        writeln!(out, "| key generation, three parties | {:.1} ms |", ms(keygen))?;
        writeln!(out, "| presigning, both parties | {:.2} CPU-s |", presign_cpu.as_secs_f64())?;
        writeln!(out, "| partial signatures, combined and verified | {:.2} ms |", ms(online))?;
        writeln!(out, "| interactive signature | {:.0} ms |", ms(interactive))?;
        if let Some((Filled { made, took, used }, after)) = &self.presigning {
            let (made, mut all) = ((*made).max(1) as f64, 0.0);
            write!(out, "| a presignature of the cluster, {:.1} a second |", made / took.as_secs_f64())?;
            for (party, _) in PARTIES {
                let cpu = used.processes.get(party).map(|process| process.cpu).unwrap_or_default();
                let each = (cpu.presign + cpu.maths + cpu.rest) / made;
                all += each;
                write!(out, " {party} {each:.2} ({:.2} presigning),", cpu.presign / made)?;
            }
            let library = (*presign_cpu + *after).as_secs_f64() / 2.0;
            writeln!(out, " together {all:.2} CPU-s, {:.2} times the library's |", all / library)?;
            writeln!(
                out,
                "| the library's presigning, once more just after | {:.2} CPU-s |",
                after.as_secs_f64()
            )?;
        }
        writeln!(out)
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        Self::machine(out)?;
        self.library(out)?;
        writeln!(
            out,
            "| load | signed | with a presignature | p50 ms | p95 | p99 | max | a second | CPU ms each: coordinator, agent, \
             service (of it protocols) | commits each | kB each | resident MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
        )?;
        for point in &self.points {
            let Point { name, with_presignature, .. } = point;
            let count = point.count();
            write!(out, "| {name} | {count} | {with_presignature} |")?;
            for quantile in [0.5, 0.95, 0.99] {
                write!(out, " {:.1} |", point.ms(quantile))?;
            }
            write!(out, " {:.1} | {:.1} |", point.max(), point.per_second())?;
            for (party, _) in PARTIES {
                let all = point.cpu_ms(party, |cpu| cpu.presign + cpu.maths + cpu.rest);
                let protocols = point.cpu_ms(party, |cpu| cpu.presign + cpu.maths);
                write!(out, " {all:.1} ({protocols:.1})")?;
            }
            write!(out, " | {:.1} | {:.1} |", point.commits(), point.bytes() as f64 / 1000.0)?;
            let resident = point.used.processes.values().map(|process| process.resident >> 20);
            let resident: Vec<_> = resident.map(|mb| mb.to_string()).collect();
            writeln!(out, " {} |", resident.join(", "))?;
        }
        self.no(out)?;
        self.many(out)
    }
}
