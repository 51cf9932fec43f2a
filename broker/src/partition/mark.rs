//! Transactions: who may begin one, and how they end.

use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{EndTransaction, Outcome};
use klamm_storage::Append;

use super::append::refused;
use super::producers::{Marker, MarkerVerdict};
use super::{Commit, Partition, Rejection, Verification};

/// A producer that a partition remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ActiveProducer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    pub(crate) last_sequence: Option<i32>,
    /// When it last wrote, in milliseconds since 1970.
    pub(crate) last_write_ms: i64,
    /// Of the coordinator that last ended a transaction of it; -1 where unknown.
    pub(crate) coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub(crate) open: Option<i64>,
}

impl Partition {
    /// The producers that are remembered, by their ids.
    pub(crate) fn active_producers(&self) -> Vec<ActiveProducer> {
        let producers = self.lock_producers();
        let active = producers.iter().map(|(id, entry)| ActiveProducer {
            id,
            epoch: entry.epoch,
            last_sequence: entry.batches.back().map(|batch| batch.last_sequence),
            last_write_ms: entry.last_write_ms,
            coordinator_epoch: entry.coordinator_epoch,
            open: entry.open,
        });
        let mut active: Vec<_> = active.collect();
        active.sort_unstable_by_key(|active| active.id);
        active
    }

    /// Begins to verify that a producer may begin a transaction here, with a batch of this
    /// sequence: the coordinator is to be asked whether its transaction includes this partition,
    /// and then its first batch to be appended with the verification, or
    /// [`refute`](Self::refute) to be called. `None` where it has begun.
    pub(crate) fn verify(
        &self,
        producer_id: i64,
        epoch: i16,
        sequence: i32,
    ) -> Option<Verification> {
        let mut producers = self.lock_producers();
        let begins = !producers.has_open(producer_id, epoch);
        begins.then(|| producers.transactions.verify(producer_id, epoch, sequence))
    }

    /// A producer of that epoch may not begin a transaction here.
    pub(crate) fn refute(&self, producer_id: i64, epoch: i16) {
        self.lock_producers().transactions.refute(producer_id, epoch);
    }

    /// Ends a producer's transaction. Its place is fixed when this returns.
    ///
    /// A marker that is there already is not stored again.
    pub(crate) fn mark(
        self: &Arc<Self>,
        marker: &Marker,
        outcome: Outcome,
        now_ms: i64,
    ) -> Result<Commit, Rejection> {
        let mut producers = self.lock_producers();
        let coordinator_epoch = producers.coordinator_epoch(marker);
        let marker = &Marker { coordinator_epoch, ..*marker };
        let batch = EndTransaction { outcome, coordinator_epoch }
            .batch(marker.producer_id, marker.producer_epoch, now_ms)
            .map_err(|error| Rejection::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()))?;
        let partition = Arc::clone(self);
        if producers.judge_marker(marker).map_err(refused)? == MarkerVerdict::Duplicate {
            let last_offset = self.log.offsets().end.get() - 1;
            let commit = async move { partition.committed_beyond(last_offset).await };
            return Ok(Commit::Awaited(Box::pin(commit)));
        }
        let append = Append::new(self.leader_epoch, vec![batch]);
        let ticket = self.log.enqueue(append).map_err(|error| self.not_appended(&error))?;
        let aborted = producers.aborted_by(marker, ticket.base_offset());
        if let Some(aborted) = aborted.filter(|_| outcome == Outcome::Abort)
            && let Err(error) = self.log.add_aborted(&aborted)
        {
            // Nobody may see the records as if they counted. For its partition the transaction
            // stays open until a marker comes that can be noted.
            tracing::error!(partition = %self, %error, "an abort was not noted");
            return Err(Rejection::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string()));
        }
        producers.marked(marker, ticket.base_offset(), now_ms);
        drop(producers);
        let commit = Commit::Ticket(ticket);
        Ok(Commit::Awaited(Box::pin(async move {
            commit.await?;
            partition.settle();
            Ok(())
        })))
    }

    /// Shows what has been decided for good to the readers of committed records.
    fn settle(&self) {
        let mut producers = self.lock_producers();
        producers.transactions.settle(self.log.offsets().high_watermark.get());
        self.log.set_stable_offset(producers.transactions.first_undecided());
        drop(producers);
        self.waiters.wake();
    }
}
