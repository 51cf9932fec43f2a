//! Transactions: records in several partitions, and offsets of groups, that count together or not
//! at all.
//!
//! ```text
//! api/transactions ─ Shards::ask ─▶ shard ─┬─ machine   one transactional id
//!                                          ├─ records ─▶ a partition of __transaction_state
//!                                          └─ markers ─▶ the partitions that took part
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

use klamm_protocol::wire::Str;

use self::shard::Actor;
use crate::catalog::NewTopic;
use crate::config::TransactionConfig;
use crate::shard::Shards;

/// The topic that keeps transactions.
pub(crate) const STATE_TOPIC: &str = "__transaction_state";

/// The smallest segment that a topic may have.
const SEGMENT_BYTES_MIN: u32 = 1 << 20;

/// All transactional ids: who is asked about them.
pub(crate) type Transactions = Shards<Actor>;

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
