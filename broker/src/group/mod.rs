//! Consumer groups: who is in them, and how far they have read.
//!
//! ```text
//! api/groups, api/offsets ─ Groups::ask ─▶ shard ─┬─ classic   the group protocol
//!                                                 ├─ offsets   what was committed
//!                                                 └─ records ─▶ a partition of __consumer_offsets
//! ```
//!
//! A group belongs to the partition of `__consumer_offsets` that Java's hash of its id says, and
//! that partition to one `shard`: a task that owns its groups and is asked through a mailbox.
//! The order of a connection's requests is fixed once its command is in the mailbox.
//!
//! `__consumer_offsets` is made when a coordinator is first asked for. At a start, the partitions
//! that hold records are read; until that is done, who asks is told to come back.

pub(crate) mod classic;
pub(crate) mod consumer;
pub(crate) mod kind;
pub(crate) mod offsets;
pub mod records;
pub(crate) mod shard;
mod wake;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use klamm_protocol::wire::{Str, Uuid};

use self::classic::{Limits, Token};
use self::consumer::{Assignor, Topics};
use self::shard::Shard;
use self::shard::command::{Answer, Command};
use crate::catalog::{Image, NewTopic};
use crate::config::{GroupConfig, Values};
use crate::node::Node;
use crate::partition::Partition;
use crate::shard::{Asked, partition_of};
use crate::topics::Topic;

/// The topic that keeps groups and their offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The smallest segment that a topic may have.
const SEGMENT_BYTES_MIN: u32 = 1 << 20;

/// The shards that run.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// By partition. Guarded by a lock that is held for a look-up or to start a task.
    shards: Mutex<HashMap<i32, Shard>>,
    /// The topics as groups see them. Guarded by a lock that is held to compare and replace them.
    topics: Mutex<SeenTopics>,
    last_token: AtomicU64,
}

/// The topics of an image.
#[derive(Debug, Default)]
struct SeenTopics {
    image: Arc<Image>,
    topics: Arc<Topics>,
}

impl Groups {
    /// Starts the shards whose partitions hold records.
    pub(crate) fn start(&self, node: &Arc<Node>) {
        let Some(topic) = node.topics.by_name(OFFSETS_TOPIC) else { return };
        for partition in topic.partitions().iter() {
            if partition.offsets().end.get() > partition.offsets().start.get() {
                self.shard(node, &topic, partition.index);
            }
        }
    }

    /// The topics of an image, the same ones until they change.
    pub(crate) fn topics(&self, image: &Arc<Image>) -> Arc<Topics> {
        let mut seen = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&seen.image, image) {
            if let Some(topics) = seen.topics.follow(image) {
                seen.topics = Arc::new(topics);
            }
            seen.image = Arc::clone(image);
        }
        Arc::clone(&seen.topics)
    }

    /// Stands for one who waits for the answer to a join or a sync.
    pub(crate) fn next_token(&self) -> Token {
        Token(self.last_token.fetch_add(1, Ordering::Relaxed))
    }

    /// Asks the shard of a group. Its order against later commands is fixed when this returns.
    pub(crate) async fn ask<T>(
        &self,
        node: &Arc<Node>,
        group: &str,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Asked<T> {
        let topic = node.topics.by_name(OFFSETS_TOPIC);
        let shard = topic.and_then(|topic| {
            let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
            self.shard(node, &topic, partition_of(group, count)?)
        });
        match shard {
            Some(shard) => ask(&shard, command).await,
            None => Asked::nobody(),
        }
    }

    /// Asks the shard of a partition of the topic that keeps groups; nobody if there is none.
    pub(crate) async fn ask_partition<T>(
        &self,
        node: &Arc<Node>,
        index: i32,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Asked<T> {
        let topic = node.topics.by_name(OFFSETS_TOPIC);
        match topic.and_then(|topic| self.shard(node, &topic, index)) {
            Some(shard) => ask(&shard, command).await,
            None => Asked::nobody(),
        }
    }

    /// The partition of the topic that keeps groups to which a group belongs, if it is there.
    pub(crate) fn partition(&self, node: &Node, group: &str) -> Option<Arc<Partition>> {
        let topic = node.topics.by_name(OFFSETS_TOPIC)?;
        let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
        topic.partition(partition_of(group, count)?)
    }

    /// Asks every shard that runs.
    pub(crate) async fn ask_all<T>(&self, command: impl Fn(Answer<T>) -> Command) -> Vec<Asked<T>> {
        let shards: Vec<Shard> = self.lock().values().cloned().collect();
        let mut asked = Vec::with_capacity(shards.len());
        for shard in &shards {
            asked.push(ask(shard, &command).await);
        }
        asked
    }

    /// Forgets what was committed for topics that are gone, and every group if it was theirs.
    pub(crate) async fn topics_deleted(&self, topics: &[(Str, Uuid)]) {
        self.lock().retain(|_, shard| !shard.is_removed());
        for (name, id) in topics {
            // It happens in the order of the mailbox; nobody waits until it is durable.
            let deleted = |answer| Command::TopicDeleted(name.clone(), *id, answer);
            drop(self.ask_all(deleted).await);
        }
    }

    fn shard(&self, node: &Arc<Node>, topic: &Topic, index: i32) -> Option<Shard> {
        let partition = topic.partition(index)?;
        let mut shards = self.lock();
        if let Some(shard) = shards.get(&index).filter(|shard| shard.serves(&partition)) {
            return Some(shard.clone());
        }
        let shard = Shard::start(node, partition);
        shards.insert(index, shard.clone());
        Some(shard)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i32, Shard>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask<T>(shard: &Shard, command: impl FnOnce(Answer<T>) -> Command) -> Asked<T> {
    let (answer, asked) = Asked::somebody();
    shard.send(command(answer)).await;
    asked
}

impl From<&GroupConfig> for Limits {
    fn from(config: &GroupConfig) -> Self {
        Self {
            session_min: config.session_min,
            session_max: config.session_max,
            initial_delay: config.initial_delay,
            size_max: config.size_max,
            record_bytes_max: record_bytes_max(config),
        }
    }
}

/// A record is in one segment, with some of its batch around it.
fn record_bytes_max(config: &GroupConfig) -> usize {
    let bytes = config.topic_segment_bytes.max(SEGMENT_BYTES_MIN) / 2;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl consumer::Limits {
    /// What holds for a group on which this was set.
    pub(crate) fn new(config: &GroupConfig, own: &Values) -> Self {
        let record_bytes_max = record_bytes_max(config);
        let config = config.consumer.with(own);
        let named = config.assignors.iter().find_map(|name| Assignor::named(name));
        Self {
            session_timeout: config.session_timeout,
            assignment_interval: config.assignment_interval,
            size_max: config.size_max,
            assignor: named.unwrap_or(Assignor::Uniform),
            record_bytes_max,
        }
    }
}

/// The topic that keeps groups, as it is made.
pub(crate) fn offsets_topic(config: &GroupConfig) -> NewTopic {
    let set = |key: &'static str, value: &str| (Str::from_static(key), Some(value.into()));
    let segment_bytes = config.topic_segment_bytes.max(SEGMENT_BYTES_MIN).to_string();
    NewTopic {
        partitions: config.topic_partitions,
        replication_factor: 1,
        configs: vec![
            set("cleanup.policy", "compact"),
            set("compression.type", "producer"),
            set("segment.bytes", &segment_bytes),
        ],
        ..NewTopic::named(Str::from_static(OFFSETS_TOPIC))
    }
}
