//! OffsetFetch: tells how far groups have read. Versions 1 to 10; many groups from version 8 on,
//! topics by id in version 10.
//!
//! - A partition without a commit is answered with -1 and no error, whether it exists or not.
//! - Groups of the consumer protocol refuse members that say another epoch than theirs (version 9).
//!   Others refuse nobody: also who is no member may ask, as in Kafka.
//! - Version 1 has no error for the group: each partition says it.
//! - A group or a partition that is named twice is answered once.

use std::collections::HashSet;

use klamm_protocol::api::offset_fetch::{
    Group, GroupAnswer, GroupPartitionAnswer, GroupTopic, GroupTopicAnswer, PartitionAnswer,
    Request, Response, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use crate::api::once;
use crate::group::offsets::Committed;
use crate::group::shard::command::{Asker, Command, FetchedTopic, Stability, Wanted};
use crate::node::Node;
use crate::server::{Call, Reply};
use crate::shard::Asked;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let version = call.version;
    let groups = match version {
        ..8 => vec![only_group(&request)],
        _ => request.groups,
    };
    let stability = if request.require_stable { Stability::Required } else { Stability::Any };
    let mut asked = Vec::with_capacity(groups.len());
    for group in once(groups, |group| group.group_id.clone()) {
        asked.push(ask(&call, group, stability).await);
    }
    Reply::later(async move {
        let mut answers = Vec::with_capacity(asked.len());
        for one in asked {
            answers.push(one.answer(&call).await);
        }
        match version {
            ..8 => respond_to_one(version, answers.pop().unwrap_or_default()),
            _ => Response { groups: answers, ..Response::default() },
        }
    })
}

/// The group of a request up to version 7.
fn only_group(request: &Request) -> Group {
    let topics = request.topics.iter().flatten().map(|topic| GroupTopic {
        name: topic.name.clone(),
        partition_indexes: topic.partition_indexes.clone(),
        ..GroupTopic::default()
    });
    let topics = request.topics.is_some().then(|| topics.collect());
    Group { group_id: request.group_id.clone(), topics, ..Group::default() }
}

/// A group that was asked, and what the answer will be made of besides.
struct AskedGroup {
    group: Str,
    /// As they were asked for; none for all.
    topics: Option<Vec<GroupTopic>>,
    offsets: Asked<Vec<FetchedTopic>>,
}

async fn ask(call: &Call, group: Group, stability: Stability) -> AskedGroup {
    let Group { group_id: group, member_id, member_epoch: epoch, topics } = group;
    let asker = Asker { member_id, epoch, stability };
    let node = &call.node;
    let wanted = match &topics {
        None => Wanted::All,
        Some(topics) => {
            let mut seen = HashSet::new();
            let named = topics.iter().filter_map(|topic| {
                let name = name_of(node, call.version, topic)?;
                let indexes = topic.partition_indexes.iter().copied();
                let indexes = indexes.filter(|index| seen.insert((name.clone(), *index)));
                Some((name.clone(), indexes.collect()))
            });
            Wanted::These(named.collect())
        }
    };
    let command = |answer| Command::Fetch(group.clone(), asker, wanted, answer);
    let offsets = node.groups.shards.ask(node, &group, command).await;
    AskedGroup { group, topics, offsets }
}

/// Java's consumers before 3.9 take COORDINATOR_NOT_AVAILABLE for the end, where another look for the
/// coordinator is meant (`handleOffsetFetchException` in `GroupCoordinatorService.java`).
fn known_to_all(error_code: ErrorCode) -> ErrorCode {
    match error_code {
        ErrorCode::COORDINATOR_NOT_AVAILABLE => ErrorCode::NOT_COORDINATOR,
        other => other,
    }
}

/// The name of a topic that is asked for; none if its id is not known.
fn name_of(node: &Node, version: i16, topic: &GroupTopic) -> Option<Str> {
    match version {
        ..10 => Some(topic.name.clone()),
        _ => node.topics.by_id(topic.topic_id).map(|topic| topic.name.clone()),
    }
}

