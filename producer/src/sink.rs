//! A producer as the end of a stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use klamm_client::{Error, Result};

use crate::producer::{Producer, TryEnqueueError};
use crate::receipt::Delivery;
use crate::record::Record;

type Enqueueing = Pin<Box<dyn Future<Output = Result<Delivery>> + Send>>;

/// Takes records as a [`Sink`]: what [`Producer::sink`] and
/// [`Transaction::sink`](crate::Transaction::sink) give.
///
/// It is ready while there is room. Flushing it sends without lingering and waits until all that it
/// took is stored; closing it does the same, and leaves the producer as it is. The failure of a
/// record is told by whatever is asked of the sink next. Dropping it loses the news, not the
/// records, but for the one that waits for room.
#[must_use = "a sink takes records only when it is given some"]
pub struct RecordSink<'a> {
    producer: Producer,
    transaction: u64,
    /// The last record, while there is no room for it.
    enqueueing: Option<Enqueueing>,
    /// In the order in which the records were taken. The oldest go as they are stored.
    deliveries: VecDeque<Delivery>,
    is_flushing: bool,
    of: PhantomData<&'a ()>,
}

impl fmt::Debug for RecordSink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sink = &mut f.debug_struct("RecordSink");
        sink.field("unsettled", &self.deliveries.len()).finish_non_exhaustive()
    }
}

impl RecordSink<'_> {
    pub(crate) fn new(producer: Producer, transaction: u64) -> Self {
        Self {
            producer,
            transaction,
            enqueueing: None,
            deliveries: VecDeque::new(),
            is_flushing: false,
            of: PhantomData,
        }
    }

    /// Lets what was taken go without lingering, once a flush.
    fn seal(&mut self) {
        if !std::mem::replace(&mut self.is_flushing, true) {
            self.producer.shared().seal_all();
        }
    }

    /// Lets go of the oldest that are stored.
    fn forget_stored(&mut self) -> Result<()> {
        while let Some(outcome) = self.deliveries.front().and_then(Delivery::peek) {
            self.deliveries.pop_front();
            outcome?;
        }
        Ok(())
    }
}

impl Sink<Record> for RecordSink<'_> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(enqueueing) = &mut self.enqueueing {
            let accepted = ready!(enqueueing.as_mut().poll(context));
            self.enqueueing = None;
            // A flush that is under way has not sealed its batch.
            self.is_flushing = false;
            self.deliveries.push_back(accepted?);
        }
        Poll::Ready(self.forget_stored())
    }

    fn start_send(mut self: Pin<&mut Self>, record: Record) -> Result<()> {
        self.is_flushing = false;
        let transaction = self.transaction;
        let record = self.producer.intercepted(record);
        match self.producer.offer(transaction, record) {
            Ok(delivery) => self.deliveries.push_back(delivery),
            Err(TryEnqueueError::Refused(refused)) => {
                return Err(self.producer.refused(refused.error));
            }
            Err(full) => {
                let (producer, record) = (self.producer.clone(), full.into_record());
                let waits = async move { producer.enqueue_slowly(transaction, record).await };
                self.enqueueing = Some(Box::pin(waits));
            }
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        // What the last record waits for need not linger either.
        self.seal();
        ready!(self.as_mut().poll_ready(context))?;
        self.seal();
        while let Some(oldest) = self.deliveries.front_mut() {
            let outcome = ready!(Pin::new(oldest).poll(context));
            self.deliveries.pop_front();
            outcome?;
        }
        self.is_flushing = false;
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_flush(context)
    }
}
