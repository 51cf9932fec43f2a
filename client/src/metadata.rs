//! What a client knows of the cluster: a snapshot, replaced as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use klamm_protocol::api::metadata;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use crate::dial;

/// Brokers, topics and leaders, as last heard.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// The cluster's own identifier.
    pub cluster_id: Option<Str>,
    /// The broker that takes administrative requests.
    pub controller: Option<i32>,
    /// The brokers by node id.
    pub brokers: BTreeMap<i32, Broker>,
    topics: BTreeMap<Str, Arc<Topic>>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// Where it says that it can be reached.
    pub address: Arc<str>,
    /// Its rack.
    pub rack: Option<Str>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Str,
    /// Its id; zero where the broker does not say it.
    pub id: Uuid,
    /// Whether it belongs to the brokers themselves.
    pub is_internal: bool,
    /// Its partitions, in the order of their numbers, which start at 0 and have no gaps.
    pub partitions: Vec<Partition>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number in the topic.
    pub index: i32,
    /// The broker that takes and gives its records.
    pub leader: Option<i32>,
    /// Rises with each new leader; -1 where the broker does not say it.
    pub leader_epoch: i32,
    /// The brokers that should have its records.
    pub replicas: Vec<i32>,
    /// Those of them that do.
    pub in_sync: Vec<i32>,
}

impl Topic {
    /// One of the partitions.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// What is known of the topic after this answer, if `known` was before: of each partition what
    /// has the higher leader epoch, for brokers do not all hear of a change at once. Partitions are
    /// never taken away.
    ///
    /// A topic of another id is another topic, and all is believed. So it is where ids are not
    /// told, for there a topic that was deleted and made again looks like an older answer.
    fn after(mut self, known: &Self) -> Self {
        if self.id != known.id || self.id == Uuid::default() {
            return self;
        }
        for (partition, known) in self.partitions.iter_mut().zip(&known.partitions) {
            if partition.leader_epoch >= 0 && partition.leader_epoch < known.leader_epoch {
                partition.clone_from(known);
            }
        }
        let told = self.partitions.len().min(known.partitions.len());
        self.partitions.extend_from_slice(&known.partitions[told..]);
        self
    }
}

impl Metadata {
    /// What is known of a topic.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// All topics that are known, in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The leader of a partition, as far as it is known.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.topic(topic)?.partition(partition)?.leader
    }

    /// What is known when the brokers are forgotten: the topics.
    pub(crate) fn without_brokers(&self) -> Self {
        let topics = self.topics.clone();
        Self { cluster_id: self.cluster_id.clone(), topics, ..Self::default() }
    }

    /// What is known after an answer: its brokers alone, its topics beside those known before,
    /// and for each topic of the answer that has none, why. Of a topic that was known, nothing is
    /// replaced by what is [older](Topic::after).
    #[must_use]
    pub(crate) fn after(
        &self,
        answer: metadata::Response,
        all_topics: bool,
    ) -> (Self, BTreeMap<Str, ErrorCode>) {
        let brokers = answer.brokers.into_iter().map(|broker| {
            let address = dial::address(&broker.host, broker.port);
            let rack = broker.rack.map(|rack| rack.detached());
            (broker.node_id, Broker { id: broker.node_id, address, rack })
        });
        let mut topics = if all_topics { BTreeMap::new() } else { self.topics.clone() };
        let mut refused = BTreeMap::new();
        for topic in answer.topics {
            let Some(name) = topic.name.as_ref().map(Str::detached) else { continue };
            match topic.error_code.ok() {
                Ok(()) => {
                    let topic = read_topic(name.clone(), topic);
                    let topic = match self.topics.get(&name) {
                        Some(known) => topic.after(known),
                        None => topic,
                    };
                    topics.insert(name, Arc::new(topic));
                }
                Err(code) => {
                    topics.remove(&name);
                    refused.insert(name, code);
                }
            }
        }
        let metadata = Self {
            cluster_id: answer.cluster_id.map(|id| id.detached()),
            controller: known(answer.controller_id),
            brokers: brokers.collect(),
            topics,
        };
        (metadata, refused)
    }
}

/// Partitions in order; one that the answer leaves out counts as one without a leader.
fn read_topic(name: Str, topic: metadata::TopicAnswer) -> Topic {
    let mut answers = topic.partitions;
    answers.sort_by_key(|partition| partition.partition_index);
    let mut partitions = Vec::with_capacity(answers.len());
    for answer in answers {
        let next = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        if answer.partition_index != next {
            // A gap: what follows it cannot be numbered by its place.
            tracing::warn!(topic = %name, missing = next, "metadata leave out a partition");
            break;
        }
        partitions.push(Partition {
            index: answer.partition_index,
            leader: known(answer.leader_id),
            leader_epoch: answer.leader_epoch,
            replicas: answer.replica_nodes,
            in_sync: answer.isr_nodes,
        });
    }
    Topic { name, id: topic.topic_id, is_internal: topic.is_internal, partitions }
}

