//! DeleteTopics. Versions 0 to 6; from 6 on also by id.
//!
//! - A topic is gone when the answer comes; its files are removed in the background.
//! - One that is named twice, or by its name and by its id, stays: nobody means that.

use std::collections::HashSet;

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

/// What a topic is named by.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Named {
    Name(Str),
    Id(Uuid),
}

/// A topic that is named twice stays, and so does one that is named by its name and by its id.
fn delete_all(planner: &mut Planner<'_>, topics: Vec<Topic>) -> Vec<TopicAnswer> {
    let (mut all, mut answers) = (Vec::new(), Vec::new());
    for topic in topics {
        match named(topic) {
            Ok(topic) => all.push(topic),
            Err(refused) => answers.push(refused),
        }
    }
    let supplied: HashSet<Uuid> = all.iter().filter_map(Named::id).collect();
    let once = answer_each(all, Named::clone, Ok, |topic, _| Err(named_twice(topic)));
    // As they are before any is gone.
    let image = planner.image();
    let names = once.iter().flatten().filter_map(Named::name);
    let ids = names.filter_map(|name| image.topic(name)).map(|topic| topic.id);
    let in_both_ways: HashSet<Uuid> = ids.filter(|id| supplied.contains(id)).collect();
    answers.extend(once.into_iter().filter_map(|topic| match topic {
        Ok(topic) => delete(planner, topic, &in_both_ways),
        Err(refused) => Some(refused),
    }));
    answers
}

fn named(topic: Topic) -> Result<Named, TopicAnswer> {
    let Topic { name, topic_id } = topic;
    match (name, topic_id.is_zero()) {
        (Some(name), true) => Ok(Named::Name(name)),
        (None, false) => Ok(Named::Id(topic_id)),
        (Some(name), false) => {
            let refusal = invalid("You may not specify both topic name and topic id.");
            Err(refused(Some(name), topic_id, refusal))
        }
        (None, true) => {
            Err(refused(None, topic_id, invalid("Neither topic name nor id were specified.")))
        }
    }
}

fn named_twice(topic: Named) -> TopicAnswer {
    match topic {
        Named::Name(name) => refused(Some(name), Uuid::ZERO, invalid("Duplicate topic name.")),
        Named::Id(id) => refused(None, id, invalid("Duplicate topic id.")),
    }
}

/// Of a topic that is named by its name and by its id, its name is answered.
fn delete(
    planner: &mut Planner<'_>,
    topic: Named,
    in_both_ways: &HashSet<Uuid>,
) -> Option<TopicAnswer> {
    let deleted =
        |name, topic_id| TopicAnswer { name: Some(name), topic_id, ..TopicAnswer::default() };
    match topic {
        Named::Id(id) if in_both_ways.contains(&id) => None,
        Named::Id(id) => Some(match planner.delete_topic_by_id(id) {
            Ok(name) => deleted(name, id),
            Err(refusal) => refused(None, id, refusal),
        }),
        Named::Name(name) => {
            let id = planner.image().topic(&name).map(|topic| topic.id);
            if let Some(id) = id.filter(|id| in_both_ways.contains(id)) {
                let message = "The provided topic name maps to an ID that was already supplied.";
                return Some(refused(Some(name), id, invalid(message)));
            }
            Some(match planner.delete_topic(&name) {
                Ok(id) => deleted(name, id),
                Err(refusal) => refused(Some(name), Uuid::ZERO, refusal),
            })
        }
    }
}

impl Named {
    fn name(&self) -> Option<&Str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Id(_) => None,
        }
    }

    fn id(&self) -> Option<Uuid> {
        match self {
            Self::Name(_) => None,
            Self::Id(id) => Some(*id),
        }
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(ErrorCode::INVALID_REQUEST, message)
}

fn refused(name: Option<Str>, topic_id: Uuid, refusal: Refusal) -> TopicAnswer {
    let error_message = Some(refusal.message.into());
    TopicAnswer { name, topic_id, error_code: refusal.code, error_message }
}
