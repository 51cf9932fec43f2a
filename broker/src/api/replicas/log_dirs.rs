//! AlterReplicaLogDirs: moves replicas to other folders of the same broker. Versions 1 and 2.
//!
//! There is one folder: who asks for it has what they want, any other is unknown.

use std::collections::HashMap;

use klamm_protocol::api::alter_replica_log_dirs::{
    PartitionAnswer, Request, Response, Topic, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::api::describe_log_dirs::log_dir;
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let own = log_dir(&call.node);
    let mut results: Vec<TopicAnswer> = Vec::new();
    let mut places: HashMap<Str, usize> = HashMap::new();
    for dir in request.dirs {
        let is_own = dir.path == own;
        for topic in dir.topics {
            let partitions = answer(&call, &topic, is_own);
            let place = *places.entry(topic.name.clone()).or_insert(results.len());
            match results.get_mut(place) {
                Some(told) => told.partitions.extend(partitions),
                None => results.push(TopicAnswer { topic_name: topic.name, partitions }),
            }
        }
    }
    Reply::Now(Response { results, ..Response::default() })
}

fn answer(call: &Call, wanted: &Topic, is_own: bool) -> Vec<PartitionAnswer> {
    let topic = call.node.topics.by_name(&wanted.name);
    let answer = |partition_index: &i32| {
        let exists = topic.as_ref().is_some_and(|it| it.partition(*partition_index).is_some());
        let error_code = match (is_own, exists) {
            (false, _) => ErrorCode::LOG_DIR_NOT_FOUND,
            (true, false) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            (true, true) => ErrorCode::NONE,
        };
        PartitionAnswer { partition_index: *partition_index, error_code }
    };
    wanted.partitions.iter().map(answer).collect()
}
