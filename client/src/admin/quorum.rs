//! The brokers that keep the cluster's metadata, its members, and the features that it has agreed
//! on.

use klamm_protocol::api::add_raft_voter::{self, AddRaftVoter};
use klamm_protocol::api::describe_quorum::{self, DescribeQuorum};
use klamm_protocol::api::remove_raft_voter::{self, RemoveRaftVoter};
use klamm_protocol::api::unregister_broker::{self, UnregisterBroker};
use klamm_protocol::api::update_features::{self, UpdateFeatures};
use klamm_protocol::wire::{Str, Uuid};

use super::{Admin, Effect, Outcomes};
use crate::answer::Answer;
use crate::error::{Result, Subject};

/// Where the cluster's metadata is kept.
const METADATA_TOPIC: Str = Str::from_static("__cluster_metadata");

/// The brokers that keep the cluster's metadata (KIP-595).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// The one that leads.
    pub leader: i32,
    /// The epoch of its leadership.
    pub leader_epoch: i32,
    /// What the quorum has agreed on ends here.
    pub high_watermark: i64,
    /// Those that vote.
    pub voters: Vec<QuorumReplica>,
    /// Those that only follow.
    pub observers: Vec<QuorumReplica>,
}

/// One copy of the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumReplica {
    /// The broker.
    pub node: i32,
    /// The directory in which it lies; zero where brokers do not tell.
    pub directory: Uuid,
    /// Where its log ends.
    pub log_end_offset: i64,
    /// When it last fetched, in milliseconds since 1970.
    pub last_fetch_ms: Option<i64>,
    /// When it last had everything.
    pub last_caught_up_ms: Option<i64>,
}

/// A broker that is to vote (KIP-853).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVoter {
    /// Its node id.
    pub node: i32,
    /// The directory of its metadata.
    pub directory: Uuid,
    /// Where it listens to other controllers: name of the listener, host and port.
    pub listeners: Vec<(Str, Str, u16)>,
}

/// How a feature may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeatureChange {
    /// To this level, which is higher.
    Upgrade(i16),
    /// To this level, which is lower, if nothing is lost by it. 0 removes the feature.
    SafeDowngrade(i16),
    /// To this level, which is lower, even if something is lost by it.
    UnsafeDowngrade(i16),
}

impl Admin {
    /// The brokers that keep the cluster's metadata.
    ///
    /// # Errors
    /// No broker answers, or the cluster keeps its metadata in another way.
    pub async fn describe_quorum(&self) -> Result<Quorum> {
        let partition = describe_quorum::Partition { partition_index: 0 };
        let topic =
            describe_quorum::Topic { topic_name: METADATA_TOPIC, partitions: vec![partition] };
        let request = describe_quorum::Request { topics: vec![topic] };
        self.retry(Effect::Reads, async || {
            let Answer { body, origin } =
                self.controller().await?.call::<DescribeQuorum>(&request).await?;
            origin.check(body.error_code, body.error_message, Subject::Cluster)?;
            let told = body.topics.into_iter().flat_map(|topic| topic.partitions).next();
            let subject = Subject::Partition(METADATA_TOPIC, 0);
            let told = told.ok_or_else(|| origin.unanswered(subject.clone()))?;
            origin.check(told.error_code, told.error_message, subject)?;
            let replicas = |told: Vec<describe_quorum::Replica>| {
                told.into_iter().map(QuorumReplica::from_wire).collect()
            };
            Ok(Quorum {
                leader: told.leader_id,
                leader_epoch: told.leader_epoch,
                high_watermark: told.high_watermark,
                voters: replicas(told.current_voters),
                observers: replicas(told.observers),
            })
        })
        .await
    }

    /// Lets one more broker vote.
    ///
    /// # Errors
    /// No broker answers, or it is refused.
    pub async fn add_voter(&self, voter: &NewVoter) -> Result<()> {
        let listener = |(name, host, port): &(Str, Str, u16)| add_raft_voter::Listener {
            name: name.clone(),
            host: host.clone(),
            port: *port,
        };
        let request = add_raft_voter::Request {
            timeout_ms: self.timeout_ms(),
            voter_id: voter.node,
            voter_directory_id: voter.directory,
            listeners: voter.listeners.iter().map(listener).collect(),
            ..add_raft_voter::Request::default()
        };
        self.retry(Effect::Changes, async || {
            let Answer { body, origin } =
                self.controller().await?.call::<AddRaftVoter>(&request).await?;
            origin.check(body.error_code, body.error_message, Subject::Broker(voter.node))
        })
        .await
    }

