//! DeleteTopics. Versions 0 to 6; from 6 on also by id.
//!
//! A topic is gone when the answer comes; its files are removed in the background.

use klamm_protocol::api::delete_topics::{Request, Response, Topic, TopicAnswer};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use super::answer_each;
use crate::catalog::{Planner, Refusal};
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let by_name = |name| Topic { name: Some(name), topic_id: Uuid::ZERO };
    let topics: Vec<Topic> = if call.version >= 6 {
        request.topics
    } else {
        request.topic_names.into_iter().map(by_name).collect()
    };
    let wanted = topics.clone();
    let answers = if call.node.config().delete_topics {
        call.node.change(move |planner| delete_all(planner, topics)).await
    } else {
        let message = "delete.topic.enable is false on this broker";
        // Clients before version 3 do not know the other code.
        let code = match call.version {
            ..3 => ErrorCode::INVALID_REQUEST,
            3.. => ErrorCode::TOPIC_DELETION_DISABLED,
        };
        Err(Refusal::new(code, message))
    };
    let refuse = |refusal: Refusal| {
        let refuse = |topic: Topic| refused(topic.name, topic.topic_id, refusal.clone());
        wanted.into_iter().map(refuse).collect()
    };
    Reply::Now(Response { throttle_time_ms: 0, topics: answers.unwrap_or_else(refuse) })
}

fn delete_all(planner: &mut Planner<'_>, topics: Vec<Topic>) -> Vec<TopicAnswer> {
    answer_each(
        topics,
        |topic| (topic.name.clone(), topic.topic_id),
        |topic| delete(planner, topic),
        |topic, refusal| refused(topic.name, topic.topic_id, refusal),
    )
}

fn delete(planner: &mut Planner<'_>, topic: Topic) -> TopicAnswer {
    let invalid = |message| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    let Topic { name, topic_id } = topic;
    let deleted = match (&name, topic_id.is_zero()) {
        (Some(name), true) => planner.delete_topic(name).map(|id| (name.clone(), id)),
        (None, false) => planner.delete_topic_by_id(topic_id).map(|name| (name, topic_id)),
        (Some(_), false) => invalid("You may not specify both topic name and topic id."),
        (None, true) => invalid("Neither topic name nor id were specified."),
    };
    match deleted {
        Ok((name, topic_id)) => {
            TopicAnswer { name: Some(name), topic_id, ..TopicAnswer::default() }
        }
        Err(refusal) => refused(name, topic_id, refusal),
    }
}

fn refused(name: Option<Str>, topic_id: Uuid, refusal: Refusal) -> TopicAnswer {
    let error_message = Some(refusal.message.into());
    TopicAnswer { name, topic_id, error_code: refusal.code, error_message }
}
