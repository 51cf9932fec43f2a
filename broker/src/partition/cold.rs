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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use klamm_storage::disk::MemoryDisk;
    use klamm_utils::clock::ManualClock;

    use super::*;
    use crate::builder::open;
    use crate::config::{BrokerConfig, Layers};
    use crate::partition::{Isolation, Place};

    /// Each may decompress a batch: as many as clients asked for were under way.
    #[tokio::test(start_paused = true)]
    async fn few_look_for_times_at_once() {
        let config = Arc::new(BrokerConfig::new(Layers::default()).unwrap());
        let disk = Arc::new(MemoryDisk::new());
        let node = open(config, disk, Arc::new(ManualClock::at(1)), Arc::default()).unwrap();
        let node = Arc::new(node);
        let topic = node.auto_create(&"t".into()).await.unwrap();
        let partition = topic.partition(0).unwrap();
        for place in [Place::Timestamp(0), Place::LargestTimestamp] {
            let cold = ColdReads::default();
            let others = cold.0.acquire_many(AT_ONCE_MAX as u32).await.unwrap();
            let mut found = pin!(partition.find(place, Isolation::ReadUncommitted, &cold));
            let waits = tokio::time::timeout(Duration::from_secs(9), found.as_mut()).await;
            waits.unwrap_err();
            drop(others);
            assert_eq!(found.await, Ok(None));
        }
    }
}
