//! One marker on its way to one partition.

use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Outcome;

use crate::group::OFFSETS_TOPIC;
use crate::group::shard::command::Command;
use crate::node::Node;
use crate::partition::{Commit, Marker};
use crate::shard::Asked;

/// A marker that has its place, or that has none.
pub(crate) enum Marking {
    /// It has its place in the log.
    Begun(Commit),
    /// It is for a partition of groups, whose coordinator writes it.
    Asked(Asked<()>),
    /// The partition does not take it.
    Refused(ErrorCode),
}

impl Marking {
    /// Begins to write a marker. Its place in its partition is fixed when this returns.
    pub(crate) async fn begin(
        node: &Arc<Node>,
        (topic, index): (&str, i32),
        marker: Marker,
        outcome: Outcome,
    ) -> Self {
        let found = node.topics.by_name(topic);
        let Some(partition) = found.and_then(|topic| topic.partition(index)) else {
            return Self::Refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        if topic == OFFSETS_TOPIC {
            let command = |answer| Command::EndTransaction(marker, outcome, answer);
            return Self::Asked(node.groups.shards.ask_partition(node, index, command).await);
        }
        match partition.mark(&marker, outcome, node.clock.now_ms()) {
            Ok(commit) => Self::Begun(commit),
            Err(rejection) => Self::Refused(rejection.code),
        }
    }

    /// Waits until it is durable.
    ///
    /// # Errors
    /// The partition does not take it, or could not keep it.
    pub(crate) async fn end(self) -> Result<(), ErrorCode> {
        match self {
            Self::Begun(commit) => commit.await,
            Self::Asked(asked) => asked.answer().await,
            Self::Refused(code) => Err(code),
        }
    }
}
