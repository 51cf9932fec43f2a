use klamm_protocol::wire::Uuid;

use super::Fault;
use crate::topics::Topics;

/// What of a request a fault is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    topic: Option<&'a str>,
    /// Of the topic, if it exists: some requests have ids in place of names.
    id: Option<Uuid>,
    partition: Option<i32>,
}

impl<'a> Target<'a> {
    pub(crate) fn of(fault: &'a Fault, topics: &Topics) -> Self {
        let topic = fault.topic.as_deref().and_then(|name| topics.by_name(name));
        Self::with_id(fault, topic.map(|topic| topic.id))
    }

    pub(super) fn with_id(fault: &'a Fault, id: Option<Uuid>) -> Self {
        Self { topic: fault.topic.as_deref(), id, partition: fault.partition }
    }

    /// Whether it is for all of every request.
    pub(crate) fn is_whole(&self) -> bool {
        self.topic.is_none()
    }

    /// Whether it is for all partitions of its topics.
    pub(super) fn is_topic(&self) -> bool {
        self.partition.is_none()
    }

    /// Whether something of this topic is meant; a request has its name or its id.
    pub(super) fn has_topic(&self, name: &str, id: Uuid) -> bool {
        self.topic.is_none_or(
            |topic| {
                if name.is_empty() { self.id == Some(id) } else { topic == name }
            },
        )
    }

    /// Whether this partition of such a topic is meant.
    pub(super) fn has_partition(&self, index: i32) -> bool {
        self.partition.is_none_or(|partition| partition == index)
    }
}
