//! Log lines about bad clients, not more of them than a person can read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use klamm_utils::clock::Clock;

/// Lines allowed per window.
const LINES_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// Lets the first lines of each second through and counts the rest.
///
/// Guarded by a mutex that is held for a few instructions, only when something went wrong.
#[derive(Debug)]
pub(crate) struct Complaints {
    clock: Arc<dyn Clock>,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    started: Duration,
    lines: u32,
    held_back: u64,
}

impl Complaints {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, window: Mutex::default() }
    }

    /// Runs `log` unless there were too many lines lately; then says later how many.
    pub(crate) fn say(&self, log: impl FnOnce()) {
        let Some(held_back) = self.admit() else { return };
        if held_back > 0 {
            tracing::warn!(lines = held_back, "lines about bad clients were held back");
        }
        log();
    }

    /// Whether a line may go out, and how many could not before it.
    fn admit(&self) -> Option<u64> {
        let now = self.clock.elapsed();
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= window.started + WINDOW {
            window.started = now;
            window.lines = 0;
        }
        if window.lines == LINES_MAX {
            window.held_back += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.held_back))
    }
}

#[cfg(test)]
mod tests {
    use klamm_utils::clock::ManualClock;

    use super::*;

    #[test]
    fn a_flood_becomes_a_few_lines_and_a_count() {
        let clock = Arc::new(ManualClock::at(0));
        let complaints = Complaints::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let said = (0..1_000).filter(|_| complaints.admit().is_some()).count();
        assert_eq!(said, LINES_MAX as usize);
        clock.advance(WINDOW);
        assert_eq!(complaints.admit(), Some(1_000 - u64::from(LINES_MAX)));
        assert_eq!(complaints.admit(), Some(0));
    }
}