/// A node id, of which -1 stands for none.
fn known(node: i32) -> Option<i32> {
    (node >= 0).then_some(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_protocol::api::metadata::{PartitionAnswer, Response, TopicAnswer};

    fn answer(topics: &[(&str, ErrorCode, &[i32])]) -> Response {
        let topic = |(name, error_code, leaders): &(&str, ErrorCode, &[i32])| TopicAnswer {
            name: Some((*name).into()),
            error_code: *error_code,
            partitions: (0..)
                .zip(*leaders)
                .map(|(partition_index, leader_id)| PartitionAnswer {
                    partition_index,
                    leader_id: *leader_id,
                    ..PartitionAnswer::default()
                })
                .collect(),
            ..TopicAnswer::default()
        };
        let brokers = vec![metadata::Broker { node_id: 1, port: 9, ..Default::default() }];
        let topics = topics.iter().map(topic).collect();
        Response { brokers, controller_id: 1, topics, ..Response::default() }
    }

    #[test]
    fn an_answer_replaces_what_it_speaks_of() {
        let none = ErrorCode::NONE;
        let (first, refused) =
            Metadata::default().after(answer(&[("a", none, &[1, -1]), ("b", none, &[1])]), false);
        assert_eq!((first.leader("a", 0), first.leader("a", 1)), (Some(1), None));
        assert_eq!(
            (first.leader("a", 2), first.leader("a", -1), first.leader("c", 0)),
            (None, None, None)
        );
        assert_eq!((first.controller, refused.len()), (Some(1), 0));

        let gone = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let (second, refused) = first.after(answer(&[("a", gone, &[])]), false);
        assert!(second.topic("a").is_none() && second.topic("b").is_some());
        assert_eq!(refused, [("a".into(), gone)].into());

        let (third, _) = second.after(answer(&[("c", none, &[1])]), true);
        let names: Vec<_> = third.topics().map(|topic| topic.name.to_string()).collect();
        assert_eq!(names, ["c"]);
    }

    #[test]
    fn an_older_answer_does_not_overwrite_a_newer_one() {
        let id = |byte| Uuid([byte; 16]);
        // Each partition of topic "a" as its leader and the leader's epoch.
        let told = |id, partitions: &[(i32, i32)]| {
            let leaders: Vec<_> = partitions.iter().map(|(leader, _)| *leader).collect();
            let mut answer = answer(&[("a", ErrorCode::NONE, &leaders)]);
            answer.topics[0].topic_id = id;
            for (partition, (_, epoch)) in answer.topics[0].partitions.iter_mut().zip(partitions) {
                partition.leader_epoch = *epoch;
            }
            answer
        };
        let check = |first: (Uuid, &[(i32, i32)]), then: (Uuid, &[(i32, i32)]), kept: &[_]| {
            for all_topics in [true, false] {
                let (known, _) = Metadata::default().after(told(first.0, first.1), all_topics);
                let (known, _) = known.after(told(then.0, then.1), all_topics);
                let partitions = &known.topic("a").unwrap().partitions;
                let got: Vec<_> =
                    partitions.iter().map(|p| (p.leader.unwrap(), p.leader_epoch)).collect();
                assert_eq!(got, kept, "{first:?}, then {then:?}");
                assert!(partitions.iter().map(|p| p.index).eq(0..kept.len() as i32));
            }
        };
        let (one, other, none) = (id(1), id(2), Uuid::default());
        check((one, &[(1, 5), (1, 5)]), (one, &[(2, 4), (2, 6)]), &[(1, 5), (2, 6)]);
        check((one, &[(1, 5)]), (one, &[(2, 5)]), &[(2, 5)]);
        // An answer from before partitions were added.
        check((one, &[(1, 5), (3, 0)]), (one, &[(2, 6)]), &[(2, 6), (3, 0)]);
        // Deleted and made again, with fewer partitions.
        check((one, &[(1, 5), (1, 5)]), (other, &[(2, 0)]), &[(2, 0)]);
        // Brokers that tell no id, or no epoch.
        check((none, &[(1, 5)]), (none, &[(2, 0)]), &[(2, 0)]);
        check((one, &[(1, 5)]), (one, &[(2, -1)]), &[(2, -1)]);
    }

    #[test]
    fn topics_outlast_the_brokers() {
        let (known, _) = Metadata::default().after(answer(&[("a", ErrorCode::NONE, &[1])]), true);
        let forgotten = known.without_brokers();
        assert!(forgotten.brokers.is_empty() && forgotten.controller.is_none());
        assert_eq!(forgotten.leader("a", 0), Some(1));
    }

    #[test]
    fn a_gap_hides_what_follows_it() {
        let mut answer = answer(&[("a", ErrorCode::NONE, &[1, 1, 1])]);
        answer.topics[0].partitions.remove(1);
        let (metadata, _) = Metadata::default().after(answer, true);
        assert_eq!(metadata.topic("a").map(|topic| topic.partitions.len()), Some(1));
    }
}
