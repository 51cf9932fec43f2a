//! CreatePartitions: gives topics more partitions. Versions 0 to 3.

use klamm_protocol::api::create_partitions::{Request, Response, Topic, TopicAnswer};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::answer_each;
use crate::catalog::{Planner, Refusal};
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let Request { topics, validate_only, .. } = request;
    let names: Vec<Str> = topics.iter().map(|topic| topic.name.clone()).collect();
    let plan = move |planner: &mut Planner<'_>| grow_all(planner, topics);
    let answers =
        if validate_only { Ok(call.node.plan(plan)) } else { call.node.change(plan).await };
    let refuse =
        |refusal: Refusal| names.into_iter().map(|name| refused(name, refusal.clone())).collect();
    Reply::Now(Response { throttle_time_ms: 0, results: answers.unwrap_or_else(refuse) })
}

fn grow_all(planner: &mut Planner<'_>, topics: Vec<Topic>) -> Vec<TopicAnswer> {
    answer_each(
        topics,
        |topic| topic.name.clone(),
        |topic| grow(planner, topic),
        |topic, refusal| refused(topic.name, refusal),
    )
}

fn grow(planner: &mut Planner<'_>, topic: Topic) -> TopicAnswer {
    let assignments: Option<Vec<Vec<i32>>> =
        topic.assignments.map(|all| all.into_iter().map(|one| one.broker_ids).collect());
    match planner.create_partitions(&topic.name, topic.count, assignments.as_deref()) {
        Ok(()) => TopicAnswer { name: topic.name, ..TopicAnswer::default() },
        Err(refusal) => refused(topic.name, refusal),
    }
}

fn refused(name: Str, refusal: Refusal) -> TopicAnswer {
    // Kafka says nothing more of a topic that is not there.
    let is_unknown = refusal.code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let error_message = (!is_unknown).then(|| refusal.message.into());
    TopicAnswer { name, error_code: refusal.code, error_message }
}
