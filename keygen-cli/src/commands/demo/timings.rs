//! How long each step took.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use crate::output::table;

/// The steps so far.
pub(super) struct Timings {
    begun: Instant,
    steps: Vec<(String, Duration)>,
}

impl Timings {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), steps: Vec::new() }
    }

    /// Does a step, and keeps its time where it came out well.
    pub(super) async fn time<T, E>(
        &mut self,
        step: impl Into<String>,
        doing: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let done = doing.await?;
        self.steps.push((step.into(), begun.elapsed()));
        Ok(done)
    }

    /// The steps for people.
    pub(super) fn table(&self) -> String {
        let whole = ("in all".to_owned(), self.begun.elapsed());
        let rows: Vec<_> = self
            .steps
            .iter()
            .chain(std::iter::once(&whole))
            .map(|(step, took)| vec![step.clone(), in_words(*took)])
            .collect();
        table(&["STEP", "TIME"], &rows)
    }

    /// The steps for programs, in milliseconds.
    pub(super) fn millis(&self) -> BTreeMap<&str, f64> {
        self.steps.iter().map(|(step, took)| (step.as_str(), took.as_secs_f64() * 1000.0)).collect()
    }
}

fn in_words(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{:>7.1} ms", took.as_secs_f64() * 1000.0)
    } else {
        format!("{:>7.2} s", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_in_milliseconds_and_long_ones_in_seconds() {
        assert_eq!(in_words(Duration::from_micros(1250)), "    1.2 ms");
        assert_eq!(in_words(Duration::from_millis(61_230)), "  61.23 s");
    }

    #[tokio::test]
    async fn a_step_that_failed_is_not_counted() {
        let mut timings = Timings::new();
        assert_eq!(timings.time("a", async { Ok::<_, ()>(1) }).await, Ok(1));
        assert_eq!(timings.time("b", async { Err::<(), _>(2) }).await, Err(2));
        assert_eq!(timings.millis().into_keys().collect::<Vec<_>>(), ["a"]);
    }
}