impl AskedGroup {
    async fn answer(self, call: &Call) -> GroupAnswer {
        let Self { group: group_id, topics, offsets } = self;
        let fetched = match offsets.answer().await.map_err(known_to_all) {
            Ok(fetched) => fetched,
            Err(error_code) if call.version < 2 => {
                let topics = topics.into_iter().flatten();
                let topics = topics.map(|topic| refused(topic, error_code)).collect();
                return GroupAnswer { group_id, topics, error_code };
            }
            Err(error_code) => {
                return GroupAnswer { group_id, error_code, ..GroupAnswer::default() };
            }
        };
        let by_id = call.version >= 10;
        let told = fetched.into_iter().filter_map(|topic| {
            let known = call.node.topics.by_name(&topic.topic);
            let id = known.map(|known| known.id);
            let topic = of_topic(topic, id);
            // A topic that is gone cannot be named by its id.
            (!by_id || id.is_some()).then(|| tell(topic, id.unwrap_or_default()))
        });
        let mut answers: Vec<GroupTopicAnswer> = told.collect();
        if by_id {
            let unknown = topics.into_iter().flatten();
            let unknown = unknown.filter(|it| call.node.topics.by_id(it.topic_id).is_none());
            answers.extend(unknown.map(|topic| refused(topic, ErrorCode::UNKNOWN_TOPIC_ID)));
        }
        GroupAnswer { group_id, topics: answers, error_code: ErrorCode::NONE }
    }
}

/// Without what was committed for a topic of the same name that is gone: it is forgotten in time.
fn of_topic(mut topic: FetchedTopic, id: Option<Uuid>) -> FetchedTopic {
    for (_, committed) in &mut topic.partitions {
        if let Ok(committed) = committed {
            committed.take_if(|it| it.topic_id().is_some_and(|known| Some(known) != id));
        }
    }
    topic
}

fn tell(topic: FetchedTopic, topic_id: Uuid) -> GroupTopicAnswer {
    type Told = Result<Option<Committed>, ErrorCode>;
    let tell = |(partition_index, committed): (i32, Told)| match committed {
        Err(error_code) => GroupPartitionAnswer { partition_index, error_code, ..nothing() },
        Ok(None) => GroupPartitionAnswer { partition_index, ..nothing() },
        Ok(Some(committed)) => GroupPartitionAnswer {
            partition_index,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            metadata: Some(committed.metadata),
            error_code: ErrorCode::NONE,
        },
    };
    let partitions = topic.partitions.into_iter().map(tell).collect();
    GroupTopicAnswer { name: topic.topic, topic_id, partitions }
}

fn refused(topic: GroupTopic, error_code: ErrorCode) -> GroupTopicAnswer {
    let refuse =
        |partition_index| GroupPartitionAnswer { partition_index, error_code, ..nothing() };
    let partitions = topic.partition_indexes.into_iter().map(refuse).collect();
    GroupTopicAnswer { name: topic.name, topic_id: topic.topic_id, partitions }
}

/// What is told where nothing was committed.
fn nothing() -> GroupPartitionAnswer {
    GroupPartitionAnswer {
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Str::default()),
        ..GroupPartitionAnswer::default()
    }
}

/// The answer up to version 7.
fn respond_to_one(version: i16, group: GroupAnswer) -> Response {
    let partition = |it: GroupPartitionAnswer| PartitionAnswer {
        partition_index: it.partition_index,
        committed_offset: it.committed_offset,
        committed_leader_epoch: it.committed_leader_epoch,
        metadata: it.metadata,
        error_code: it.error_code,
    };
    let topics = group.topics.into_iter().map(|topic| TopicAnswer {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    });
    let error_code = if version < 2 { ErrorCode::NONE } else { group.error_code };
    Response { topics: topics.collect(), error_code, ..Response::default() }
}
