//! ConsumerGroupDescribe: describes groups of the consumer protocol. Versions 0 and 1.
//!
//! A group of the classic protocol is answered as one that does not exist, with another text. One
//! that is named twice is answered once.

use klamm_protocol::api::consumer_group_describe::{
    Assignment, GroupAnswer, Member, Request, Response, TopicPartitions,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use crate::api::{once, operations};
use crate::group::consumer::{Description, MemberDescription, Partitions, Topics, by_topic};
use crate::group::shard::command::Command;
use crate::server::{Call, Reply};

/// How ConsumerGroupDescribe tells members of the two protocols apart.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let node = &call.node;
    let mut asked = Vec::with_capacity(request.group_ids.len());
    for group in once(request.group_ids, Str::clone) {
        let command = |answer| Command::ConsumerDescribe(group.clone(), answer);
        let answer = match group.is_empty() {
            true => Err(ErrorCode::INVALID_GROUP_ID),
            false => Ok(node.groups.shards.ask(node, &group, command).await),
        };
        asked.push((group, answer));
    }
    let topics = node.groups.topics(&node.catalog.image());
    let authorized_operations = match request.include_authorized_operations {
        true => operations::GROUP,
        false => operations::NOT_ASKED,
    };
    Reply::later(async move {
        let mut groups = Vec::with_capacity(asked.len());
        for (group_id, asked) in asked {
            let answer = match asked {
                Ok(asked) => asked.answer().await,
                Err(code) => Err(code),
            };
            let group = match answer {
                Ok(Ok(it)) => GroupAnswer { authorized_operations, ..describe(it, &topics) },
                Ok(Err(refused)) => GroupAnswer {
                    error_code: refused.code,
                    error_message: Some(refused.message.into()),
                    ..GroupAnswer::default()
                },
                Err(error_code) => GroupAnswer { error_code, ..GroupAnswer::default() },
            };
            groups.push(GroupAnswer { group_id, ..group });
        }
        Response { groups, ..Response::default() }
    })
}

fn describe(it: Description, topics: &Topics) -> GroupAnswer {
    GroupAnswer {
        error_code: ErrorCode::NONE,
        group_state: Str::from_static(it.state.name()),
        group_epoch: it.epoch,
        assignment_epoch: it.target_epoch,
        assignor_name: Str::from_static(it.assignor),
        members: it.members.into_iter().map(|member| describe_member(member, topics)).collect(),
        ..GroupAnswer::default()
    }
}

fn describe_member(member: MemberDescription, topics: &Topics) -> Member {
    let said = member.subscription;
    Member {
        member_id: member.member_id,
        instance_id: said.instance_id,
        rack_id: said.rack_id,
        member_epoch: member.epoch,
        client_id: said.client_id,
        client_host: said.client_host,
        subscribed_topic_names: said.topic_names.into_iter().collect(),
        subscribed_topic_regex: Some(said.pattern),
        assignment: assignment(&member.assigned, topics),
        target_assignment: assignment(&member.target, topics),
        member_type: if said.classic.is_some() { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
    }
}

/// Without topics that are gone: they have no names.
fn assignment(partitions: &Partitions, topics: &Topics) -> Assignment {
    let told = |(topic_id, partitions): (Uuid, Vec<i32>)| {
        let topic_name = topics.name(&topic_id)?.clone();
        Some(TopicPartitions { topic_id, topic_name, partitions })
    };
    let by_topic = by_topic(partitions.iter().copied());
    Assignment { topic_partitions: by_topic.into_iter().filter_map(told).collect() }
}
