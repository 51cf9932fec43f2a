//! DescribeTopicPartitions: says who leads which partitions, page by page. Version 0.
//!
//! - Topics come in the order of their names, whatever the order of the request, and each once.
//! - An answer holds at most so many partitions as the client and
//!   `max.request.partition.size.limit` allow, and at least one. A cursor says where the next
//!   request shall begin; what lies before it is passed over.
//! - Replicas that may lead although they are not in sync: none, as there is one replica.

use std::collections::BTreeSet;

use klamm_protocol::api::describe_topic_partitions::{
    Cursor, PartitionAnswer, Request, Response, Topic as Wanted, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::operations;
use crate::catalog::check_topic_name;
use crate::partition::Partition;
use crate::server::{Call, Reply};
use crate::topics::{Topic, is_internal};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    if let Some(cursor) = &request.cursor
        && !is_fit(cursor, &request.topics)
    {
        return Reply::Now(refuse(request.topics));
    }
    let limit = call.node.config().requests.described_partitions_max;
    let asked = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let wants_all = request.topics.is_empty();
    let names: BTreeSet<Str> = if wants_all {
        call.node.topics.all().iter().map(|topic| topic.name.clone()).collect()
    } else {
        request.topics.into_iter().map(|topic| topic.name).collect()
    };
    let mut page = Page { call, room: limit.min(asked).max(1), response: Response::default() };
    let begin = request.cursor.unwrap_or_default();
    for name in names.into_iter().filter(|name| *name >= begin.topic_name) {
        let first = if name == begin.topic_name { begin.partition_index } else { 0 };
        page.add(name, first, wants_all);
        if page.response.next_cursor.is_some() {
            break;
        }
    }
    Reply::Now(page.response)
}

/// Whether a page may begin there: at a partition of a topic that is asked for.
fn is_fit(cursor: &Cursor, topics: &[Wanted]) -> bool {
    let is_asked_for = topics.iter().any(|topic| topic.name == cursor.topic_name);
    cursor.partition_index >= 0 && (topics.is_empty() || is_asked_for)
}

fn refuse(topics: Vec<Wanted>) -> Response {
    let refuse = |topic: Wanted| TopicAnswer {
        error_code: ErrorCode::INVALID_REQUEST,
        name: Some(topic.name),
        ..TopicAnswer::default()
    };
    Response { topics: topics.into_iter().map(refuse).collect(), ..Response::default() }
}

/// An answer that fills up.
struct Page {
    call: Call,
    /// Partitions for which there is room.
    room: usize,
    response: Response,
}

impl Page {
    /// Adds a topic from one of its partitions on, or says that it begins the next page.
    fn add(&mut self, name: Str, first: i32, skips_unknown: bool) {
        if self.room == 0 {
            let partition_index = 0;
            self.response.next_cursor = Some(Cursor { topic_name: name, partition_index });
            return;
        }
        match self.call.node.topics.by_name(&name) {
            Some(topic) => self.add_known(&topic, first),
            // It was deleted a moment ago.
            None if skips_unknown => {}
            None => self.response.topics.push(unknown(name)),
        }
    }

    fn add_known(&mut self, topic: &Topic, first: i32) {
        let partitions = topic.partitions();
        let from_first = partitions.iter().filter(|partition| partition.index >= first);
        let mut rest = from_first.peekable();
        let answers: Vec<_> =
            rest.by_ref().take(self.room).map(|partition| self.partition(partition)).collect();
        self.room -= answers.len();
        if let Some(next) = rest.peek() {
            let (topic_name, partition_index) = (topic.name.clone(), next.index);
            self.response.next_cursor = Some(Cursor { topic_name, partition_index });
        }
        self.response.topics.push(TopicAnswer {
            name: Some(topic.name.clone()),
            topic_id: topic.id,
            is_internal: is_internal(&topic.name),
            partitions: answers,
            topic_authorized_operations: operations::TOPIC,
            ..TopicAnswer::default()
        });
    }

    fn partition(&self, partition: &Partition) -> PartitionAnswer {
        let leader = self.call.node.id();
        PartitionAnswer {
            error_code: ErrorCode::NONE,
            partition_index: partition.index,
            leader_id: leader,
            leader_epoch: partition.leader_epoch(),
            replica_nodes: vec![leader],
            isr_nodes: vec![leader],
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            offline_replicas: Vec::new(),
        }
    }
}

fn unknown(name: Str) -> TopicAnswer {
    let error_code = check_topic_name(&name)
        .map_or(ErrorCode::INVALID_TOPIC_EXCEPTION, |()| ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let is_internal = is_internal(&name);
    TopicAnswer {
        error_code,
        name: Some(name),
        is_internal,
        topic_authorized_operations: operations::TOPIC,
        ..TopicAnswer::default()
    }
}
