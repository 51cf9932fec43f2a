//! A member's conversation with the coordinator of its group.

use std::time::Duration;

use klamm_client::config::{GroupProtocol, Value as _, keys};
use klamm_client::{
    Answer, ConfigError, Connection, CoordinatorKind, Error, Kafka, Origin, Result, Subject,
};
use klamm_protocol::api::consumer_group_heartbeat::{self, ConsumerGroupHeartbeat};
use klamm_protocol::api::heartbeat::{self, Heartbeat};
use klamm_protocol::api::join_group::{self, JoinGroup};
use klamm_protocol::api::leave_group::{self, LeaveGroup};
use klamm_protocol::api::sync_group::{self, SyncGroup};
use klamm_protocol::consumer_protocol::Assignment;
use klamm_protocol::declare::Api;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, WireError};

use super::assignor::from_wire;
use super::machine::{Beat, Departure, Heard, Identity, Told};
use crate::assignment::Place;

/// How much longer than the rebalance timeout the broker may take to answer a member that joins.
const GRACE: Duration = Duration::from_secs(5);
/// The first version in which members leave by list.
const LEAVE_BY_LIST: i16 = 3;
/// Why a cluster does not serve `group.protocol=consumer`.
const NO_CONSUMER_PROTOCOL: &str = "it takes brokers of Kafka 4.0 or later that serve it";
const NO_PATTERNS: &str = "it takes brokers of Kafka 4.0 or later to match patterns";

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Coordinator {
    kafka: Kafka,
    group: Str,
    instance: Option<Str>,
    request_timeout: Duration,
    /// How long the others of the group may take to join.
    patience: Duration,
    /// Its own: a broker answers in order, and who joins waits for others. The lock is held while
    /// connecting.
    connection: tokio::sync::Mutex<Option<(i32, Connection)>>,
}

impl Coordinator {
    pub(super) fn new(
        kafka: Kafka,
        group: Str,
        instance: Option<Str>,
        rebalance_timeout: Duration,
    ) -> Self {
        let request_timeout = kafka.config().get(&keys::REQUEST_TIMEOUT);
        let patience = rebalance_timeout.saturating_add(GRACE);
        let connection = tokio::sync::Mutex::default();
        Self { kafka, group, instance, request_timeout, patience, connection }
    }

    /// Asks to join. Refusals are in the answer.
    pub(super) async fn join(
        &self,
        request: &join_group::Request,
    ) -> Result<Answer<join_group::Response>> {
        let (node, answer) = self.call::<JoinGroup>(request, self.patience).await?;
        // A refusal that says where the coordinator is not, is heeded here.
        let _ = self.check(node, &answer.origin, answer.body.error_code, None).await;
        Ok(answer)
    }

    /// Asks for the assignment.
    pub(super) async fn sync(&self, request: &sync_group::Request) -> Result<Vec<Place>> {
        let (node, Answer { body, origin }) =
            self.call::<SyncGroup>(request, self.patience).await?;
        self.check(node, &origin, body.error_code, None).await?;
        if body.assignment.is_empty() {
            return Ok(Vec::new());
        }
        let assignment = Assignment::decode(body.assignment).map_err(|source| {
            let address = format!("the leader of {}", self.group).into();
            Error::Wire { address, api: "Assignment", source }
        })?;
        let places = from_wire(assignment.assigned_partitions);
        Ok(places.into_iter().map(|(topic, partition)| (topic.detached(), partition)).collect())
    }

    /// Says that the member is alive.
    pub(super) async fn heartbeat(&self, beat: &Beat) -> Result<Heard> {
        match beat {
            Beat::Classic(identity) => self.beat(identity).await.map(|()| Heard::Classic),
            Beat::Consumer(request) => self.tell(request).await.map(Heard::Consumer),
        }
    }

    /// Leaves.
    pub(super) async fn leave(&self, departure: &Departure) -> Result<()> {
        match departure {
            Departure::Classic(identity) => self.leave_classic(identity).await,
            Departure::Consumer(request) => match self.tell(request).await {
                Err(error) if error.code() == Some(ErrorCode::UNKNOWN_MEMBER_ID) => Ok(()),
                told => told.map(drop),
            },
        }
    }

