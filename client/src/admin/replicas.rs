//! Which brokers hold a partition, which of them leads it, and in which directory it lies.

use std::collections::BTreeMap;

use klamm_protocol::api::alter_partition_reassignments::{self, AlterPartitionReassignments};
use klamm_protocol::api::alter_replica_log_dirs::{self, AlterReplicaLogDirs};
use klamm_protocol::api::elect_leaders::{self, ElectLeaders};
use klamm_protocol::api::list_partition_reassignments::{self, ListPartitionReassignments};
use klamm_protocol::wire::Str;

use super::offsets::by_topic;
use super::{Admin, Effect, Outcomes};
use crate::answer::Answer;
use crate::error::{Result, Subject};

/// How a leader is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Election {
    /// The first of its replicas, if it is in sync.
    Preferred,
    /// Any that is alive, even if records are lost by it.
    Unclean,
}

/// Replicas on their way to other brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// All brokers that hold the partition meanwhile.
    pub replicas: Vec<i32>,
    /// Those that are to hold it.
    pub adding: Vec<i32>,
    /// Those that are to hold it no more.
    pub removing: Vec<i32>,
}

impl Admin {
    /// Has leaders chosen anew: of these partitions, or of all where none is named.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn elect_leaders(
        &self,
        election: Election,
        partitions: &[(Str, i32)],
    ) -> Result<Outcomes<(Str, i32), ()>> {
        let topic = |topic, partitions| elect_leaders::Topic { topic, partitions };
        let request = elect_leaders::Request {
            election_type: i8::from(election == Election::Unclean),
            topic_partitions: (!partitions.is_empty()).then(|| by_topic(partitions, topic)),
            timeout_ms: self.timeout_ms(),
        };
        let Answer { body, origin } = self
            .retry(Effect::Changes, async || {
                let answer = self.controller().await?.call::<ElectLeaders>(&request).await?;
                answer.origin.check(answer.body.error_code, None, Subject::Cluster)?;
                Ok(answer)
            })
            .await?;
        let origin = &origin;
        let outcomes = body.replica_election_results.into_iter().flat_map(|topic| {
            let name = topic.topic;
            topic.partition_result.into_iter().map(move |told| {
                let subject = Subject::Partition(name.clone(), told.partition_id);
                let outcome = origin.check(told.error_code, told.error_message, subject);
                ((name.clone(), told.partition_id), outcome)
            })
        });
        Ok(outcomes.collect())
    }

    /// Has partitions held by these brokers, the first of them being preferred to lead; without
    /// brokers, what is on its way is called back (KIP-455).
    ///
    /// # Errors
    /// No broker answers, or the cluster does not move partitions.
    pub async fn reassign_partitions(
        &self,
        wanted: &[(Str, i32, Option<Vec<i32>>)],
    ) -> Result<Outcomes<(Str, i32), ()>> {
        let mut topics = BTreeMap::<Str, Vec<_>>::new();
        for (topic, partition_index, replicas) in wanted {
            topics.entry(topic.clone()).or_default().push(
                alter_partition_reassignments::Partition {
                    partition_index: *partition_index,
                    replicas: replicas.clone(),
                },
            );
        }
        let topic = |(name, partitions)| alter_partition_reassignments::Topic { name, partitions };
        let request = alter_partition_reassignments::Request {
            timeout_ms: self.timeout_ms(),
            topics: topics.into_iter().map(topic).collect(),
            ..alter_partition_reassignments::Request::default()
        };
        let Answer { body, origin } = self
            .retry(Effect::Changes, async || {
                let connection = self.controller().await?;
                let answer = connection.call::<AlterPartitionReassignments>(&request).await?;
                let Answer { body, origin } = &answer;
                origin.check(body.error_code, body.error_message.clone(), Subject::Cluster)?;
                Ok(answer)
            })
            .await?;
        let origin = &origin;
        let outcomes = body.topics.into_iter().flat_map(|topic| {
            let name = topic.name;
            topic.partitions.into_iter().map(move |told| {
                let subject = Subject::Partition(name.clone(), told.partition_index);
                let outcome = origin.check(told.error_code, told.error_message, subject);
                ((name.clone(), told.partition_index), outcome)
            })
        });
        Ok(outcomes.collect())
    }

    /// What is on its way to other brokers: of these partitions, or all where none is named.
    ///
    /// # Errors
    /// No broker answers, or the cluster does not move partitions.
    pub async fn reassignments(
        &self,
        partitions: &[(Str, i32)],
    ) -> Result<Vec<((Str, i32), Reassignment)>> {
        let topic = |name, partition_indexes| list_partition_reassignments::Topic {
            name,
            partition_indexes,
        };
        let request = list_partition_reassignments::Request {
            timeout_ms: self.timeout_ms(),
            topics: (!partitions.is_empty()).then(|| by_topic(partitions, topic)),
        };
        let answer = self
            .retry(Effect::Reads, async || {
                let connection = self.controller().await?;
                let answer = connection.call::<ListPartitionReassignments>(&request).await?;
                let Answer { body, origin } = &answer;
                origin.check(body.error_code, body.error_message.clone(), Subject::Cluster)?;
                Ok(answer)
            })
            .await?;
        let moving = answer.body.topics.into_iter().flat_map(|topic| {
            let name = topic.name;
            topic.partitions.into_iter().map(move |told| {
                let moving = Reassignment {
                    replicas: told.replicas,
                    adding: told.adding_replicas,
                    removing: told.removing_replicas,
                };
                ((name.clone(), told.partition_index), moving)
            })
        });
        Ok(moving.collect())
    }

    /// Has a broker keep partitions in these directories of its own.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn move_logs(
        &self,
        broker: i32,
        wanted: &[(Str, i32, Str)],
    ) -> Result<Outcomes<(Str, i32), ()>> {
        let mut directories = BTreeMap::<Str, Vec<(Str, i32)>>::new();
        for (topic, partition, path) in wanted {
            directories.entry(path.clone()).or_default().push((topic.clone(), *partition));
        }
        let topic = |name, partitions| alter_replica_log_dirs::Topic { name, partitions };
        let directory = |(path, partitions): (Str, Vec<_>)| alter_replica_log_dirs::Dir {
            path,
            topics: by_topic(&partitions, topic),
        };
        let request = alter_replica_log_dirs::Request {
            dirs: directories.into_iter().map(directory).collect(),
        };
        let Answer { body, origin } = self
            .retry(Effect::Changes, async || {
                self.kafka.call::<AlterReplicaLogDirs>(broker, &request).await
            })
            .await?;
        let origin = &origin;
        let outcomes = body.results.into_iter().flat_map(|topic| {
            let name = topic.topic_name;
            topic.partitions.into_iter().map(move |told| {
                let subject = Subject::Partition(name.clone(), told.partition_index);
                ((name.clone(), told.partition_index), origin.check(told.error_code, None, subject))
            })
        });
        Ok(outcomes.collect())
    }
}
