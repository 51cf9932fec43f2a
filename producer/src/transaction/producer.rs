//! Transactions as users see them.

use std::sync::Arc;
use std::time::Duration;

use klamm_client::group_offsets::CommittedOffset;
use klamm_client::{Error, GroupMetadata, Result, Subject};
use klamm_protocol::wire::Str;
use tokio::sync::oneshot;

use super::coordinator::{announce, commit_offsets};
use super::{End, Machine, Transactions};
use crate::metrics::Snapshot;
use crate::producer::{Producer, TryEnqueueError};
use crate::receipt::{Delivery, RecordMetadata};
use crate::record::Record;
use crate::shared::Shared;
use crate::sink::RecordSink;

/// Sends records in transactions, one after the other. Cloning shares it.
#[derive(Clone, Debug)]
pub struct TransactionalProducer {
    producer: Producer,
    transactions: Arc<Transactions>,
}

/// An open transaction. What it sends and commits is seen together after [`commit`](Self::commit),
/// or never.
///
/// Dropping it aborts it in the background and waits for nothing; the next one begins when that
/// is done.
#[derive(Debug)]
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction {
    producer: Producer,
    transactions: Arc<Transactions>,
    number: u64,
    /// It goes to its end, and dropping it changes nothing.
    is_ending: bool,
}

impl TransactionalProducer {
    pub(crate) fn new(producer: Producer, transactions: Arc<Transactions>) -> Self {
        Self { producer, transactions }
    }

    /// Begins a transaction, when the one before has ended. Brokers hear of it with the first
    /// record.
    ///
    /// # Errors
    /// A transaction is [open already](Error::InTransaction), the end of the last one is
    /// [not known](Error::Undecided) after `max.block.ms`, or the producer can go on no more,
    /// which [is fatal](Error::is_fatal): another has taken its place.
    ///
    /// # Cancel safety
    /// Dropped before it returns, no transaction is open.
    pub async fn begin(&self) -> Result<Transaction> {
        let shared = self.producer.shared();
        loop {
            let ended = self.transactions.until(|machine| machine.ending().is_none());
            within_max_block(shared, &self.transactions, ended).await?;
            let begun = self.transactions.change(|machine| match machine.ending() {
                // Another caller was faster.
                Some(_) => None,
                None => Some(machine.begin()),
            });
            let Some(begun) = begun else { continue };
            let number = begun?;
            let (producer, transactions) = (self.producer.clone(), Arc::clone(&self.transactions));
            return Ok(Transaction { producer, transactions, number, is_ending: false });
        }
    }

    /// What it has done so far.
    #[must_use]
    pub fn metrics(&self) -> Snapshot {
        self.producer.metrics()
    }

    /// Waits until a commit or an abort that is under way is done, and ends. A transaction that is
    /// open is aborted; what is not done when the deadline is over is given up, and left to the
    /// coordinator, or to the next producer with the same transactional id.
    ///
    /// # Errors
    /// Something had to be given up.
    ///
    /// # Cancel safety
    /// Dropped before it was first polled, nothing is closed. Dropped later, the producer is closed
    /// in the background, without a deadline.
    pub async fn close(&self, deadline: Duration) -> Result<()> {
        let shared = self.producer.shared();
        // The sender ends by itself from here on.
        self.transactions.change(|machine| machine.close());
        shared.close();
        let settled = async {
            self.transactions.until(|machine| machine.is_settled()).await;
            shared.ledger.flushed().await;
        };
        let settled = tokio::time::timeout(deadline, settled).await;
        let subject = subject(&self.transactions);
        if settled.is_err() {
            let subject = subject.clone();
            self.transactions.tell(Err(Error::Undecided { subject, after: deadline }));
        }
        self.transactions.change(|machine| machine.cut());
        // Not before: what the sender gives up then must not be missing from a commit under way.
        self.producer.tasks().stop();
        settled.map_err(|_| Error::Abandoned { subject })
    }
}

impl Transaction {
    /// Sends a record and waits until it is stored.
    ///
    /// # Errors
    /// Why it is not. Where the error [says so](Error::requires_abort), the transaction can only
    /// be aborted. A record that was never accepted, for it is too large for example, leaves the
    /// transaction as it is.
    ///
    /// # Cancel safety
    /// Dropped while it waits for room, the record is not sent. Dropped later, it is, and only the
    /// news is lost: the commit fails if the record does.
    pub async fn send(&self, record: Record) -> Result<RecordMetadata> {
        self.enqueue(record).await?.await
    }

    /// Accepts a record, waiting only while the producer's memory is full or its topic unknown.
    /// The acknowledgement need not be waited for: the commit fails if the record does.
    ///
    /// # Errors
    /// There was no room for `max.block.ms`, the record can never be sent, or the transaction can
    /// only be aborted.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the record is not sent.
    pub async fn enqueue(&self, record: Record) -> Result<Delivery> {
        self.producer.enqueue_in(self.number, record).await
    }

    /// Accepts a record if that needs no waiting.
    ///
    /// # Errors
    /// The record comes back with the reason.
    pub fn try_enqueue(&self, record: Record) -> std::result::Result<Delivery, TryEnqueueError> {
        self.producer.try_enqueue_in(self.number, record)
    }

