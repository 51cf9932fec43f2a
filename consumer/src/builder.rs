//! How consumers are made.

use std::sync::Arc;
use std::time::Duration;

use klamm_client::config::{Assignor, GroupProtocol, IsolationLevel, OffsetReset, keys};
use klamm_client::{ClientConfig, ConfigError, Kafka, Result};
use klamm_protocol::wire::Str;
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;

use crate::consumer::Consumer;
use crate::cursor::Start;
use crate::fetcher;
use crate::group::{self, Group, Subscription};
use crate::interceptor::{ConsumerInterceptor, Interceptors};
use crate::offsets;
use crate::shared::{Settings, Shared};

/// Makes consumers of a client.
pub trait ConsumeExt {
    /// A consumer to be built, with the client's settings.
    fn consumer(&self) -> ConsumerBuilder;
}

impl ConsumeExt for Kafka {
    fn consumer(&self) -> ConsumerBuilder {
        ConsumerBuilder {
            kafka: self.clone(),
            config: self.config().clone(),
            places: Vec::new(),
            topics: Vec::new(),
            interceptors: Interceptors::default(),
        }
    }
}

/// A consumer to be built. Setters never fail; what is wrong is told by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct ConsumerBuilder {
    kafka: Kafka,
    config: ClientConfig,
    places: Vec<(Str, Option<i32>, Start)>,
    topics: Vec<Str>,
    interceptors: Interceptors,
}

impl ConsumerBuilder {
    /// From this partition, beginning there.
    pub fn assign(mut self, topic: impl Into<Str>, partition: i32, start: Start) -> Self {
        self.places.push((topic.into(), Some(partition), start));
        self
    }

    /// From all partitions that the topic has now, beginning there.
    pub fn assign_topic(mut self, topic: impl Into<Str>, start: Start) -> Self {
        self.places.push((topic.into(), None, start));
        self
    }

    /// The group under which offsets are committed, and in which consumers that
    /// [subscribe](Self::subscribe) share partitions.
    pub fn group(self, id: &str) -> Self {
        self.set(keys::GROUP_ID.name(), id)
    }

