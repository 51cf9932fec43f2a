//! A shard that runs.

use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_storage::disk::MemoryDisk;
use klamm_utils::clock::ManualClock;

use crate::builder::open;
use crate::config::{BrokerConfig, Layers};
use crate::node::Node;
use crate::shard::Answer;
use crate::txn::STATE_TOPIC;
use crate::txn::machine::{Init, Producer};
use crate::txn::shard::command::Command;

/// A broker without a socket, whose transactions are all in one shard.
pub(super) async fn node(disk: &MemoryDisk) -> Arc<Node> {
    let settings =
        [("durability", "os-cached"), ("transaction.state.log.num.partitions", "1")].into_iter();
    let fixed = settings.map(|(name, value)| (name.into(), value.into())).collect();
    let config = BrokerConfig::new(Layers { fixed, ..Layers::default() }).unwrap();
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let node =
        Arc::new(open(Arc::new(config), Arc::new(disk.clone()), clock, Arc::default()).unwrap());
    node.auto_create(&STATE_TOPIC.into()).await.unwrap();
    node
}

/// Asks the shard.
pub(super) async fn ask<T>(
    node: &Arc<Node>,
    command: impl FnOnce(Answer<T>) -> Command,
) -> Result<T, ErrorCode> {
    node.transactions.ask(node, "any", command).await.answer().await
}

/// Gets a producer.
pub(super) async fn init(node: &Arc<Node>, id: &'static str) -> Result<Producer, ErrorCode> {
    let init = Init { known: None, timeout_ms: 60_000 };
    ask(node, |answer| Command::Init(id.into(), init, answer)).await
}
