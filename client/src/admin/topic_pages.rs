//! Describing topics page by page, which brokers since Kafka 3.8 do.

use std::collections::BTreeMap;
use std::sync::Arc;

use klamm_protocol::api::describe_topic_partitions::{self as api, DescribeTopicPartitions};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::Outcomes;
use crate::answer::{Answer, Origin};
use crate::connection::Connection;
use crate::error::{Result, Subject};
use crate::metadata::{Partition, Topic};

/// How many partitions a page may have.
const PAGE: i32 = 2_000;

/// Topics of which some pages have come.
#[derive(Debug, Default)]
struct Pages {
    topics: BTreeMap<Str, Result<Topic>>,
}

/// These topics, in the order of the question. What the broker does not speak of is not there.
pub(super) async fn describe(
    connection: &Connection,
    names: &[Str],
) -> Result<Outcomes<Str, Arc<Topic>>> {
    let topics = names.iter().map(|name| api::Topic { name: name.clone() }).collect();
    let mut request =
        api::Request { topics, response_partition_limit: PAGE, ..api::Request::default() };
    let mut pages = Pages::default();
    let origin = loop {
        let Answer { body, origin } = connection.call::<DescribeTopicPartitions>(&request).await?;
        let is_empty = body.topics.is_empty();
        body.topics.into_iter().for_each(|topic| pages.add(topic, &origin));
        match body.next_cursor {
            Some(cursor) if !is_empty => request.cursor = Some(cursor),
            // A page without topics would come again and again.
            _ => break origin,
        }
    };
    let unknown = |name: &Str| {
        let subject = Subject::Name(name.clone());
        Err(origin.error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, subject))
    };
    let described = |name: &Str| pages.topics.get(name).cloned().unwrap_or_else(|| unknown(name));
    Ok(names.iter().map(|name| (name.clone(), described(name).map(Arc::new))).collect())
}

impl Pages {
    /// Adds what a page says of a topic, which may go on where the page before ended.
    fn add(&mut self, answer: api::TopicAnswer, origin: &Origin) {
        let Some(name) = answer.name.as_ref().map(Str::detached) else { return };
        let subject = Subject::Name(name.clone());
        if let Err(error) = origin.check(answer.error_code, None, subject) {
            self.topics.insert(name, Err(error));
            return;
        }
        let topic = self.topics.entry(name.clone()).or_insert_with(|| {
            let (id, is_internal) = (answer.topic_id, answer.is_internal);
            Ok(Topic { name, id, is_internal, partitions: Vec::new() })
        });
        if let Ok(topic) = topic {
            topic.partitions.extend(answer.partitions.into_iter().map(read_partition));
        }
    }
}

fn read_partition(answer: api::PartitionAnswer) -> Partition {
    Partition {
        index: answer.partition_index,
        leader: (answer.leader_id >= 0).then_some(answer.leader_id),
        leader_epoch: answer.leader_epoch,
        replicas: answer.replica_nodes,
        in_sync: answer.isr_nodes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, indexes: &[i32]) -> api::TopicAnswer {
        let partition =
            |index: &i32| api::PartitionAnswer { partition_index: *index, ..Default::default() };
        api::TopicAnswer {
            name: Some(name.into()),
            partitions: indexes.iter().map(partition).collect(),
            ..api::TopicAnswer::default()
        }
    }

    #[test]
    fn a_topic_goes_on_with_the_next_page() {
        let mut pages = Pages::default();
        let mut add =
            |answer| pages.add(answer, &Origin::of::<DescribeTopicPartitions>(&"a:1".into()));
        add(answer("a", &[0]));
        add(answer("b", &[0, 1]));
        add(answer("b", &[2]));
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        add(api::TopicAnswer { error_code: unknown, ..answer("c", &[]) });
        let count = |name: &str| pages.topics[name].as_ref().map(|topic| topic.partitions.len());
        assert_eq!((count("a").unwrap(), count("b").unwrap()), (1, 3));
        assert_eq!(count("c").unwrap_err().code(), Some(unknown));
    }
}
