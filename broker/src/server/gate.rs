//! Whether connections go on: a broker can be paused, and cut off from its clients.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const CUT: u8 = 2;

/// What every connection passes before it takes requests and sends answers.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: AtomicU8,
    changed: Notify,
}

/// The broker was killed: a connection ends where it stands.
#[derive(Debug)]
pub(crate) struct Cut;

impl Gate {
    /// Holds everybody up until it is opened.
    pub(crate) fn close(&self) {
        let _ = self.state.compare_exchange(OPEN, CLOSED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Lets everybody go on.
    pub(crate) fn open(&self) {
        let _ = self.state.compare_exchange(CLOSED, OPEN, Ordering::AcqRel, Ordering::Acquire);
        self.changed.notify_waiters();
    }

    /// Ends everybody, for ever.
    pub(crate) fn cut(&self) {
        self.state.store(CUT, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Whether nobody is held up or ended.
    pub(crate) fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == OPEN
    }

    /// Waits while the gate is closed.
    ///
    /// # Errors
    /// It was cut.
    pub(crate) async fn pass(&self) -> Result<(), Cut> {
        if self.until(|state| state != CLOSED).await == CUT { Err(Cut) } else { Ok(()) }
    }

    /// Waits until the gate is cut.
    pub(crate) async fn until_cut(&self) {
        self.until(|state| state == CUT).await;
    }

    async fn until(&self, is_awaited: impl Fn(u8) -> bool) -> u8 {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let state = self.state.load(Ordering::Acquire);
            if is_awaited(state) {
                return state;
            }
            changed.await;
        }
    }
}
