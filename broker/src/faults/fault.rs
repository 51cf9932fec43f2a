use std::time::Duration;

use klamm_protocol::api::ApiKey;
use klamm_protocol::error_code::ErrorCode;

use super::Grain;

/// Something that goes wrong with the requests to one API.
///
/// It strikes every request until it is [removed](super::AddedFault::remove), or as often as
/// [`times`](Self::times) says.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a fault strikes once it is added to the faults of a broker"]
pub struct Fault {
    pub(crate) api: ApiKey,
    pub(crate) effect: Effect,
    pub(super) topic: Option<String>,
    pub(super) partition: Option<i32>,
    pub(super) after: u64,
    pub(super) times: Option<u64>,
    pub(super) chance: Option<Chance>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Error(ErrorCode),
    Delay(Duration),
    HangUp,
    LoseAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chance {
    pub(super) probability: f64,
    pub(super) seed: u64,
}

/// Why a fault cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// No request of this API is served.
    #[error("{} is not served", .api.name())]
    NotServed {
        /// The API.
        api: ApiKey,
    },
    /// There is no answer of this API that a code could be put into here.
    #[error("{} cannot be refused with an error code: hang up, delay or lose the answer", .api.name())]
    NoCode {
        /// The API.
        api: ApiKey,
    },
    /// What is asked for cannot be told from a request, or has no error code of its own.
    #[error("a request of {} cannot be struck for one {what} alone", .api.name())]
    NotSoFine {
        /// The API.
        api: ApiKey,
        /// `topic` or `partition`.
        what: &'static str,
    },
}

impl Fault {
    /// Refuses what it is about: nothing of it is done, and the answer has this code, where an
    /// answer of the API has codes.
    ///
    /// - Produce, ListOffsets, OffsetCommit, TxnOffsetCommit, CreateTopics: each topic or partition
    ///   that is struck has the code; the others are handled. Produce with `acks=0` has no answer:
    ///   the broker hangs up, as it does for a real error.
    /// - AddPartitionsToTxn: what is struck has the code, the rest of its transaction
    ///   `OPERATION_NOT_ATTEMPTED`.
    /// - Fetch, Metadata: the request is handled, and the code stands in place of what was found. An
    ///   answer that finds nothing is not struck: one for an idle fetch session has no partitions.
    ///   A code about fetch sessions, and `REBOOTSTRAP_REQUIRED`, is for the answer as a whole.
    /// - FindCoordinator: each key. OffsetFetch: each group.
    /// - JoinGroup, SyncGroup, Heartbeat, LeaveGroup, ConsumerGroupHeartbeat, InitProducerId,
    ///   AddOffsetsToTxn, EndTxn and others with one code: the answer as a whole.
    pub fn error(api: ApiKey, code: ErrorCode) -> Self {
        Self::new(api, Effect::Error(code))
    }

    /// Handles the request at once, and answers it no sooner than this after that.
    ///
    /// The answers to later requests on the same connection wait for it, as always, while their own
    /// delays pass. A broker that stops does not wait. Without an answer there is nothing to delay.
    pub fn delay(api: ApiKey, delay: Duration) -> Self {
        Self::new(api, Effect::Delay(delay))
    }

    /// Ends the connection in place of handling the request. Earlier requests are answered first.
    pub fn hang_up(api: ApiKey) -> Self {
        Self::new(api, Effect::HangUp)
    }

    /// Handles the request, and ends the connection in place of answering, even if there would be
    /// no answer.
    pub fn lose_answer(api: ApiKey) -> Self {
        Self::new(api, Effect::LoseAnswer)
    }

    /// Strikes only what is about this topic.
    pub fn topic(self, topic: &str) -> Self {
        Self { topic: Some(topic.to_owned()), partition: None, ..self }
    }

    /// Strikes only what is about this partition.
    pub fn partition(self, topic: &str, partition: i32) -> Self {
        Self { topic: Some(topic.to_owned()), partition: Some(partition), ..self }
    }

    /// Spares the first requests that it could strike.
    pub fn after(self, spared: u64) -> Self {
        Self { after: spared, ..self }
    }

    /// Strikes as often, and is gone then.
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Strikes with this probability, from 0 to 1. The same seed strikes the same requests, if they
    /// come in the same order: print it where the test fails.
    pub fn at_random(self, probability: f64, seed: u64) -> Self {
        Self { chance: Some(Chance { probability, seed }), ..self }
    }

    fn new(api: ApiKey, effect: Effect) -> Self {
        Self { api, effect, topic: None, partition: None, after: 0, times: None, chance: None }
    }

    /// Says whether there is such a fault, given how finely requests and codes can be told apart.
    pub(super) fn check(&self, names: Grain, errors: Grain) -> Result<(), FaultError> {
        let api = self.api;
        let known = if matches!(self.effect, Effect::Error(_)) { errors } else { names };
        let (wanted, what) = match (&self.topic, self.partition) {
            (None, _) => (Grain::Whole, "request"),
            (Some(_), None) => (Grain::Topic, "topic"),
            (Some(_), Some(_)) => (Grain::Partition, "partition"),
        };
        match known {
            Grain::Nothing => Err(FaultError::NoCode { api }),
            known if known < wanted => Err(FaultError::NotSoFine { api, what }),
            _ => Ok(()),
        }
    }
}