    /// Lets a broker vote no more.
    ///
    /// # Errors
    /// No broker answers, or it is refused.
    pub async fn remove_voter(&self, node: i32, directory: Uuid) -> Result<()> {
        let request = remove_raft_voter::Request {
            voter_id: node,
            voter_directory_id: directory,
            ..remove_raft_voter::Request::default()
        };
        self.retry(Effect::Changes, async || {
            let Answer { body, origin } =
                self.controller().await?.call::<RemoveRaftVoter>(&request).await?;
            origin.check(body.error_code, body.error_message, Subject::Broker(node))
        })
        .await
    }

    /// Takes a broker out of the cluster that will not come back.
    ///
    /// # Errors
    /// No broker answers, or it is refused.
    pub async fn unregister_broker(&self, node: i32) -> Result<()> {
        let request = unregister_broker::Request { broker_id: node };
        self.retry(Effect::Changes, async || {
            let Answer { body, origin } =
                self.controller().await?.call::<UnregisterBroker>(&request).await?;
            origin.check(body.error_code, body.error_message, Subject::Broker(node))
        })
        .await
    }

    /// The features that the cluster has agreed on and their levels, such as
    /// `transaction.version`, in the order of their names.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn features(&self) -> Result<Vec<(Str, i16)>> {
        self.retry(Effect::Reads, async || {
            // Connections know what was agreed when they were opened: a new one is asked.
            let known = self.kafka.any_broker().await?;
            Ok(self.kafka.connect_anew(&known).await?.versions().features())
        })
        .await
    }

    /// Changes levels of features, or only tells whether that would be possible (KIP-584).
    ///
    /// # Errors
    /// No broker answers, or one of the changes is refused: then none is made.
    pub async fn update_features(
        &self,
        changes: &[(Str, FeatureChange)],
        validate_only: bool,
    ) -> Result<Outcomes<Str, ()>> {
        let update = |(feature, change): &(Str, FeatureChange)| {
            let (max_version_level, upgrade_type) = match change {
                FeatureChange::Upgrade(level) => (*level, 1),
                FeatureChange::SafeDowngrade(level) => (*level, 2),
                FeatureChange::UnsafeDowngrade(level) => (*level, 3),
            };
            update_features::FeatureUpdate {
                feature: feature.clone(),
                max_version_level,
                upgrade_type,
                ..update_features::FeatureUpdate::default()
            }
        };
        let request = update_features::Request {
            timeout_ms: self.timeout_ms(),
            feature_updates: changes.iter().map(update).collect(),
            validate_only,
        };
        let Answer { body, origin } = self
            .retry(Effect::Changes, async || {
                let answer = self.controller().await?.call::<UpdateFeatures>(&request).await?;
                let Answer { body, origin } = &answer;
                origin.check(body.error_code, body.error_message.clone(), Subject::Cluster)?;
                Ok(answer)
            })
            .await?;
        let mut told: std::collections::HashMap<_, _> =
            body.results.into_iter().map(|told| (told.feature.clone(), told)).collect();
        let outcome = |(feature, _): &(Str, FeatureChange)| {
            let subject = Subject::Name(feature.clone());
            // From version 2 on the answer is about all of them together.
            let outcome = told
                .remove(feature)
                .map_or(Ok(()), |told| origin.check(told.error_code, told.error_message, subject));
            (feature.clone(), outcome)
        };
        Ok(changes.iter().map(outcome).collect())
    }
}

impl QuorumReplica {
    fn from_wire(told: describe_quorum::Replica) -> Self {
        let known = |time: i64| (time >= 0).then_some(time);
        Self {
            node: told.replica_id,
            directory: told.replica_directory_id,
            log_end_offset: told.log_end_offset,
            last_fetch_ms: known(told.last_fetch_timestamp),
            last_caught_up_ms: known(told.last_caught_up_timestamp),
        }
    }
}
