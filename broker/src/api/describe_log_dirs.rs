//! DescribeLogDirs: tells the folder that holds the logs, what they take, and what is left of the
//! disk. Versions 1 to 5.
//!
//! - There is one folder. A topic or partition that is not there is left out.
//! - A log is never behind, and never on its way to another folder.

use std::collections::{BTreeMap, HashSet};
use std::path::absolute;

use klamm_protocol::api::describe_log_dirs::{
    DirAnswer, PartitionAnswer, Request, Response, Topic as Wanted, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_storage::disk::Space;

use crate::node::Node;
use crate::partition::Partition;
use crate::server::{Call, Reply};
use crate::topics::Topic;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let node = &call.node;
    let topics = match request.topics {
        None => node.topics.all().iter().map(|topic| describe(topic, |_| true)).collect(),
        Some(wanted) => some(node, wanted),
    };
    let mut answer = DirAnswer { log_dir: log_dir(node), topics, ..DirAnswer::default() };
    match space(node).await {
        Ok(Space { total, free }) => {
            answer.total_bytes = bytes(total);
            answer.usable_bytes = bytes(free);
        }
        Err(error_code) => answer = DirAnswer { error_code, topics: Vec::new(), ..answer },
    }
    Reply::Now(Response { results: vec![answer], ..Response::default() })
}

/// The folder, as clients are told it.
pub(super) fn log_dir(node: &Node) -> Str {
    let dir = node.storage.dir();
    let dir = absolute(dir).unwrap_or_else(|_| dir.to_owned());
    dir.to_string_lossy().into_owned().into()
}

/// What the client names, once each.
fn some(node: &Node, wanted: Vec<Wanted>) -> Vec<TopicAnswer> {
    let mut by_name: BTreeMap<Str, HashSet<i32>> = BTreeMap::new();
    for topic in wanted {
        by_name.entry(topic.topic).or_default().extend(topic.partitions);
    }
    let found = by_name.into_iter().filter_map(|(name, indexes)| {
        let topic = node.topics.by_name(&name)?;
        Some(describe(&topic, |index| indexes.contains(&index)))
    });
    found.filter(|topic| !topic.partitions.is_empty()).collect()
}

fn describe(topic: &Topic, is_wanted: impl Fn(i32) -> bool) -> TopicAnswer {
    let answer = |partition: &Partition| PartitionAnswer {
        partition_index: partition.index,
        partition_size: bytes(partition.size_bytes()),
        offset_lag: 0,
        is_future_key: false,
    };
    let partitions = topic.partitions();
    let wanted = partitions.iter().filter(|partition| is_wanted(partition.index));
    TopicAnswer {
        name: topic.name.clone(),
        partitions: wanted.map(|partition| answer(partition)).collect(),
    }
}

async fn space(node: &Node) -> Result<Space, ErrorCode> {
    let storage = node.storage.clone();
    let asked = tokio::task::spawn_blocking(move || storage.space()).await;
    match asked {
        Ok(Ok(space)) => Ok(space),
        Ok(Err(error)) => {
            tracing::error!(%error, "the data folder does not answer");
            Err(ErrorCode::KAFKA_STORAGE_ERROR)
        }
        Err(error) => {
            tracing::error!(%error, "asking for the space on the disk panicked");
            Err(ErrorCode::UNKNOWN_SERVER_ERROR)
        }
    }
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
