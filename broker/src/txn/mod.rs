//! Transactions: records in several partitions, and offsets of groups, that count together or not
//! at all.
//!
//! ```text
//! api/transactions ─ Transactions::ask ─▶ shard ─┬─ machine   one transactional id
//!                                                ├─ records ─▶ a partition of __transaction_state
//!                                                └─ markers ─▶ the partitions that took part
//! ```
//!
//! A transactional id belongs to the partition of `__transaction_state` that Java's hash of it
//! says, and that partition to one `shard`: a task that owns its ids and is asked through a
//! mailbox.
//!
//! `__transaction_state` is made when a coordinator is first asked for. At a start, the partitions
//! that hold records are read, and the ends of transactions that were decided are told.

pub(crate) mod inclusion;
pub(crate) mod machine;
pub(crate) mod marking;
pub mod records;
pub(crate) mod shard;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klamm_protocol::wire::Str;

use self::shard::Shard;
use self::shard::command::Command;
use crate::catalog::NewTopic;
use crate::config::TransactionConfig;
use crate::node::Node;
use crate::shard::{Answer, Asked, partition_of};
use crate::topics::Topic;

/// The topic that keeps transactions.
pub(crate) const STATE_TOPIC: &str = "__transaction_state";

/// The smallest segment that a topic may have.
const SEGMENT_BYTES_MIN: u32 = 1 << 20;

/// The shards that run.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// By partition. Guarded by a lock that is held for a look-up or to start a task.
    shards: Mutex<HashMap<i32, Shard>>,
}

impl Transactions {
    /// Starts the shards whose partitions hold records.
    pub(crate) fn start(&self, node: &Arc<Node>) {
        let Some(topic) = node.topics.by_name(STATE_TOPIC) else { return };
        for partition in topic.partitions().iter() {
            if partition.offsets().end.get() > partition.offsets().start.get() {
                self.shard(node, &topic, partition.index);
            }
        }
    }

    /// Asks the shard of a transactional id. Its order against later commands is fixed when this
    /// returns.
    pub(crate) async fn ask<T>(
        &self,
        node: &Arc<Node>,
        transactional_id: &str,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Asked<T> {
        let topic = node.topics.by_name(STATE_TOPIC);
        let shard = topic.and_then(|topic| {
            let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
            self.shard(node, &topic, partition_of(transactional_id, count)?)
        });
        match shard {
            Some(shard) => ask(&shard, command).await,
            None => Asked::nobody(),
        }
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

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Shard>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask<T>(shard: &Shard, command: impl FnOnce(Answer<T>) -> Command) -> Asked<T> {
    let (answer, asked) = Asked::somebody();
    shard.send(command(answer)).await;
    asked
}

/// The topic that keeps transactions, as it is made.
pub(crate) fn state_topic(config: &TransactionConfig) -> NewTopic {
    let set = |key: &'static str, value: &str| (Str::from_static(key), Some(value.into()));
    let segment_bytes = config.topic_segment_bytes.max(SEGMENT_BYTES_MIN).to_string();
    NewTopic {
        partitions: config.topic_partitions,
        replication_factor: 1,
        configs: vec![
            set("cleanup.policy", "compact"),
            set("compression.type", "uncompressed"),
            set("min.insync.replicas", "1"),
            set("segment.bytes", &segment_bytes),
            set("unclean.leader.election.enable", "false"),
        ],
        ..NewTopic::named(Str::from_static(STATE_TOPIC))
    }
}
