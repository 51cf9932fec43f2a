//! What becomes of what was sent.

use std::sync::Arc;

use klamm_client::Error;
use klamm_utils::clock;

use super::Sender;
use super::answers::Answered;
use crate::accumulate::Sealed;
use crate::judge::judge;
use crate::lane::Verdict;
use crate::receipt::Stored;
use crate::request::{self, Sent};
use crate::transaction::pause_after;

impl Sender {
    pub(super) fn answered(&mut self, Answered { metadata, sent, answer }: Answered) {
        let answer = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => return self.gone(sent),
            Err(error) => return self.fail_all(sent, &error),
        };
        let outcomes = request::outcomes(answer, &sent, &metadata);
        for (sent, outcome) in sent.into_iter().zip(outcomes) {
            match outcome {
                Ok(stored) => self.stored(sent, stored),
                Err(error) => self.failed(sent, &error),
            }
        }
    }

    /// What is sent with acks of 0 counts as stored, though nobody says where.
    fn gone(&mut self, sent: Vec<Sent>) {
        for sent in sent {
            self.stored(sent, Stored { base_offset: None, append_time: None });
        }
    }

    pub(super) fn fail_all(&mut self, sent: Vec<Sent>, error: &Error) {
        for sent in sent {
            self.failed(sent, error);
        }
    }

    fn stored(&mut self, sent: Sent, stored: Stored) {
        let Some(place) = self.lanes.get_mut(&sent.lane) else { return };
        place.backoff.reset();
        if place.trouble.take().is_some() {
            self.shared.set_trouble(None);
        }
        place.lane.stored(&sent.parcel);
        let Sealed { batch, began, .. } = &sent.parcel.sealed;
        let after = clock::now().duration_since(*began);
        self.shared.metrics.stored(sent.parcel.records(), batch.bytes().len() as u64, after);
        sent.parcel.sealed.claim.settle(Ok(stored));
    }

    fn failed(&mut self, sent: Sent, error: &Error) {
        let now = clock::now();
        let settings = &self.shared.settings;
        let Some(place) = self.lanes.get_mut(&sent.lane) else { return };
        let Sent { mut parcel, topic, partition, .. } = sent;
        parcel.learn(error);
        let trouble = Arc::new(error.clone());
        place.trouble = Some(Arc::clone(&trouble));
        self.shared.set_trouble(Some(trouble));
        let verdict = judge(error, &parcel, place.lane.follows_another(&parcel), settings, now);
        let verdict = self.shared.verdict_for_transaction(verdict, &parcel, error);
        tracing::debug!(%topic, partition, %error, ?verdict, "batch not stored");
        if matches!(verdict, Verdict::Again) {
            place.lane.retry_at = Some(now + pause_after(error, &mut place.backoff));
        }
        match verdict {
            Verdict::GiveUp(_) => self.shared.metrics.given_up(parcel.records()),
            Verdict::Split(_) => self.shared.metrics.split(),
            Verdict::Again | Verdict::NewEpoch => {}
        }
        place.lane.returned(parcel, verdict);
        self.ends_epoch |= place.lane.is_broken();
        self.active.insert(place.queue.lane);
        if error.is_stale_metadata() {
            self.locate(topic);
        }
    }
}
