//! Times, and what is printed of them.

use std::future::Future;
use std::time::{Duration, Instant};

/// Times of one operation.
#[derive(Default)]
pub(crate) struct Figures(Vec<Duration>);

impl Figures {
    /// Runs an operation and keeps its time.
    pub(crate) async fn time<T>(&mut self, operation: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let result = operation.await;
        self.0.push(start.elapsed());
        result
    }

    /// Takes the times of another.
    pub(crate) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn at(&self, percent: usize) -> Duration {
        let mut times = self.0.clone();
        times.sort_unstable();
        times.get(times.len() * percent / 100).or(times.last()).copied().unwrap_or_default()
    }

    /// The median in seconds.
    pub(crate) fn p50(&self) -> f64 {
        self.at(50).as_secs_f64()
    }

    /// One line.
    pub(crate) fn print(&self, name: &str) {
        let ms = |percent| self.at(percent).as_secs_f64() * 1000.0;
        println!("  {name:<12} p50 {:>9.1} ms  p95 {:>9.1} ms  p99 {:>9.1} ms", ms(50), ms(95), ms(99));
    }
}
