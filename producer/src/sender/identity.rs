//! Under which producer id and epoch batches are sent.

use std::time::Instant;

use klamm_client::{Answer, Error, Kafka, Result, Subject};
use klamm_protocol::api::init_producer_id::{self, InitProducerId};
use klamm_protocol::records::BatchProducer;
use klamm_utils::clock;

use super::Sender;
use super::place::Place;
use super::report::{Report, report};
use crate::shared::Shared;

/// Under which id batches are sent.
pub(super) enum Identity {
    /// None: the producer is not idempotent.
    Anonymous,
    /// None yet. Not asked for before this moment.
    Unknown(Option<Instant>),
    /// It is being asked for.
    Asking,
    /// This one; its sequence number means nothing.
    Known(BatchProducer),
}

impl Identity {
    /// What is known of the producer when it starts.
    pub(super) fn of(shared: &Shared) -> Self {
        match &shared.transactions {
            Some(transactions) => Self::Known(transactions.look(|machine| machine.producer())),
            None if shared.settings.idempotent => Self::Unknown(None),
            None => Self::Anonymous,
        }
    }

    /// When to ask again, if that is to be waited for.
    pub(super) fn not_before(&self) -> Option<Instant> {
        match self {
            Self::Unknown(not_before) => *not_before,
            _ => None,
        }
    }
}

impl Sender {
    /// Whose batches are sent, if that is known.
    pub(super) fn producer(&self) -> Option<BatchProducer> {
        match self.identity {
            Identity::Anonymous => Some(BatchProducer::NONE),
            Identity::Known(producer) => Some(producer),
            Identity::Unknown(_) | Identity::Asking => None,
        }
    }

    /// Asks for an id where there is none, and begins a new epoch where one is needed and nothing
    /// is left that only the old one can finish.
    pub(super) fn renew_identity(&mut self, now: Instant) {
        match self.identity {
            Identity::Unknown(not_before)
                if !self.active.is_empty() && not_before.is_none_or(|at| at <= now) =>
            {
                self.identify();
            }
            Identity::Known(producer) if self.ends_epoch => {
                let busy = |place: &Place| place.lane.is_out() || place.lane.needs_this_epoch();
                if self.lanes.values().any(busy) {
                    return;
                }
                self.ends_epoch = false;
                self.begin_epoch();
                match producer.epoch.checked_add(1) {
                    Some(epoch) => {
                        self.identity = Identity::Known(BatchProducer { epoch, ..producer })
                    }
                    None => self.identify(),
                }
            }
            _ => {}
        }
    }

    /// Has every lane go on in another epoch, and gives up what cannot.
    pub(super) fn begin_epoch(&mut self) {
        for place in self.lanes.values_mut() {
            for parcel in place.lane.begin_epoch() {
                let subject = parcel.sealed.claim.subject();
                self.shared.give_up(parcel, Error::Abandoned { subject });
            }
        }
    }

    /// Asks for a producer id.
    fn identify(&mut self) {
        self.identity = Identity::Asking;
        let kafka = self.shared.kafka.clone();
        let identify = async move { Report::Identified(identify(&kafka).await) };
        report(&self.tasks, &self.reporter, "identify", identify);
    }

    pub(super) fn identified(&mut self, identified: Result<BatchProducer>) {
        match identified {
            Ok(producer) => self.identity = Identity::Known(producer),
            Err(error) if error.is_retriable() => {
                tracing::warn!(%error, "no producer id");
                self.blame(error, |_| true);
                let pause = self.shared.settings.retry.backoff().next_pause();
                self.identity = Identity::Unknown(Some(clock::now() + pause));
            }
            Err(error) => {
                let pause = self.shared.settings.retry.backoff().next_pause();
                self.identity = Identity::Unknown(Some(clock::now() + pause));
                for place in self.lanes.values_mut() {
                    place.seal_due(&self.shared);
                    for parcel in place.lane.drain() {
                        self.shared.give_up(parcel, error.clone());
                    }
                }
            }
        }
    }
}

async fn identify(kafka: &Kafka) -> Result<BatchProducer> {
    let request = init_producer_id::Request {
        transaction_timeout_ms: i32::MAX,
        ..init_producer_id::Request::default()
    };
    let Answer { body, origin } =
        kafka.any_broker().await?.call::<InitProducerId>(&request).await?;
    origin.check(body.error_code, None, Subject::Cluster)?;
    let (id, epoch) = (body.producer_id, body.producer_epoch);
    Ok(BatchProducer { id, epoch, base_sequence: 0 })
}
