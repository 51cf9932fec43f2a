//! Doing something so many times a second.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::thread::set_current_timer_slack;

use crate::measure::sleep_until;

/// What a thread does at a rate. Who falls behind makes up for it.
pub(crate) struct Pace {
    every: Duration,
    due: Instant,
    /// When it last woke up.
    awake: Instant,
}

impl Pace {
    /// For the calling thread: the first time is now.
    pub(crate) fn start(per_second: f64) -> Result<Self> {
        // Else the kernel may wake us fifty microseconds late each time.
        set_current_timer_slack(NonZeroU64::new(1))?;
        let now = Instant::now();
        let every = Duration::try_from_secs_f64(1.0 / per_second)?;
        Ok(Self { every, due: now, awake: now })
    }

    /// Whether it is time.
    pub(crate) fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// Waits until it is.
    pub(crate) fn sleep(&mut self) {
        sleep_until(self.due);
        self.awake = Instant::now();
    }

    /// Goes on to the next time. Says from when on this one counts: a delay of those before it is
    /// its own, too, but that of the timer is nobody's.
    pub(crate) fn next(&mut self) -> Instant {
        let due = self.due;
        self.due += self.every;
        due.max(self.awake)
    }
}
