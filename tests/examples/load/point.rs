//! One point of the report.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::usage::{Cpu, Usage};

/// How a load was answered.
pub(crate) struct Point {
    pub(crate) name: String,
    /// Latencies in microseconds. In an open loop they count from when a request was due, whether or not it could be sent:
    /// a server that falls behind makes them wait.
    pub(crate) latencies: Histogram<u64>,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// How many were signed with a presignature; the others took the whole protocol.
    pub(crate) with_presignature: u64,
    pub(crate) used: Usage,
}

impl Point {
    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        ms(self.latencies.value_at_quantile(quantile))
    }

    pub(crate) fn max(&self) -> f64 {
        ms(self.latencies.max())
    }

    pub(crate) fn count(&self) -> u64 {
        self.latencies.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// Processor time of one party for one signature, in milliseconds.
    pub(crate) fn cpu_ms(&self, party: &str, of: impl Fn(&Cpu) -> f64) -> f64 {
        let used = self.used.processes.get(party).map_or(0.0, |process| of(&process.cpu));
        used * 1000.0 / self.latencies.len().max(1) as f64
    }

    /// Synced commits of all parties for one signature.
    pub(crate) fn commits(&self) -> f64 {
        let commits: u64 = self.used.processes.values().map(|process| process.commits).sum();
        commits as f64 / self.latencies.len().max(1) as f64
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.used.bytes / self.latencies.len().max(1)
    }
}

/// A quantile of so many times, in milliseconds.
pub(crate) fn quantile(of: &[Duration], percent: usize) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    let at = sorted.get(of.len() * percent / 100).or(sorted.last());
    at.map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}
