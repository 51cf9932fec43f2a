//! Reads that wait for a device.

use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use tokio::sync::Semaphore;

/// Reads that wait at the same time, at most. Enough to keep a device busy; more would only take
/// its time, and threads, from those who write.
const AT_ONCE_MAX: usize = 4;

/// Those who wait for bytes that are not in memory. The others wait in line, without a thread.
#[derive(Clone, Debug)]
pub(crate) struct ColdReads(Arc<Semaphore>);

impl Default for ColdReads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE_MAX)))
    }
}

impl ColdReads {
    /// Runs a read where it may wait, once it is its turn.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let turn = Arc::clone(&self.0).acquire_owned().await.ok();
        let read = move || {
            // Held by the read, not by who waits for it and may go away.
            let _turn = turn;
            read()
        };
        super::blocking(read).await
    }
}
