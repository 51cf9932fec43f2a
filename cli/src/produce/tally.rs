//! What became of the records.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use klamm_client::{Error, Result};
use klamm_producer::{Delivery, RecordMetadata};

use crate::failure::Failure;

/// Counts records by their fate, in the order in which they were accepted.
///
/// It holds as many deliveries as the producer's memory holds records, and a chunk more.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Bytes of all lines.
    pub(super) bytes: u64,
    /// Records that are stored.
    pub(super) stored: u64,
    /// Records that are not, or of which that is not known.
    pub(super) failed: u64,
    first_failure: Option<Error>,
    waiting: VecDeque<Delivery>,
}

impl Tally {
    /// Adds a record that was accepted, or refused.
    ///
    /// # Errors
    /// It was refused for a reason that will refuse all others, too.
    pub(super) fn add(&mut self, bytes: usize, accepted: Result<Delivery>) -> Result<()> {
        self.bytes += bytes as u64;
        match accepted {
            Ok(delivery) => self.waiting.push_back(delivery),
            Err(error) if matches!(error, Error::RecordTooLarge { .. }) => self.count(Err(error)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Looks at what has been told meanwhile.
    ///
    /// # Errors
    /// Something that ends all.
    pub(super) fn collect(&mut self) -> Result<()> {
        let mut context = Context::from_waker(Waker::noop());
        while let Some(delivery) = self.waiting.front_mut() {
            let Poll::Ready(fate) = Pin::new(delivery).poll(&mut context) else { break };
            self.waiting.pop_front();
            self.count(fate);
        }
        match &self.first_failure {
            Some(error) if error.is_fatal() => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Waits for all news that is still to come.
    pub(super) async fn finish(&mut self) {
        while let Some(delivery) = self.waiting.pop_front() {
            let fate = delivery.await;
            self.count(fate);
        }
    }

    /// The failure, if there was one.
    pub(super) fn outcome(&mut self) -> anyhow::Result<()> {
        match self.first_failure.take() {
            None => Ok(()),
            Some(first) => {
                let (failed, stored, first) = (self.failed, self.stored, Box::new(first));
                Err(Failure::Records { failed, stored, first }.into())
            }
        }
    }

    fn count(&mut self, fate: Result<RecordMetadata>) {
        match fate {
            Ok(_) => self.stored += 1,
            Err(error) => {
                self.failed += 1;
                self.first_failure.get_or_insert(error);
            }
        }
    }
}
