//! ConsumerGroupHeartbeat: keeps a client in a group of the consumer protocol, and tells it what to
//! read. Versions 0 and 1.
//!
//! - The epoch says what is meant: 0 joins, -1 leaves, -2 leaves for a while (static members), all
//!   others stay.
//! - In version 0 a client may join without an id, and is given one.

use std::time::Duration;

use klamm_protocol::api::consumer_group_heartbeat::{
    Assignment, Request, Response, TopicPartitions,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};
use klamm_utils::random::Random;

use super::join::host;
use crate::catalog::Resource;
use crate::group::consumer::{Beat, Heartbeat, LEFT_FOR_A_WHILE, Leave, Partitions, by_topic};
use crate::group::shard::command::{Command, Refused};
use crate::server::{Call, Reply};

const LEAVES: i32 = -1;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    if let Err(refused) = check(&call, &request) {
        return Reply::Now(refuse(refused));
    }
    match request.member_epoch {
        LEAVES | LEFT_FOR_A_WHILE => leave(call, request).await,
        _ => beat(call, request).await,
    }
}

async fn beat(call: Call, request: Request) -> Reply<Response> {
    let group = request.group_id.clone();
    let heartbeat_interval = heartbeat_interval(&call, &group);
    let beat = translate(&call, request);
    let command = |answer| Command::ConsumerHeartbeat(group.clone(), beat, answer);
    let asked = call.node.groups.shards.ask(&call.node, &group, command).await;
    Reply::later(async move {
        match asked.answer().await {
            Ok(Ok(beat)) => respond(beat, heartbeat_interval),
            Ok(Err(refused)) => refuse(refused),
            Err(error_code) => Response { error_code, ..Response::default() },
        }
    })
}

async fn leave(call: Call, request: Request) -> Reply<Response> {
    let Request { group_id: group, member_id, member_epoch, instance_id, .. } = request;
    let for_a_while = member_epoch == LEFT_FOR_A_WHILE;
    let leave = Leave { member_id: member_id.clone(), instance_id, for_a_while };
    let command = |answer| Command::ConsumerLeave(group.clone(), leave, answer);
    let asked = call.node.groups.shards.ask(&call.node, &group, command).await;
    Reply::later(async move {
        match asked.answer().await {
            Ok(Ok(())) => {
                Response { member_id: Some(member_id), member_epoch, ..Response::default() }
            }
            Ok(Err(refused)) => refuse(refused),
            Err(error_code) => Response { error_code, ..Response::default() },
        }
    })
}

/// Refuses what no group can be asked, in Kafka's words.
fn check(call: &Call, request: &Request) -> Result<(), Refused> {
    let invalid = |message: &str| {
        Err(Refused { code: ErrorCode::INVALID_REQUEST, message: message.to_owned() })
    };
    let is_blank = |text: &Option<Str>| text.as_ref().is_some_and(|text| text.trim().is_empty());
    let (epoch, names_member) = (request.member_epoch, !request.member_id.trim().is_empty());
    if !names_member && (call.version >= 1 || epoch > 0 || epoch == LEAVES) {
        return invalid("MemberId can't be empty.");
    }
    if request.group_id.trim().is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if is_blank(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if is_blank(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    if epoch == 0 {
        check_join(request).or_else(invalid)?;
    } else if epoch == LEFT_FOR_A_WHILE && request.instance_id.is_none() {
        return invalid("InstanceId can't be null.");
    } else if epoch < LEFT_FOR_A_WHILE {
        return invalid("MemberEpoch is invalid.");
    }
    check_assignor(call, request.server_assignor.as_ref())
}

fn check_join(request: &Request) -> Result<(), &'static str> {
    if request.rebalance_timeout_ms == -1 {
        return Err("RebalanceTimeoutMs must be provided in first request.");
    }
    if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
        return Err("TopicPartitions must be empty when (re-)joining.");
    }
    if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        return Err("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
             (re-)joining.");
    }
    Ok(())
}

fn check_assignor(call: &Call, assignor: Option<&Str>) -> Result<(), Refused> {
    let config = call.node.config();
    let supported = &config.groups.consumer.assignors;
    match assignor.filter(|name| !supported.iter().any(|known| known == name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Refused {
            code: ErrorCode::UNSUPPORTED_ASSIGNOR,
            message: format!(
                "ServerAssignor {name} is not supported. Supported assignors: {}.",
                supported.join(", ")
            ),
        }),
    }
}

fn translate(call: &Call, request: Request) -> Heartbeat {
    let timeout_ms = u64::try_from(request.rebalance_timeout_ms).ok();
    let owned = request.topic_partitions.map(|topics| {
        let of_topic = |topic: TopicPartitions| {
            topic.partitions.into_iter().map(move |index| (topic.topic_id, index))
        };
        topics.into_iter().flat_map(of_topic).collect()
    });
    let member_id = match request.member_id.is_empty() {
        true => Uuid(Random::new().uuid()).to_string().into(),
        false => request.member_id,
    };
    Heartbeat {
        member_id,
        epoch: request.member_epoch,
        instance_id: request.instance_id,
        rack_id: request.rack_id,
        client_id: call.client_id.clone(),
        client_host: host(call.peer.address.ip()),
        rebalance_timeout: timeout_ms.map(Duration::from_millis),
        topic_names: request.subscribed_topic_names,
        pattern: request.subscribed_topic_regex,
        assignor: request.server_assignor,
        owned,
        classic: None,
    }
}

fn heartbeat_interval(call: &Call, group: &Str) -> Duration {
    let image = call.node.catalog.image();
    let own = image.settings(&Resource::Group(group.clone()));
    call.node.config().groups.consumer.with(own).heartbeat_interval
}

fn respond(beat: Beat, heartbeat_interval: Duration) -> Response {
    let interval_ms = i32::try_from(heartbeat_interval.as_millis()).unwrap_or(i32::MAX);
    Response {
        member_id: Some(beat.member_id),
        member_epoch: beat.epoch,
        heartbeat_interval_ms: interval_ms,
        assignment: beat.assignment.map(assignment),
        ..Response::default()
    }
}

fn assignment(partitions: Partitions) -> Assignment {
    let told = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
    Assignment { topic_partitions: by_topic(partitions).into_iter().map(told).collect() }
}

fn refuse(refused: Refused) -> Response {
    Response {
        error_code: refused.code,
        error_message: Some(refused.message.into()),
        ..Response::default()
    }
}
