//! Ids for idempotent producers, never given twice.

use klamm_protocol::error_code::ErrorCode;
use tokio::sync::Mutex;

use crate::catalog::Catalog;

/// Ids taken from the catalog in blocks, as Kafka does: a crash loses the rest of a block, and
/// nothing is written for most producers.
///
/// The mutex is held while a block is fetched, so that one fetch serves all who wait.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    block: Mutex<std::ops::Range<i64>>,
}

impl ProducerIds {
    /// The next id.
    pub(crate) async fn next(&self, catalog: &Catalog) -> Result<i64, ErrorCode> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            *block = catalog.allocate_producer_ids().await?;
        }
        block.next().ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)
    }
}
