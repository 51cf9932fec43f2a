//! Administration: every call is typed, retried while that can help, and answers item by item.

mod cluster;
mod codes;
mod configs;
pub(crate) mod coordinators;
mod groups;
mod log_dirs;
pub(crate) mod offsets;
mod owners;
mod quorum;
mod replicas;
mod security;
mod topic_pages;
mod topics;
mod transactions;

use std::collections::HashMap;
use std::time::{Duration, Instant};

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
use crate::together::together;

/// What each item of a call gave.
pub type Outcomes<Item, T> = Vec<(Item, Result<T>)>;

/// The administrator's side of a client. Made by [`Kafka::admin`].
///
/// A call as a whole fails if no broker answers it; what a broker says of one item is told beside
/// that item. Calls take `default.api.timeout.ms` at most and are tried again for as long, those
/// that change something only when the broker cannot have seen them.
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

    /// What brokers are told of how long they may take: no longer than they are listened to.
    fn timeout_ms(&self) -> i32 {
        let timeout = self.timeout.min(self.kafka.config().get(&keys::REQUEST_TIMEOUT));
        i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// The broker that takes administrative requests.
    async fn controller(&self) -> Result<Connection> {
        match self.kafka.metadata().controller {
            Some(node) => self.kafka.broker(node).await,
            None => self.kafka.any_broker().await,
        }
    }

    /// The same for what is left to do of a call that began then: with the rest of its time.
    fn since(&self, began: Instant) -> Self {
        let left = self.timeout.saturating_sub(clock::now().saturating_duration_since(began));
        self.clone().with_timeout(left)
    }

    /// When a call that begins now is over.
    fn deadline(&self) -> Instant {
        clock::now() + self.timeout
    }

    /// One attempt, for as long as the call has.
    async fn until<T>(
        &self,
        deadline: Instant,
        attempt: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let attempt = tokio::time::timeout_at(deadline.into(), attempt).await;
        attempt.unwrap_or_else(|_| Err(self.overdue()))
    }

    /// Nobody has answered in the time that the call has.
    fn overdue(&self) -> Error {
        let address = self.kafka.config().get(&keys::BOOTSTRAP_SERVERS).join(",").into();
        Error::Timeout { address, api: "the call", after: self.timeout }
    }

    /// Tries until it succeeds, cannot succeed, or the time is over.
    ///
    /// Not an `AsyncFn`: the compiler could not tell that the future of a call is `Send`.
    async fn retry<T, F: Future<Output = Result<T>>>(
        &self,
        effect: Effect,
        attempt: impl Fn() -> F,
    ) -> Result<T> {
        self.retry_until(self.deadline(), effect, attempt).await
    }

    async fn retry_until<T, F: Future<Output = Result<T>>>(
        &self,
        deadline: Instant,
        effect: Effect,
        attempt: impl Fn() -> F,
    ) -> Result<T> {
        let mut backoff = self.kafka.retry_backoff();
        let mut last = None;
        loop {
            let error = match tokio::time::timeout_at(deadline.into(), attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                // What was changed is not known, whatever was told before.
                Err(_) if effect == Effect::Changes => return Err(self.overdue()),
                Err(_) => return Err(last.unwrap_or_else(|| self.overdue())),
            };
            let pause = backoff.next_pause();
            if !may_help(&error, effect) || clock::now() + pause > deadline {
                return Err(error);
            }
            tracing::debug!(%error, "trying again");
            tokio::time::sleep(pause).await;
            // A broker that has moved is looked up again; that this fails is told by the attempt.
            let refresh = self.kafka.refresh(Some(&[]));
            let _ = tokio::time::timeout_at(deadline.into(), refresh).await;
            last = Some(error);
        }
    }

    /// Asks brokers side by side. What each gave is told beside its node id, in their order.
    async fn of_each<T, F: Future<Output = Result<T>>>(
        &self,
        nodes: impl Iterator<Item = i32>,
        ask: impl Fn(i32) -> F,
    ) -> Outcomes<i32, T> {
        let ask = &ask;
        let asked =
            nodes.map(|node| async move { (node, self.retry(Effect::Reads, || ask(node)).await) });
        together(asked).await
    }
}

/// Whether asking again may help, and does no harm.
fn may_help(error: &Error, effect: Effect) -> bool {
    error.is_retriable() && (effect == Effect::Reads || !error.possibly_written())
}

/// What each item gave, or beside each why the request about all of them failed.
fn to_each<Item, T>(items: Vec<Item>, told: Result<Outcomes<Item, T>>) -> Outcomes<Item, T> {
    let failed = |error: Error| items.into_iter().map(|item| (item, Err(error.clone()))).collect();
    told.unwrap_or_else(failed)
}

/// Outcomes in the order in which the names were asked about, which not every broker keeps; unless
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientConfig;
    use crate::fake;
    use klamm_protocol::api::find_coordinator::{self, FindCoordinator};
    use klamm_protocol::api::metadata::Metadata;
    use klamm_protocol::declare::Api as _;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn brokers_are_given_no_more_time_than_they_are_listened_to() {
        let address = fake::broker(|asked| match asked.api_key {
            Metadata::KEY => Some(fake::metadata(asked, &[&asked.address], 0)),
            _ => Some(fake::versions(asked, &[(Metadata::KEY, 12)])),
        });
        let (short, long) = (Duration::from_secs(5), Duration::from_secs(60));
        let config = ClientConfig::new(&address.await).api_timeout(long).request_timeout(short);
        let admin = Kafka::connect(config).await.unwrap().admin();
        assert_eq!(admin.timeout_ms(), 5_000);
        assert_eq!(admin.with_timeout(Duration::from_secs(1)).timeout_ms(), 1_000);
    }

    #[tokio::test]
    async fn a_call_ends_in_its_time_where_brokers_say_nothing() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = silent.local_addr().unwrap().to_string();
        let address = fake::broker(move |asked| match asked.api_key {
            Metadata::KEY => Some(fake::metadata(asked, &[&asked.address, &place], 1)),
            FindCoordinator::KEY => {
                let found = find_coordinator::Response { node_id: 1, ..Default::default() };
                Some(fake::answer::<FindCoordinator>(asked, &found))
            }
            _ => Some(fake::versions(asked, &[(Metadata::KEY, 12), (FindCoordinator::KEY, 3)])),
        });
        let kafka = Kafka::connect(ClientConfig::new(&address.await)).await.unwrap();
        let admin = kafka.admin().with_timeout(Duration::from_secs(1));
        let (topic, group) = ([NewTopic::new("b")], [Str::from("g")]);
        let calls = async {
            let created = admin.create_topics(&topic).await.unwrap_err();
            assert!(created.possibly_written(), "{created}");
            assert!(admin.log_dirs(&[1]).await.unwrap()[0].1.is_err());
            assert!(admin.api_versions().await.unwrap()[1].1.is_err());
            assert!(admin.describe_groups(&group).await.unwrap()[0].1.is_err());
        };
        // Less than a request may take.
        tokio::time::timeout(Duration::from_secs(10), calls).await.unwrap();
    }
}