    /// Sends records and waits for all of them. Those of one partition keep their order.
    ///
    /// # Cancel safety
    /// Dropped before it returns, some records are sent and others not.
    pub async fn send_all(
        &self,
        records: impl IntoIterator<Item = Record>,
    ) -> Vec<Result<RecordMetadata>> {
        self.producer.send_all_in(self.number, records).await
    }

    /// A [`futures_sink::Sink`] of records that are part of the transaction.
    pub fn sink(&self) -> RecordSink<'_> {
        RecordSink::new(self.producer.clone(), self.number)
    }

    /// Commits how far a group has read as part of the transaction: what was made of the records
    /// that were read is seen when they count as read, and not otherwise.
    ///
    /// # Errors
    /// The group has gone on without this member, or its coordinator has not answered within
    /// `max.block.ms`: then the transaction can only be [aborted](Error::requires_abort).
    ///
    /// # Cancel safety
    /// Dropped before it returns, the offsets may be part of the transaction or not.
    pub async fn send_offsets(
        &self,
        group: &GroupMetadata,
        offsets: impl IntoIterator<Item: Into<(Str, i32, CommittedOffset)>>,
    ) -> Result<()> {
        let offsets: Vec<_> = offsets.into_iter().map(Into::into).collect();
        if offsets.is_empty() {
            return self.check();
        }
        self.transactions.change(|machine| machine.begin_offsets(self.number))?;
        let (told, hears) = oneshot::channel();
        let (shared, transactions) =
            (Arc::clone(self.producer.shared()), self.transactions.clone());
        let (group, stopping) = (group.clone(), self.producer.tasks().stopping());
        // A task of its own: it must be known when the answer has come, though the caller may go.
        self.producer.tasks().spawn("offsets", async move {
            let outcome = tokio::select! {
                () = stopping => Err(Error::Closed),
                outcome = send_offsets(&shared, &transactions, &group, offsets) => outcome,
            };
            let outcome = transactions.change(|machine| machine.offsets_committed(outcome));
            shared.wake.notify_one();
            // The caller may have gone.
            let _ = told.send(outcome);
        });
        hears.await.unwrap_or(Err(Error::Closed))
    }

    /// Sends what was accepted, and commits.
    ///
    /// # Errors
    /// The transaction is not committed, and is aborted by this call, where the error says that it
    /// [must be](Error::requires_abort). It may be committed or not where that is
    /// [not known](Error::Undecided) after `max.block.ms`. The producer can go on no more where
    /// the error [is fatal](Error::is_fatal).
    ///
    /// # Cancel safety
    /// Dropped before it was first polled, the transaction is aborted. Dropped later, it is
    /// committed in the background, if that can be done.
    pub async fn commit(self) -> Result<()> {
        self.end(End::Commit).await
    }

    /// Gives up what was accepted, and aborts.
    ///
    /// # Errors
    /// It is not [known](Error::Undecided) after `max.block.ms` whether the coordinator has heard
    /// of it, or the producer can go on no more, which [is fatal](Error::is_fatal). In no case is
    /// the transaction committed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the transaction is aborted in the background.
    pub async fn abort(self) -> Result<()> {
        match self.end(End::Abort).await {
            // That it had failed is no news to who aborts it.
            Err(error) if error.requires_abort() => Ok(()),
            outcome => outcome,
        }
    }

    async fn end(mut self, end: End) -> Result<()> {
        self.is_ending = true;
        let Some(hears) = self.transactions.end(self.number, end) else {
            return self.check();
        };
        let shared = self.producer.shared();
        shared.wake.notify_one();
        let outcome = within_max_block(shared, &self.transactions, hears).await?;
        outcome.unwrap_or(Err(Error::Closed))
    }

    fn check(&self) -> Result<()> {
        self.transactions.look(|machine| machine.check(self.number))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let abort = |machine: &mut Machine| machine.end(self.number, End::Abort);
        if !self.is_ending && self.transactions.change(abort) {
            self.producer.shared().wake.notify_one();
        }
    }
}

/// Announces the group where that is needed, and commits.
async fn send_offsets(
    shared: &Shared,
    transactions: &Transactions,
    group: &GroupMetadata,
    offsets: Vec<(Str, i32, CommittedOffset)>,
) -> Result<()> {
    let settings = &transactions.settings;
    let (producer, must_announce) = transactions
        .look(|machine| (machine.producer_and_generation(), machine.must_announce(&group.id)));
    if must_announce {
        announce(shared, settings, producer.0, &group.id).await?;
        transactions.change(|machine| machine.announced(group.id.clone()));
    }
    commit_offsets(shared, settings, producer, group, offsets).await
}

async fn within_max_block<T>(
    shared: &Shared,
    transactions: &Transactions,
    wait: impl Future<Output = T>,
) -> Result<T> {
    let after = shared.settings.max_block;
    let undecided = |_| Error::Undecided { subject: subject(transactions), after };
    tokio::time::timeout(after, wait).await.map_err(undecided)
}

fn subject(transactions: &Transactions) -> Subject {
    Subject::Name(transactions.id().clone())
}
