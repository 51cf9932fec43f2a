//! Consumer groups: who is in them, and how far they have read.
//!
//! ```text
//! api/groups, api/offsets ─ Shards::ask ─▶ shard ─┬─ classic   the group protocol
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

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use klamm_protocol::wire::{Str, Uuid};

use self::classic::{Limits, Token};
use self::consumer::{Assignor, Topics};
use self::shard::Actor;
use self::shard::command::{Command, Deleted};
use crate::catalog::{Image, NewTopic};
use crate::config::{GroupConfig, Values};
use crate::shard::Shards;

/// The topic that keeps groups and their offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The smallest segment that a topic may have.
const SEGMENT_BYTES_MIN: u32 = 1 << 20;

/// All groups.
#[derive(Default)]
pub(crate) struct Groups {
    /// Who is asked about them.
    pub(crate) shards: Shards<Actor>,
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

    /// Forgets what was committed for topics that are gone, and every group if it was theirs.
    pub(crate) async fn topics_deleted(&self, topics: &[(Str, Uuid)]) {
        self.shards.forget_removed();
        let deleted = Arc::new(Deleted::of(topics));
        // It happens in the order of the mailbox; nobody waits until it is durable.
        let forget = |answer| Command::TopicsDeleted(Arc::clone(&deleted), answer);
        drop(self.shards.ask_all(forget).await);
    }
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

/// What may be stored at once: half a segment, as the topic is made.
pub(crate) fn record_bytes_max(config: &GroupConfig) -> usize {
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
