//! Metadata: says which brokers there are, and who leads which partitions. Versions 0 to 13.
//!
//! - A topic that is missing is made, if the client and `auto.create.topics.enable` allow it;
//!   never when all topics are asked for. It is there when the answer comes.
//! - Clients are told the address of the listener that they came in by.
//! - Topics are looked up by id from version 12 on. Where some are asked for by id, those asked
//!   for by name are passed over, as in Kafka.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use klamm_protocol::api::metadata::{
    Broker, PartitionAnswer, Request, Response, Topic as Wanted, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use super::operations;
use crate::catalog::check_topic_name;
use crate::partition::Partition;
use crate::server::{Call, Reply};
use crate::topics::{Topic, is_internal};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    if let Some(refusal) = refuse(call.version, request.topics.as_deref().unwrap_or_default()) {
        return Reply::Now(refusal);
    }
    let with_operations = request.include_topic_authorized_operations;
    let mut topics = match &request.topics {
        None => all(&call),
        Some(wanted) if wanted.is_empty() && call.version == 0 => all(&call),
        Some(wanted) => some(&call, wanted, request.allow_auto_topic_creation).await,
    };
    if with_operations {
        for topic in topics.iter_mut().filter(|topic| topic.error_code.is_none()) {
            topic.topic_authorized_operations = operations::TOPIC;
        }
    }
    let node = &call.node;
    let advertised = &call.peer.advertised;
    let broker = Broker {
        node_id: node.id(),
        host: advertised.host.as_str().into(),
        port: i32::from(advertised.port),
        rack: node.config().rack.as_deref().map(Into::into),
    };
    Reply::Now(Response {
        brokers: vec![broker],
        cluster_id: Some(node.cluster_id()),
        controller_id: node.id(),
        topics,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            operations::CLUSTER
        } else {
            operations::NOT_ASKED
        },
        ..Response::default()
    })
}

fn all(call: &Call) -> Vec<TopicAnswer> {
    call.node.topics.all().iter().map(|topic| describe(call, topic)).collect()
}

/// Kafka fails the whole request for a topic that is named in a way its version does not know.
fn refuse(version: i16, wanted: &[Wanted]) -> Option<Response> {
    let is_nameless = |topic: &Wanted| topic.name.is_none() && topic.topic_id.is_zero();
    let is_unfit = |topic: &Wanted| topic.name.is_none() || !topic.topic_id.is_zero();
    let error_code = if version >= 12 && wanted.iter().any(is_nameless) {
        ErrorCode::UNKNOWN_SERVER_ERROR
    } else if version < 12 && wanted.iter().any(is_unfit) {
        ErrorCode::INVALID_REQUEST
    } else {
        return None;
    };
    let refuse = |topic: &Wanted| TopicAnswer {
        error_code,
        name: Some(topic.name.clone().unwrap_or_default()),
        topic_id: topic.topic_id,
        ..TopicAnswer::default()
    };
    Some(Response {
        topics: wanted.iter().map(refuse).collect(),
        error_code,
        ..Response::default()
    })
}

async fn some(call: &Call, wanted: &[Wanted], may_create: bool) -> Vec<TopicAnswer> {
    let ids = wanted.iter().map(|topic| topic.topic_id).filter(|id| !id.is_zero());
    let mut seen = HashSet::new();
    let by_id: Vec<_> = ids.filter(|id| seen.insert(*id)).map(|id| one_by_id(call, id)).collect();
    if !by_id.is_empty() {
        return by_id;
    }
    let mut seen = HashSet::new();
    let names = wanted.iter().filter_map(|topic| topic.name.as_ref());
    let names: Vec<&Str> = names.filter(|name| seen.insert(*name)).collect();
    let refused = if may_create { make_missing(call, &names).await } else { HashMap::new() };
    names.into_iter().map(|name| one_by_name(call, name, &refused)).collect()
}

/// Makes the topics that are not there, if the settings say so; why some were not made.
async fn make_missing(call: &Call, names: &[&Str]) -> HashMap<Str, ErrorCode> {
    let node = &call.node;
    if !node.config().auto_create_topics {
        return HashMap::new();
    }
    let is_missing =
        |name: &&&Str| node.topics.by_name(name).is_none() && check_topic_name(name).is_ok();
    let missing: Vec<Str> = names.iter().filter(is_missing).map(|name| (*name).clone()).collect();
    if missing.is_empty() {
        return HashMap::new();
    }
    let made = node.auto_create_all(&missing).await;
    let refused = missing.into_iter().zip(made);
    refused.filter_map(|(name, made)| Some((name, made.err()?))).collect()
}

fn one_by_id(call: &Call, topic_id: Uuid) -> TopicAnswer {
    match call.node.topics.by_id(topic_id) {
        Some(topic) => describe(call, &topic),
        None => TopicAnswer {
            error_code: ErrorCode::UNKNOWN_TOPIC_ID,
            name: None,
            topic_id,
            ..TopicAnswer::default()
        },
    }
}

fn one_by_name(call: &Call, name: &Str, refused: &HashMap<Str, ErrorCode>) -> TopicAnswer {
    if let Some(topic) = call.node.topics.by_name(name) {
        return describe(call, &topic);
    }
    let error_code = match refused.get(name) {
        Some(code) => *code,
        None if check_topic_name(name).is_err() => ErrorCode::INVALID_TOPIC_EXCEPTION,
        None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    };
    TopicAnswer {
        error_code,
        name: Some(name.clone()),
        is_internal: is_internal(name),
        ..TopicAnswer::default()
    }
}

fn describe(call: &Call, topic: &Topic) -> TopicAnswer {
    let leader = call.node.id();
    let partitions = topic.partitions();
    let partition = |partition: &Arc<Partition>| PartitionAnswer {
        error_code: ErrorCode::NONE,
        partition_index: partition.index,
        leader_id: leader,
        leader_epoch: partition.leader_epoch(),
        replica_nodes: vec![leader],
        isr_nodes: vec![leader],
        offline_replicas: Vec::new(),
    };
    TopicAnswer {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: partitions.iter().map(partition).collect(),
        ..TopicAnswer::default()
    }
}
