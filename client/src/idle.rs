//! When nobody uses a connection any more.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

/// How often it is looked within the time that a connection may be idle: it is closed late by no
/// more than such a part, and nothing is to be done for each request.
const LOOKS: u32 = 16;

/// Looks now and then whether anything was asked since.
#[derive(Debug)]
pub(crate) struct Idle {
    /// Nothing if a connection may be idle for ever.
    look: Option<Interval>,
    quiet: Quiet,
}

/// For how many looks nothing was asked.
#[derive(Debug, Default)]
struct Quiet {
    looks: u32,
    last: Option<i32>,
}

impl Idle {
    /// Nothing was asked yet.
    pub(crate) fn new(idle_max: Option<Duration>) -> Self {
        let look = idle_max.map(|longest| {
            let mut look = tokio::time::interval((longest / LOOKS).max(Duration::from_millis(1)));
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            look
        });
        Self { look, quiet: Quiet::default() }
    }

    /// Resolves once nothing was asked for as long as may be. `asked` counts what was asked, and
    /// is nothing while answers are awaited.
    ///
    /// # Cancel safety
    /// May be dropped at any time, and asked again.
    pub(crate) async fn passed(&mut self, asked: impl Fn() -> Option<i32>) {
        let Some(look) = &mut self.look else { return std::future::pending().await };
        loop {
            look.tick().await;
            if self.quiet.after(asked()) {
                return;
            }
        }
    }
}

impl Quiet {
    /// Whether it has been quiet for long enough, now that this was seen.
    fn after(&mut self, asked: Option<i32>) -> bool {
        if asked.is_some() && asked == self.last {
            self.looks += 1;
        } else {
            *self = Self { looks: 0, last: asked };
        }
        self.looks >= LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_is_when_nothing_is_asked_and_nothing_awaited() {
        let mut quiet = Quiet::default();
        let mut last = |asked, times| (0..times).map(|_| quiet.after(asked)).last().unwrap();
        assert!(!last(None, 100), "an answer is awaited");
        assert!(!last(Some(1), 16));
        assert!(!last(Some(2), 16), "something was asked in between");
        assert!(!last(None, 1));
        assert!(!last(Some(2), 16), "an answer was awaited in between");
        assert!(last(Some(2), 1));
    }
}
