//! Growing, jittered pauses between retries.

use std::time::Duration;

use crate::random::Random;

/// Pauses that double from `first` to `longest`, each varied by up to a fifth so that many
/// clients do not return in step (KIP-580).
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    random: Random,
}

impl Backoff {
    /// A back-off that has not failed yet.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0, random: Random::new() }
    }

    /// How long to wait before the next try; each call counts one more failure.
    pub fn next_pause(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.longest).mul_f64(0.8 + 0.4 * self.random.fraction())
    }

    /// Forgets the failures, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How often [`next_pause`](Self::next_pause) was called since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_over() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(1_000));
        for expected in [100, 200, 400, 800, 1_000, 1_000] {
            let pause = backoff.next_pause();
            assert!(pause >= ms(expected).mul_f64(0.8) && pause <= ms(expected).mul_f64(1.2));
        }
        backoff.reset();
        assert!(backoff.next_pause() <= ms(120));
    }
}
