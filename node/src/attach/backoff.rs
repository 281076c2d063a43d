//! How long to wait before dialling again.

use std::time::Duration;

use rand::Rng;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);

/// Doubles with each failure, up to 15 s, and draws from the upper half, so that nodes whose coordinator restarted do not
/// all come back at once.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    /// After a stream that came up: the next failure is the first again.
    pub(super) const fn reset(&mut self) {
        self.0 = FIRST;
    }

    /// The next wait.
    pub(super) fn next(&mut self, rng: &mut impl Rng) -> Duration {
        let wait = self.0.mul_f64(rng.gen_range(0.5..1.0));
        self.0 = (self.0 * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_is_bounded_spreads_and_resets() {
        let mut rng = rand::rngs::mock::StepRng::new(u64::MAX, 0);
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..12).map(|_| backoff.next(&mut rng)).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(waits[11] <= LONGEST && waits[11] >= LONGEST / 2);
        let mut low = rand::rngs::mock::StepRng::new(0, 0);
        assert!(backoff.next(&mut low) < waits[11], "two nodes wait differently");
        backoff.reset();
        assert!(backoff.next(&mut rng) <= FIRST);
    }
}