    /// Joins the group and receives from the partitions of these topics that it is given, each
    /// beginning where the group has committed.
    ///
    /// `re:` before a name makes it a pattern that whole names must match. In the classic protocol
    /// it is one of the crate `regex-lite`, and topics that match it later are found as often as
    /// `metadata.max.age.ms` says. In the consumer protocol the broker matches, so that it is one
    /// of the broker's kind: RE2 in Kafka.
    pub fn subscribe<T: Into<Str>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.topics.extend(topics.into_iter().map(Into::into));
        self
    }

    /// How the members of the group agree: by default the classic protocol, in which one of them
    /// assigns. In the [consumer protocol](GroupProtocol::Consumer) of KIP-848 the broker does, and
    /// members that keep their partitions do not notice that others come and go.
    ///
    /// In the consumer protocol the broker says how often it wants to hear of members, and how
    /// long they may be silent: `heartbeat.interval.ms`, `session.timeout.ms` and
    /// [`assignors`](Self::assignors) are not to be set. [`build`](Self::build) does not know yet
    /// whether the cluster serves it; one that does not is told as [`ConfigError::NotServed`] by
    /// [`next_batch`](Consumer::next_batch).
    pub fn group_protocol(self, protocol: GroupProtocol) -> Self {
        Self { config: self.config.with(&keys::GROUP_PROTOCOL, &protocol), ..self }
    }

    /// How the broker is to assign in the consumer protocol: Kafka knows `uniform` and `range`.
    /// By default as it likes best.
    pub fn remote_assignor(self, name: &str) -> Self {
        self.set(keys::GROUP_REMOTE_ASSIGNOR.name(), name)
    }

    /// Makes it a static member of its group: it may restart within its session without a
    /// rebalance. When it is closed its partitions stay its own until its session is over.
    pub fn group_instance_id(self, id: &str) -> Self {
        self.set(keys::GROUP_INSTANCE_ID.name(), id)
    }

    /// The ways of assigning that it knows in the classic protocol, the best liked first. If the only one is
    /// [`CooperativeSticky`](Assignor::CooperativeSticky), partitions that do not move are read
    /// on while the group rebalances.
    pub fn assignors(self, assignors: impl IntoIterator<Item = Assignor>) -> Self {
        let assignors = assignors.into_iter().collect();
        Self { config: self.config.with(&keys::PARTITION_ASSIGNMENT_STRATEGY, &assignors), ..self }
    }

    /// Whether it commits by itself what was worked on. By default it does.
    pub fn auto_commit(self, commits: bool) -> Self {
        Self { config: self.config.with(&keys::ENABLE_AUTO_COMMIT, &commits), ..self }
    }

    /// Whether records of unfinished and aborted transactions are seen. By default they are.
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.config = self.config.with(&keys::ISOLATION_LEVEL, &level);
        self
    }

    /// Where to go on when a partition has no such offset. The default is its end.
    pub fn auto_offset_reset(mut self, policy: OffsetReset) -> Self {
        self.config = self.config.with(&keys::AUTO_OFFSET_RESET, &policy);
        self
    }

    /// How long a broker waits for records before it answers that there are none.
    pub fn fetch_max_wait(mut self, wait: Duration) -> Self {
        self.config = self.config.with(&keys::FETCH_MAX_WAIT, &wait);
        self
    }

    /// The least that a broker gathers before it answers, unless it has waited for
    /// [that long](Self::fetch_max_wait).
    pub fn fetch_min_bytes(self, bytes: usize) -> Self {
        Self { config: self.config.with(&keys::FETCH_MIN, &bytes), ..self }
    }

    /// The most that a broker puts into one answer, but never less than one batch.
    pub fn fetch_max_bytes(self, bytes: usize) -> Self {
        Self { config: self.config.with(&keys::FETCH_MAX, &bytes), ..self }
    }

    /// The most of one partition in one answer, but never less than one batch. At most twice as
    /// much of each partition lies ready.
    pub fn max_partition_fetch_bytes(self, bytes: usize) -> Self {
        Self { config: self.config.with(&keys::PARTITION_FETCH_MAX, &bytes), ..self }
    }

    /// Whether the checksum of each batch is compared. By default it is.
    pub fn check_crcs(self, compares: bool) -> Self {
        Self { config: self.config.with(&keys::CHECK_CRCS, &compares), ..self }
    }

    /// Where the consumer stands: a leader may name a replica that lies nearer, and the group may
    /// assign by it.
    pub fn client_rack(self, rack: &str) -> Self {
        self.set(keys::CLIENT_RACK.name(), rack)
    }

    /// How long the application may take between two batches before its partitions go to others,
    /// and nearly how long it may take to let go of them when the group rebalances.
    pub fn max_poll_interval(self, interval: Duration) -> Self {
        Self { config: self.config.with(&keys::MAX_POLL_INTERVAL, &interval), ..self }
    }

    /// How long the member may be silent in the classic protocol.
    pub fn session_timeout(self, timeout: Duration) -> Self {
        Self { config: self.config.with(&keys::SESSION_TIMEOUT, &timeout), ..self }
    }

    /// How often the member says that it is alive in the classic protocol.
    pub fn heartbeat_interval(self, interval: Duration) -> Self {
        Self { config: self.config.with(&keys::HEARTBEAT_INTERVAL, &interval), ..self }
    }

    /// How often it commits, if it does that by itself.
    pub fn auto_commit_interval(self, interval: Duration) -> Self {
        Self { config: self.config.with(&keys::AUTO_COMMIT_INTERVAL, &interval), ..self }
    }

    /// Has this see every batch before the application does, and every commit, after those that
    /// were given before.
    pub fn interceptor(mut self, interceptor: impl ConsumerInterceptor + 'static) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Sets by name, as [`ClientConfig::set`] does.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.config = self.config.set(name, value);
        self
    }

    /// The consumer, which begins to fetch, or to join its group.
    ///
    /// # Errors
    /// The settings are wrong, or a topic of which all partitions are wanted is not there.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves nothing behind.
    pub async fn build(self) -> Result<Consumer> {
        let settings = Settings::of(&self.config)?;
        if !self.topics.is_empty() && !self.places.is_empty() {
            return Err(ConfigError::Contradiction {
                name: "subscribe",
                other: "assign",
                reason: "either the group chooses the partitions, or the application",
            }
            .into());
        }
        let subscription = match self.topics.as_slice() {
            [] => None,
            topics => {
                let protocol = self.config.get(&keys::GROUP_PROTOCOL);
                Some(Subscription::parse(topics.iter().cloned(), protocol)?)
            }
        };
        let group = Group::of(&self.config, subscription)?.map(Arc::new);
        let mut places = Vec::new();
        for (topic, partition, start) in self.places {
            match partition {
                Some(partition) => places.push((topic, partition, start)),
                None => places.extend(partitions(&self.kafka, &topic, start).await?),
            }
        }
        let shared = Arc::new(Shared::new(self.kafka, settings, group.clone(), self.interceptors));
        {
            let mut assignment = shared.assignment();
            assignment.assign(places, clock::now());
            assignment.polled(clock::now());
        }
        let tasks = TaskGroup::new("consumer");
        tasks.spawn("lead", fetcher::lead(Arc::clone(&shared), tasks.clone()));
        tasks.spawn("begin", offsets::begin(Arc::clone(&shared), tasks.stopping()));
        if let Some(group) = group {
            let committer = group.auto_commit.map(|interval| {
                let shared = Arc::clone(&shared);
                tasks.spawn("commit", offsets::commit_always(shared, interval, tasks.stopping()))
            });
            if group.subscribes() {
                let (shared, stopping) = (Arc::clone(&shared), tasks.stopping());
                let member = group::run(shared, group, self.config, stopping, committer);
                tasks.spawn("member", member);
            }
        }
        Ok(Consumer::new(shared, tasks))
    }
}

/// All partitions of a topic, each with this start.
async fn partitions(kafka: &Kafka, topic: &Str, start: Start) -> Result<Vec<(Str, i32, Start)>> {
    let found = kafka.topic(topic).await?;
    Ok(found.partitions.iter().map(|partition| (topic.clone(), partition.index, start)).collect())
}