    /// Says in the consumer protocol what there is to say. It goes over the one connection, so
    /// that who joins and leaves has left.
    async fn tell(&self, request: &consumer_group_heartbeat::Request) -> Result<Told> {
        let pattern = request.subscribed_topic_regex.as_ref();
        let has_pattern = pattern.is_some_and(|pattern| !pattern.is_empty());
        let (node, Answer { body, origin }) =
            match self.call::<ConsumerGroupHeartbeat>(request, Duration::ZERO).await {
                Err(Error::Unsupported { .. }) => return Err(not_served(NO_CONSUMER_PROTOCOL)),
                // The only thing that a version cannot say.
                Err(Error::Wire { source: WireError::Unsayable { .. }, .. }) if has_pattern => {
                    return Err(not_served(NO_PATTERNS));
                }
                answered => answered?,
            };
        if body.error_code == ErrorCode::UNSUPPORTED_VERSION {
            return Err(not_served(NO_CONSUMER_PROTOCOL));
        }
        self.check(node, &origin, body.error_code, body.error_message).await?;
        let ids = |topic: consumer_group_heartbeat::TopicPartitions| {
            let partitions = topic.partitions.into_iter();
            partitions.map(move |partition| (topic.topic_id, partition))
        };
        let assigned = body.assignment;
        let interval = u64::try_from(body.heartbeat_interval_ms).unwrap_or(0);
        Ok(Told {
            epoch: body.member_epoch,
            interval: Duration::from_millis(interval.max(1)),
            assigned: assigned.map(|new| new.topic_partitions.into_iter().flat_map(ids).collect()),
        })
    }

    async fn beat(&self, identity: &Identity) -> Result<()> {
        let request = heartbeat::Request {
            group_id: self.group.clone(),
            generation_id: identity.generation,
            member_id: identity.member.clone(),
            group_instance_id: self.instance.clone(),
        };
        let (node, answer) = self.call::<Heartbeat>(&request, Duration::ZERO).await?;
        self.check(node, &answer.origin, answer.body.error_code, None).await
    }

    /// Leaves, on a connection where nothing is waited for.
    async fn leave_classic(&self, identity: &Identity) -> Result<()> {
        let node = self.kafka.coordinator(CoordinatorKind::Group, &self.group).await?;
        let connection = self.kafka.broker(node).await?;
        let version = connection.version::<LeaveGroup>(i16::MAX)?;
        let member_id = identity.member.clone();
        let mut request =
            leave_group::Request { group_id: self.group.clone(), ..Default::default() };
        if version >= LEAVE_BY_LIST {
            let reason = Some(Str::from_static("the consumer was closed"));
            request.members =
                vec![leave_group::Member { member_id, group_instance_id: None, reason }];
        } else {
            request.member_id = member_id;
        }
        let answer = connection.submit::<LeaveGroup>(version, &request).await?.answer().await?;
        answer.origin.check(answer.body.error_code, None, self.subject())
    }

    /// Forgets the connection, on which an answer may be waited for that nobody wants any more.
    pub(super) async fn hang_up(&self) {
        *self.connection.lock().await = None;
    }

    async fn call<A: Api>(
        &self,
        request: &A::Request,
        patience: Duration,
    ) -> Result<(i32, Answer<A::Response>)> {
        let (node, connection) = self.connected().await?;
        let after = self.request_timeout.saturating_add(patience);
        let answer = tokio::time::timeout(after, connection.call::<A>(request)).await;
        let address = connection.address();
        let timeout = || Error::Timeout { address: address.clone(), api: A::NAME, after };
        match answer.unwrap_or_else(|_| Err(timeout())) {
            Ok(answer) => Ok((node, answer)),
            Err(error) => {
                self.doubt(node, &error).await;
                Err(error)
            }
        }
    }

    async fn connected(&self) -> Result<(i32, Connection)> {
        let mut slot = self.connection.lock().await;
        if let Some((node, connection)) = slot.as_ref().filter(|(_, open)| open.is_alive()) {
            return Ok((*node, connection.clone()));
        }
        let node = self.kafka.coordinator(CoordinatorKind::Group, &self.group).await?;
        match self.kafka.connect_patiently(node, self.patience).await {
            Ok(connection) => {
                *slot = Some((node, connection.clone()));
                Ok((node, connection))
            }
            Err(error) => {
                self.kafka.forget_coordinator(CoordinatorKind::Group, &self.group, node);
                Err(error)
            }
        }
    }

    async fn check(
        &self,
        node: i32,
        origin: &Origin,
        code: ErrorCode,
        message: Option<Str>,
    ) -> Result<()> {
        let outcome = origin.check(code, message, self.subject());
        if let Err(error) = &outcome {
            self.doubt(node, error).await;
        }
        outcome
    }

    /// Looks the coordinator up anew if the error says that it may be elsewhere.
    async fn doubt(&self, node: i32, error: &Error) {
        if error.is_stale_coordinator() {
            self.kafka.forget_coordinator(CoordinatorKind::Group, &self.group, node);
            self.hang_up().await;
        }
    }

    fn subject(&self) -> Subject {
        Subject::Name(self.group.clone())
    }
}

fn not_served(reason: &'static str) -> Error {
    let value = GroupProtocol::Consumer.print();
    ConfigError::NotServed { name: keys::GROUP_PROTOCOL.name(), value, reason }.into()
}
