//! DescribeQuorum: says who keeps the metadata log. Versions 0 to 2.
//!
//! This broker alone does: it is the only voter and always in sync. Kafka knows one log of this
//! kind, and refuses every partition of a request that names anything else.

use klamm_protocol::api::describe_quorum::{
    Listener, Node, Partition, PartitionAnswer, Replica, Request, Response, Topic, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::catalog::METADATA_TOPIC;
use crate::server::{Call, Reply};

/// What Kafka's own configurations call the listener of the controllers.
const LISTENER: Str = Str::from_static("CONTROLLER");

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let names_the_log = match request.topics.as_slice() {
        [topic] => {
            topic.topic_name == METADATA_TOPIC
                && matches!(topic.partitions.as_slice(), [Partition { partition_index: 0 }])
        }
        _ => false,
    };
    // Where nothing is wrong, Kafka says so with an empty text.
    let error_message = Some(Str::default());
    let response = if names_the_log {
        let partitions = vec![describe(&call)];
        let topics = vec![TopicAnswer { topic_name: METADATA_TOPIC.into(), partitions }];
        Response { topics, nodes: vec![node(&call)], error_message, ..Response::default() }
    } else {
        let topics = request.topics.into_iter().map(refuse).collect();
        Response { topics, error_message, ..Response::default() }
    };
    Reply::Now(response)
}

fn describe(call: &Call) -> PartitionAnswer {
    let (node, now_ms) = (&call.node, call.node.clock.now_ms());
    let log = node.catalog.log();
    let voter = Replica {
        replica_id: node.id(),
        log_end_offset: log.end,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
        ..Replica::default()
    };
    PartitionAnswer {
        error_message: Some(Str::default()),
        leader_id: node.id(),
        leader_epoch: log.leader_epoch,
        high_watermark: log.high_watermark,
        current_voters: vec![voter],
        ..PartitionAnswer::default()
    }
}

fn node(call: &Call) -> Node {
    let advertised = &call.peer.advertised;
    let host = advertised.host.as_str().into();
    let listener = Listener { name: LISTENER, host, port: advertised.port };
    Node { node_id: call.node.id(), listeners: vec![listener] }
}

fn refuse(topic: Topic) -> TopicAnswer {
    let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let refuse = |partition: Partition| PartitionAnswer {
        partition_index: partition.partition_index,
        error_code,
        error_message: Some("This server does not host this topic-partition.".into()),
        ..PartitionAnswer::default()
    };
    let partitions = topic.partitions.into_iter().map(refuse).collect();
    TopicAnswer { topic_name: topic.topic_name, partitions }
}
