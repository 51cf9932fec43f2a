//! The only source of time.

use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
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

/// The wall time of monotonic moments, for those who stamp every record and have asked for the
/// moment already: to ask for two times costs as much as to write a small record. The wall clock
/// is looked at every [`Stamps::EVERY`], so that its jumps are followed by then.
#[derive(Debug)]
pub struct Stamps<C = SystemClock> {
    clock: C,
    started: Instant,
    /// Wall time less the time since the start, in milliseconds.
    ahead_ms: AtomicI64,
    /// When the wall clock is to be looked at again, in milliseconds since the start.
    look_at_ms: AtomicU64,
}

impl<C: Clock> Stamps<C> {
    /// How often the wall clock is looked at.
    pub const EVERY: Duration = Duration::from_millis(100);

    /// Stamps by this clock.
    #[must_use]
    pub fn new(clock: C) -> Self {
        // Who reads the time of the first look before its difference finds this one.
        let (ahead_ms, look_at_ms) = (AtomicI64::new(clock.now_ms()), AtomicU64::new(0));
        Self { clock, started: now(), ahead_ms, look_at_ms }
    }

    /// Milliseconds since 1970-01-01 UTC at a moment that has just been.
    pub fn at(&self, moment: Instant) -> i64 {
        let elapsed = moment.saturating_duration_since(self.started);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let since_start = i64::try_from(elapsed_ms).unwrap_or(i64::MAX);
        if elapsed_ms < self.look_at_ms.load(Ordering::Relaxed) {
            return self.ahead_ms.load(Ordering::Relaxed).saturating_add(since_start);
        }
        let now_ms = self.clock.now_ms();
        // Who reads the old difference with the new time is one look behind, as it might have been.
        self.ahead_ms.store(now_ms.saturating_sub(since_start), Ordering::Relaxed);
        let every = u64::try_from(Self::EVERY.as_millis()).unwrap_or(u64::MAX);
        self.look_at_ms.store(elapsed_ms.saturating_add(every), Ordering::Relaxed);
        now_ms
    }
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
    fn stamps_go_with_the_moments_and_follow_the_clock_when_it_is_looked_at() {
        let stamps = Stamps::new(ManualClock::at(1_000));
        let at = |ms| stamps.at(stamps.started + Duration::from_millis(ms));
        assert_eq!([at(0), at(7), at(99)], [1_000, 1_007, 1_099]);
        stamps.clock.jump_to(-500);
        assert_eq!([at(99), at(100), at(130), at(199)], [1_099, -500, -470, -401]);
        stamps.clock.jump_to(9_000);
        assert_eq!(at(5_000), 9_000);
    }

    #[test]
    fn the_system_clock_is_after_2025_and_never_goes_back() {
        let clock = SystemClock::new();
        assert!(clock.now_ms() > 1_735_689_600_000);
        assert!(clock.elapsed() <= clock.elapsed());
    }
}
