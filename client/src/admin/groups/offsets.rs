//! How far groups have read: looking at it, and changing it from outside.

use std::collections::BTreeMap;

use klamm_protocol::api::offset_commit::{self, OffsetCommit};
use klamm_protocol::api::offset_delete::{self, OffsetDelete};
use klamm_protocol::api::offset_fetch::{self, OffsetFetch};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::admin::coordinators::unless_elsewhere;
use crate::admin::offsets::by_topic;
use crate::admin::{Admin, Effect, Outcomes};
use crate::connection::Connection;
use crate::error::{Error, Result, Subject};

/// What was said for each partition of one group.
pub(super) type Offsets = Outcomes<(Str, i32), Option<CommittedOffset>>;

/// How far a group has read a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record that was read, where it is known.
    pub leader_epoch: Option<i32>,
    /// What the consumer stored beside the offset.
    pub metadata: Str,
}

/// From the first of these versions one question may be about many groups, behind the last one
/// topics have ids instead of names.
const MANY_GROUPS_FROM: i16 = 8;
const BY_NAME_UNTIL: i16 = 9;

impl From<i64> for CommittedOffset {
    fn from(offset: i64) -> Self {
        Self { offset, leader_epoch: None, metadata: Str::default() }
    }
}

impl Admin {
    /// All that these groups have committed. A group that does not exist has committed nothing.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn group_offsets(
        &self,
        groups: &[Str],
    ) -> Result<Outcomes<Str, Outcomes<(Str, i32), Option<CommittedOffset>>>> {
        self.fetch_offsets(groups, None).await
    }

    /// What a group has committed for these partitions: none where it has committed nothing.
    ///
    /// # Errors
    /// No broker answers, or the group may not be asked.
    pub async fn group_offsets_of(
        &self,
        group: &Str,
        partitions: &[(Str, i32)],
    ) -> Result<Outcomes<(Str, i32), Option<CommittedOffset>>> {
        let groups = std::slice::from_ref(group);
        let mut outcomes = self.fetch_offsets(groups, Some(partitions)).await?;
        outcomes.pop().map_or(Err(Error::Closed), |(_, outcome)| outcome)
    }

    async fn fetch_offsets(
        &self,
        groups: &[Str],
        partitions: Option<&[(Str, i32)]>,
    ) -> Result<Outcomes<Str, Offsets>> {
        self.by_coordinator(groups, Effect::Reads, async |node, groups| {
            let connection = self.kafka.broker(node).await?;
            if connection.version::<OffsetFetch>(BY_NAME_UNTIL)? >= MANY_GROUPS_FROM {
                return fetch_of_many(&connection, groups, partitions).await;
            }
            let mut outcomes = Vec::with_capacity(groups.len());
            for group in groups {
                let offsets = fetch_of_one(&connection, group, partitions).await;
                outcomes.push((group.clone(), offsets));
            }
            Ok(outcomes)
        })
        .await
    }

    /// Sets how far a group has read, as if it had read so far. The group must have no members.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn alter_group_offsets(
        &self,
        group: &Str,
        offsets: &[(Str, i32, CommittedOffset)],
    ) -> Result<Outcomes<(Str, i32), ()>> {
        let mut topics = BTreeMap::<&Str, Vec<_>>::new();
        for (topic, index, committed) in offsets {
            topics.entry(topic).or_default().push(offset_commit::Partition {
                partition_index: *index,
                committed_offset: committed.offset,
                committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
                committed_metadata: Some(committed.metadata.clone()),
            });
        }
        let topic = |(name, partitions): (&Str, Vec<_>)| offset_commit::Topic {
            name: name.clone(),
            partitions,
            ..offset_commit::Topic::default()
        };
        let request = offset_commit::Request {
            group_id: group.clone(),
            topics: topics.into_iter().map(topic).collect(),
            ..offset_commit::Request::default()
        };
        self.by_coordinator_of(group, Effect::Changes, async |node| {
            let connection = self.kafka.broker(node).await?;
            let version = connection.version::<OffsetCommit>(BY_NAME_UNTIL)?;
            let pending = connection.submit::<OffsetCommit>(version, &request).await?;
            let answered = pending.answer().await?.topics.into_iter().flat_map(|topic| {
                let name = topic.name;
                let answers = topic.partitions.into_iter();
                answers.map(move |answer| (name.clone(), answer.partition_index, answer.error_code))
            });
            told(group, answered.collect())
        })
        .await
    }

    /// Forgets what a group has read of these partitions. The group must not be subscribed to
    /// their topics.
    ///
    /// # Errors
    /// No broker answers, or the group does not exist.
    pub async fn delete_group_offsets(
        &self,
        group: &Str,
        partitions: &[(Str, i32)],
    ) -> Result<Outcomes<(Str, i32), ()>> {
        let request = offset_delete::Request {
            group_id: group.clone(),
            topics: by_topic(partitions, |name, indexes| offset_delete::Topic {
                name,
                partitions: indexes
                    .into_iter()
                    .map(|partition_index| offset_delete::Partition { partition_index })
                    .collect(),
            }),
        };
        self.by_coordinator_of(group, Effect::Changes, async |node| {
            let answer = self.kafka.call::<OffsetDelete>(node, &request).await?;
            Error::check(answer.error_code, None, Subject::Name(group.clone()))?;
            let answered = answer.topics.into_iter().flat_map(|topic| {
                let name = topic.name;
                let answers = topic.partitions.into_iter();
                answers.map(move |answer| (name.clone(), answer.partition_index, answer.error_code))
            });
            told(group, answered.collect())
        })
        .await
    }
}

