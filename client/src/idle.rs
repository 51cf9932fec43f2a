//! When nobody uses a connection any more.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

/// How often it is looked within the time that a connection may be idle: it is closed late by no
/// more than such a part, and nothing is to be done for each request.
const LOOKS: u32 = 16;

/// Now and then within a time, and now.
pub(crate) fn looks_within(time: Duration) -> Interval {
    let mut looks = tokio::time::interval((time / LOOKS).max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

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
    last: Option<u64>,
}

impl Idle {
    /// Nothing was asked yet.
    pub(crate) fn new(idle_max: Option<Duration>) -> Self {
        Self { look: idle_max.map(looks_within), quiet: Quiet::default() }
    }

    /// Resolves once nothing was asked for as long as may be, with what `asked` says: it counts
    /// what was asked, and is nothing while answers are awaited.
    ///
    /// # Cancel safety
    /// May be dropped at any time, and asked again.
    pub(crate) async fn passed(&mut self, asked: impl Fn() -> Option<u64>) -> u64 {
        let Some(look) = &mut self.look else { return std::future::pending().await };
        loop {
            look.tick().await;
            let asked = asked();
            if self.quiet.after(asked)
                && let Some(asked) = asked
            {
                return asked;
            }
        }
    }
}

impl Quiet {
    /// Whether it has been quiet for long enough, now that this was seen.
    fn after(&mut self, asked: Option<u64>) -> bool {
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
