//! When the next thing is due.

use std::pin::Pin;
use std::time::Instant;

use klamm_utils::clock;
use tokio::time::{Sleep, sleep_until};

/// A timer that is set anew only when something else comes first: most frames change nothing.
pub(super) struct Alarm {
    timer: Pin<Box<Sleep>>,
    set: Option<Instant>,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { timer: Box::pin(sleep_until(clock::now().into())), set: None }
    }

    /// Waits until then; without a time for ever.
    pub(super) async fn at(&mut self, next: Option<Instant>) {
        let Some(next) = next else { return std::future::pending().await };
        if self.set != Some(next) {
            self.timer.as_mut().reset(next.into());
            self.set = Some(next);
        }
        self.timer.as_mut().await;
        self.set = None;
    }
}