/// What a coordinator told of each partition, unless it is no more the coordinator.
fn told(group: &Str, answers: Vec<(Str, i32, ErrorCode)>) -> Result<Outcomes<(Str, i32), ()>> {
    unless_elsewhere(group, answers.iter().map(|(_, _, code)| *code))?;
    let outcome = |(topic, index, code): (Str, i32, ErrorCode)| {
        let subject = Subject::Partition(topic.clone(), index);
        ((topic, index), Error::check(code, None, subject))
    };
    Ok(answers.into_iter().map(outcome).collect())
}

async fn fetch_of_many(
    connection: &Connection,
    groups: &[Str],
    partitions: Option<&[(Str, i32)]>,
) -> Result<Outcomes<Str, Offsets>> {
    let topic = |name, partition_indexes| offset_fetch::GroupTopic {
        name,
        partition_indexes,
        ..offset_fetch::GroupTopic::default()
    };
    let wanted = |group: &Str| offset_fetch::Group {
        group_id: group.clone(),
        topics: partitions.map(|partitions| by_topic(partitions, topic)),
        ..offset_fetch::Group::default()
    };
    let request = offset_fetch::Request {
        groups: groups.iter().map(wanted).collect(),
        ..offset_fetch::Request::default()
    };
    let version = connection.version::<OffsetFetch>(BY_NAME_UNTIL)?;
    let answer = connection.submit::<OffsetFetch>(version, &request).await?.answer().await?;
    let read = |group: offset_fetch::GroupAnswer| {
        let told = Error::check(group.error_code, None, Subject::Name(group.group_id.clone()));
        let topics = group.topics.into_iter().flat_map(|topic| {
            let name = topic.name;
            topic.partitions.into_iter().map(move |partition| {
                // The same partition, as versions for one group have it.
                let partition = offset_fetch::PartitionAnswer {
                    partition_index: partition.partition_index,
                    committed_offset: partition.committed_offset,
                    committed_leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.metadata,
                    error_code: partition.error_code,
                };
                read_partition(&name, partition)
            })
        });
        (group.group_id, told.map(|()| topics.collect()))
    };
    Ok(answer.groups.into_iter().map(read).collect())
}

async fn fetch_of_one(
    connection: &Connection,
    group: &Str,
    partitions: Option<&[(Str, i32)]>,
) -> Result<Offsets> {
    let topic = |name, partition_indexes| offset_fetch::Topic { name, partition_indexes };
    let request = offset_fetch::Request {
        group_id: group.clone(),
        topics: partitions.map(|partitions| by_topic(partitions, topic)),
        ..offset_fetch::Request::default()
    };
    let version = connection.version::<OffsetFetch>(MANY_GROUPS_FROM - 1)?;
    let answer = connection.submit::<OffsetFetch>(version, &request).await?.answer().await?;
    Error::check(answer.error_code, None, Subject::Name(group.clone()))?;
    let answers = || answer.topics.iter().flat_map(|topic| &topic.partitions);
    // The first version says beside each partition what is wrong with the group.
    unless_elsewhere(group, answers().map(|partition| partition.error_code))?;
    let offsets = answer.topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        topic.partitions.into_iter().map(move |partition| read_partition(&name, partition))
    });
    Ok(offsets.collect())
}

fn read_partition(
    topic: &Str,
    answer: offset_fetch::PartitionAnswer,
) -> ((Str, i32), Result<Option<CommittedOffset>>) {
    let place = (topic.clone(), answer.partition_index);
    let subject = Subject::Partition(place.0.clone(), place.1);
    let committed = CommittedOffset {
        offset: answer.committed_offset,
        leader_epoch: (answer.committed_leader_epoch >= 0).then_some(answer.committed_leader_epoch),
        metadata: answer.metadata.unwrap_or_default(),
    };
    let outcome = Error::check(answer.error_code, None, subject);
    (place, outcome.map(|()| (committed.offset >= 0).then_some(committed)))
}

#[cfg(test)]
mod tests {
    use klamm_broker::Broker;

    use super::*;
    use crate::admin::NewTopic;
    use crate::{ClientConfig, Kafka};

    #[tokio::test]
    async fn old_versions_tell_the_same() {
        let broker = Broker::builder().ephemeral().start().await.unwrap();
        let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
        let admin = kafka.admin();
        admin.create_topics(&[NewTopic::new("a").partitions(2)]).await.unwrap();
        let group = Str::from("g");
        admin.alter_group_offsets(&group, &[("a".into(), 1, 7.into())]).await.unwrap();
        let connection = kafka.any_broker().await.unwrap();
        for partitions in [None, Some([(Str::from("a"), 0), ("a".into(), 1)])] {
            let partitions = partitions.as_ref().map(|partitions| &partitions[..]);
            let groups = std::slice::from_ref(&group);
            let of_many = fetch_of_many(&connection, groups, partitions).await.unwrap();
            let of_many = of_many[0].1.as_ref().unwrap();
            let of_one = fetch_of_one(&connection, &group, partitions).await.unwrap();
            let read = |offsets: &Offsets| {
                let offsets =
                    offsets.iter().map(|(place, told)| (place.clone(), told.clone().ok()));
                offsets.collect::<Vec<_>>()
            };
            assert_eq!(read(&of_one), read(of_many));
            assert_eq!(of_one.len(), partitions.map_or(1, <[_]>::len));
        }
        broker.stop().await;
    }
}
