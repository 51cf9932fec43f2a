//! Appending: order and offsets first, the promise later.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{Batch, TimestampType};
use klamm_storage::{Append, AppendError, Outcome, Ticket};

use super::producers::{Refusal, Verdict};
use super::{Partition, Rejection, Verification, Waiter};

/// A batch that has its place in the log.
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// Set where the broker's time was given to the records.
    pub(crate) append_time_ms: Option<i64>,
    pub(crate) commit: Commit,
}

/// Resolves when a batch is committed as its topic's durability says, or when it surely or
/// possibly is not.
pub(crate) enum Commit {
    /// The batch was stored now.
    Ticket(Ticket),
    /// The batch had been stored before and may still wait to be committed, or more is to be done.
    Awaited(Pin<Box<dyn Future<Output = Result<(), ErrorCode>> + Send>>),
}

impl Commit {
    /// Whether the batch is committed already, as it is at once where nothing waits for the disk.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Ticket(ticket) if ticket.outcome() == Some(Outcome::Committed))
    }
}

impl Future for Commit {
    type Output = Result<(), ErrorCode>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Awaited(commit) => commit.as_mut().poll(context),
            Self::Ticket(ticket) => Pin::new(ticket).poll(context).map(|outcome| match outcome {
                Outcome::Committed => Ok(()),
                Outcome::Fenced => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                Outcome::Void | Outcome::Unknown => Err(ErrorCode::KAFKA_STORAGE_ERROR),
            }),
        }
    }
}

impl Partition {
    /// Appends a batch that was validated. Its place is fixed when this returns.
    ///
    /// A batch that its producer sent before is not stored again: it gets the answer it got then.
    /// One that begins a transaction needs what [`verify`](Self::verify) gave.
    pub(crate) fn append(
        self: &Arc<Self>,
        batch: Batch,
        verification: Option<Verification>,
        now_ms: i64,
    ) -> Result<Appended, Rejection> {
        let header = *batch.header();
        let mut producers = self.lock_producers();
        match producers.judge(&header, verification).map_err(refused)? {
            Verdict::Append => {}
            Verdict::Duplicate(stored) => {
                drop(producers);
                return Ok(self.appended_before(&stored));
            }
        }
        let by_broker = self.topic.config().timestamps.kind == TimestampType::LogAppend;
        let append = Append::new(self.leader_epoch, vec![batch]);
        let append = if by_broker { append.with_log_append_time() } else { append };
        let undecided = producers.transactions.first_undecided();
        if undecided.is_none() && producers.begins_transaction(&header) {
            // Nobody may see the record, not even for the moment until it is noted.
            self.log.set_stable_offset(Some(self.log.offsets().end.get()));
        }
        let ticket = self.log.enqueue(append).map_err(|error| {
            self.log.set_stable_offset(undecided);
            self.not_appended(&error)
        })?;
        if self.shortage.succeeds() {
            tracing::info!(partition = %self, "appends are taken again");
        }
        let time = ticket.append_time_ms().unwrap_or(header.max_timestamp);
        let stored = klamm_protocol::records::BatchHeader { max_timestamp: time, ..header };
        producers.stored(&stored, ticket.base_offset(), now_ms);
        drop(producers);
        let metrics = &self.topic.metrics;
        metrics.messages_in.inc_by(u64::from(header.record_count.unsigned_abs()));
        metrics.bytes_in.inc_by(header.size() as u64);
        Ok(Appended {
            base_offset: ticket.base_offset(),
            append_time_ms: ticket.append_time_ms(),
            commit: Commit::Ticket(ticket),
        })
    }

    fn appended_before(self: &Arc<Self>, stored: &super::producers::Appended) -> Appended {
        let (partition, last_offset) = (Arc::clone(self), stored.last_offset);
        Appended {
            base_offset: stored.base_offset,
            // Kafka tells the batch's timestamp here, whosever it is.
            append_time_ms: Some(stored.timestamp),
            commit: Commit::Awaited(Box::pin(async move {
                partition.committed_beyond(last_offset).await
            })),
        }
    }

    /// Waits until the record at `offset` is committed.
    pub(super) async fn committed_beyond(self: &Arc<Self>, offset: i64) -> Result<(), ErrorCode> {
        let waiter = Waiter::register(vec![(0, Arc::clone(self))]);
        loop {
            self.check_present()?;
            if self.log.offsets().high_watermark.get() > offset {
                return Ok(());
            }
            if self.is_read_only() {
                return Err(ErrorCode::KAFKA_STORAGE_ERROR);
            }
            waiter.changed().await;
        }
    }

    pub(super) fn not_appended(&self, error: &AppendError) -> Rejection {
        if matches!(error, AppendError::Shortage(_)) && self.shortage.fails() {
            tracing::warn!(partition = %self, %error, "appends are refused until there is room");
        }
        let code = match error {
            AppendError::Shortage(_) | AppendError::Poisoned(_) | AppendError::OutOfOffsets => {
                ErrorCode::KAFKA_STORAGE_ERROR
            }
            AppendError::TooLarge { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
            AppendError::Fenced { .. } => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            AppendError::Closed => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            AppendError::Empty => ErrorCode::INVALID_RECORD,
        };
        Rejection::new(code, error.to_string())
    }
}

pub(super) fn refused(refusal: Refusal) -> Rejection {
    let code = match refusal {
        Refusal::OldEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
        Refusal::OutOfOrder { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        Refusal::NoTransaction { .. } | Refusal::InTransaction { .. } => {
            ErrorCode::INVALID_TXN_STATE
        }
        Refusal::OldCoordinator { .. } => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
    };
    Rejection::new(code, refusal.to_string()).by_log()
}
