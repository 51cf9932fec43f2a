//! Administration: every call is typed, retried while that can help, and answers item by item.

mod cluster;
mod codes;
mod configs;
pub(crate) mod coordinators;
mod groups;
mod log_dirs;
pub(crate) mod offsets;
mod quorum;
mod replicas;
mod security;
mod topic_pages;
mod topics;
mod transactions;

use std::collections::HashMap;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::clock;

pub use cluster::ClusterDescription;
pub use configs::{Change, ConfigEntry, ConfigSource, ConfigSynonym, Resource, ResourceKind};
pub use groups::{
    CommittedOffset, Departure, GroupDescription, GroupMember, GroupState, ListedGroup,
    PartitionLag, ShareGroupDescription, ShareGroupMember, ShareOffset, StreamsGroupDescription,
    StreamsGroupMember, StreamsTasks, Subtopology,
};
pub use log_dirs::{LogDir, LogSize};
pub use offsets::{FoundOffset, OffsetSpec};
pub use quorum::{FeatureChange, NewVoter, Quorum, QuorumReplica};
pub use replicas::{Election, Reassignment};
pub use security::{
    Acl, AclFilter, AclOperation, AclPattern, AclPermission, AclResource, DelegationToken,
    NewDelegationToken, Principal, Quota, QuotaChange, QuotaEntity, QuotaFilter, QuotaMatch,
    ScramChange, ScramCredential, ScramMechanism,
};
pub use topics::{CreatedTopic, NewTopic};
pub use transactions::{
    HangingTransaction, ListedTransaction, ProducerState, TransactionDescription, TransactionFilter,
};

use crate::cluster::Kafka;
use crate::config::keys;
use crate::connection::Connection;
use crate::error::{Error, Result};

/// What each item of a call gave.
pub type Outcomes<Item, T> = Vec<(Item, Result<T>)>;

/// The administrator's side of a client. Made by [`Kafka::admin`].
///
/// A call as a whole fails if no broker answers it; what a broker says of one item is told beside
/// that item. Calls are tried again for `default.api.timeout.ms`, those that change something
/// only when the broker cannot have seen them.
///
/// # Cancel safety
/// Dropped before it returns, a call may have changed what it was to change or not.
#[derive(Clone, Debug)]
pub struct Admin {
    kafka: Kafka,
    timeout: Duration,
}

/// What a call does, and so whether it may be repeated when nobody knows if it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Reads,
    Changes,
}

impl Kafka {
    /// The administrator's side of this client.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin { kafka: self.clone(), timeout: self.config().get(&keys::API_TIMEOUT) }
    }
}

impl Admin {
    /// The same, with another bound on how long each call may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What brokers are told of how long they may take.
    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// The broker that takes administrative requests.
    async fn controller(&self) -> Result<Connection> {
        match self.kafka.metadata().controller {
            Some(node) => self.kafka.broker(node).await,
            None => self.kafka.any_broker().await,
        }
    }

    /// Tries until it succeeds, cannot succeed, or the time is over.
    ///
    /// Not an `AsyncFn`: the compiler could not tell that the future of a call is `Send`.
    async fn retry<T, F: Future<Output = Result<T>>>(
        &self,
        effect: Effect,
        attempt: impl Fn() -> F,
    ) -> Result<T> {
        let deadline = clock::now() + self.timeout;
        let mut backoff = self.kafka.retry_backoff();
        loop {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let unsafe_to_repeat = effect == Effect::Changes && error.possibly_written();
            let pause = backoff.next_pause();
            if !error.is_retriable() || unsafe_to_repeat || clock::now() + pause > deadline {
                return Err(error);
            }
            tracing::debug!(%error, "trying again");
            tokio::time::sleep(pause).await;
            // A broker that has moved is looked up again; that this fails is told by the attempt.
            let _ = self.kafka.refresh(Some(&[])).await;
        }
    }
}

/// Outcomes in the order in which the topics were asked about, which not every broker keeps; unless
/// each says that this broker is the wrong one: then the whole call is to be repeated.
fn unless_moved<'a, T>(
    asked: impl Iterator<Item = &'a Str>,
    mut outcomes: Outcomes<Str, T>,
) -> Result<Outcomes<Str, T>> {
    let place: HashMap<_, _> = asked.zip(0..).collect();
    outcomes.sort_by_key(|(name, _)| place.get(name).copied());
    let moved = |(_, outcome): &(Str, Result<T>)| {
        let code = outcome.as_ref().err().and_then(Error::code);
        matches!(code, Some(ErrorCode::NOT_CONTROLLER))
    };
    if outcomes.iter().all(moved) {
        outcomes.pop().map_or(Ok(Vec::new()), |(_, moved)| moved.map(|_| Vec::new()))
    } else {
        Ok(outcomes)
    }
}
