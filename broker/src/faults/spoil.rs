//! APIs whose faults stand in the answer that was found.

use klamm_protocol::api::{Fetch, Metadata, fetch, metadata};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Records;

use super::{Grain, Refuse, Target};

/// What an answer to Fetch has one place for.
const OF_SESSIONS: [ErrorCode; 3] = [
    ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
    ErrorCode::INVALID_FETCH_SESSION_EPOCH,
    ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR,
];

/// In a session, a request does not say what it is about.
impl Refuse for Fetch {
    const ERRORS: Grain = Grain::Partition;

    fn refuse(
        _: &mut fetch::Request,
        _: i16,
        _: Target<'_>,
        error_code: ErrorCode,
    ) -> Option<fetch::Response> {
        Some(fetch::Response { error_code, ..Default::default() })
    }

    fn spoils(version: i16, target: Target<'_>, code: ErrorCode) -> bool {
        version < 7 || !target.is_whole() || !OF_SESSIONS.contains(&code)
    }

    fn finds(answer: &fetch::Response, target: Target<'_>) -> bool {
        answer.topics.iter().any(|topic| {
            target.has_topic(&topic.topic, topic.topic_id)
                && topic.partitions.iter().any(|it| target.has_partition(it.partition_index))
        })
    }

    fn spoil(answer: &mut fetch::Response, target: Target<'_>, error_code: ErrorCode) {
        let topics = answer.topics.iter_mut();
        let meant = topics.filter(|topic| target.has_topic(&topic.topic, topic.topic_id));
        for partition in meant.flat_map(|topic| &mut topic.partitions) {
            let partition_index = partition.partition_index;
            if target.has_partition(partition_index) {
                *partition = fetch::PartitionAnswer {
                    partition_index,
                    error_code,
                    high_watermark: -1,
                    records: Some(Records::default()),
                    ..Default::default()
                };
            }
        }
    }
}

/// Brokers stay in the answer: a client takes none without them.
impl Refuse for Metadata {
    const NAMES: Grain = Grain::Topic;
    const ERRORS: Grain = Grain::Partition;

    fn names(request: &metadata::Request, target: Target<'_>) -> bool {
        let is_meant = |topic: &metadata::Topic| {
            target.has_topic(topic.name.as_deref().unwrap_or_default(), topic.topic_id)
        };
        request.topics.as_ref().is_none_or(|topics| topics.iter().any(is_meant))
    }

    fn refuse(
        _: &mut metadata::Request,
        _: i16,
        _: Target<'_>,
        error_code: ErrorCode,
    ) -> Option<metadata::Response> {
        Some(metadata::Response { error_code, ..Default::default() })
    }

    fn spoils(version: i16, target: Target<'_>, code: ErrorCode) -> bool {
        version < 13 || !target.is_whole() || code != ErrorCode::REBOOTSTRAP_REQUIRED
    }

    fn finds(answer: &metadata::Response, target: Target<'_>) -> bool {
        answer.topics.iter().any(|topic| {
            has(topic, target)
                && (target.is_topic()
                    || topic.partitions.iter().any(|it| target.has_partition(it.partition_index)))
        })
    }

    fn spoil(answer: &mut metadata::Response, target: Target<'_>, code: ErrorCode) {
        for topic in answer.topics.iter_mut().filter(|topic| has(topic, target)) {
            if target.is_topic() {
                (topic.error_code, topic.partitions) = (code, Vec::new());
            }
            for partition in &mut topic.partitions {
                if target.has_partition(partition.partition_index) {
                    (partition.error_code, partition.leader_id) = (code, -1);
                }
            }
        }
    }
}

fn has(topic: &metadata::TopicAnswer, target: Target<'_>) -> bool {
    target.has_topic(topic.name.as_deref().unwrap_or_default(), topic.topic_id)
}
