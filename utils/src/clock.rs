//! The only source of time.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall time for timestamps, monotonic time for deadlines; never mixed.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 UTC. May jump in both directions.
    fn now_ms(&self) -> i64;

    /// Time since some fixed moment in the past. Never goes back.
    fn elapsed(&self) -> Duration;
}

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose [`elapsed`](Clock::elapsed) starts at zero.
    #[must_use]
    pub fn new() -> Self {
        Self { started: now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the replacement the lint names")]
    fn now_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn elapsed(&self) -> Duration {
        now().duration_since(self.started)
    }
}

/// The monotonic moment, for measuring how long something took.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the replacement the lint names")]
pub fn now() -> Instant {
    Instant::now()
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct ManualClock {
    time: Mutex<(i64, Duration)>,
}

impl ManualClock {
    /// A clock that shows `now_ms` until it is moved.
    #[must_use]
    pub fn at(now_ms: i64) -> Self {
        Self { time: Mutex::new((now_ms, Duration::ZERO)) }
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let mut time = self.lock();
        time.0 += i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        time.1 += by;
    }

    /// Moves the wall clock alone, as an operator or a time server does.
    pub fn jump_to(&self, now_ms: i64) {
        self.lock().0 = now_ms;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (i64, Duration)> {
        self.time.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.lock().0
    }

    fn elapsed(&self) -> Duration {
        self.lock().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(1_000);
        clock.advance(Duration::from_millis(5));
        assert_eq!((clock.now_ms(), clock.elapsed()), (1_005, Duration::from_millis(5)));
        clock.jump_to(-7);
        assert_eq!((clock.now_ms(), clock.elapsed()), (-7, Duration::from_millis(5)));
    }

    #[test]
    fn the_system_clock_is_after_2025_and_never_goes_back() {
        let clock = SystemClock::new();
        assert!(clock.now_ms() > 1_735_689_600_000);
        assert!(clock.elapsed() <= clock.elapsed());
    }
}
