//! CreateTopics. Versions 0 to 7.
//!
//! Each topic is made or refused alone, in the words of Kafka; all of them, if they would have too
//! many partitions together. The answer comes when those that
//! were made are on disk and open.

use klamm_protocol::api::create_topics::{ConfigAnswer, Request, Response, Topic, TopicAnswer};
use klamm_protocol::wire::Str;

use super::answer_each;
use crate::catalog::{NewTopic, Planner, Refusal, TopicImage, new_id};
use crate::config::BrokerConfig;
use crate::config::describe::describe_topic;
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let Request { topics, validate_only, .. } = request;
    let names: Vec<Str> = topics.iter().map(|topic| topic.name.clone()).collect();
    let plan = move |planner: &mut Planner<'_>| create_all(planner, topics);
    let answers =
        if validate_only { Ok(call.node.plan(plan)) } else { call.node.change(plan).await };
    let refuse =
        |refusal: Refusal| names.into_iter().map(|name| refused(name, refusal.clone())).collect();
    let topics = answers.unwrap_or_else(refuse);
    Reply::Now(Response { throttle_time_ms: 0, topics })
}

fn create_all(planner: &mut Planner<'_>, topics: Vec<Topic>) -> Vec<TopicAnswer> {
    let default = planner.broker().default_partitions;
    let count =
        topics.iter().map(|topic| partitions(topic, default)).fold(0, usize::saturating_add);
    if let Err(refusal) = planner.check_count(count) {
        return topics.into_iter().map(|topic| refused(topic.name, refusal.clone())).collect();
    }
    answer_each(
        topics,
        |topic| topic.name.clone(),
        |topic| create(planner, topic),
        |topic, refusal| refused(topic.name, refusal),
    )
}

/// How many partitions are asked for; none by a number that is refused.
fn partitions(topic: &Topic, default: i32) -> usize {
    match topic.num_partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len(),
        -1 => usize::try_from(default).unwrap_or_default(),
        count => usize::try_from(count).unwrap_or_default(),
    }
}

fn create(planner: &mut Planner<'_>, topic: Topic) -> TopicAnswer {
    let assignments = topic.assignments.into_iter().map(|it| (it.partition_index, it.broker_ids));
    let new = NewTopic {
        name: topic.name.clone(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: topic.configs.into_iter().map(|config| (config.name, config.value)).collect(),
    };
    let broker = planner.broker();
    match planner.create_topic(&new, new_id()) {
        Ok(made) => created(made, broker),
        Err(refusal) => refused(topic.name, refusal),
    }
}

fn created(topic: &TopicImage, broker: &BrokerConfig) -> TopicAnswer {
    let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    let configs = describe_topic(&topic.overrides, broker).into_iter().map(|entry| ConfigAnswer {
        name: entry.name.into(),
        value: entry.value.map(Into::into),
        read_only: entry.read_only,
        config_source: entry.source.id(),
        is_sensitive: entry.is_sensitive,
    });
    TopicAnswer {
        name: topic.name.clone(),
        topic_id: topic.id,
        // Counts are bounded by what one change may make.
        num_partitions: i32::try_from(topic.partitions.len()).unwrap_or(-1),
        replication_factor: i16::try_from(replicas).unwrap_or(-1),
        configs: Some(configs.collect()),
        ..TopicAnswer::default()
    }
}

fn refused(name: Str, refusal: Refusal) -> TopicAnswer {
    TopicAnswer {
        name,
        error_code: refusal.code,
        error_message: Some(refusal.message.into()),
        configs: Some(Vec::new()),
        ..TopicAnswer::default()
    }
}
