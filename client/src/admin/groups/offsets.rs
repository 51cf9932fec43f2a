//! How far groups have read: looking at it, and changing it from outside.

use klamm_protocol::api::offset_delete::{self, OffsetDelete};
use klamm_protocol::wire::Str;

use crate::admin::coordinators::unless_elsewhere;
use crate::admin::offsets::by_topic;
use crate::admin::{Admin, Effect, Outcomes};
use crate::answer::Answer;
use crate::error::{Error, Result, Subject};
use crate::group_offsets::{self, CommittedOffset, Committer, Offsets, Reader, TopicIds};

impl Admin {
    /// All that these groups have committed. A group that does not exist has committed nothing.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
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
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
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
            group_offsets::fetch(&connection, &groups, partitions, &Reader::default()).await
        })
        .await
    }

    /// Sets how far a group has read, as if it had read so far. The group must have no members.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be carried out nevertheless, in whole or in part.
    pub async fn alter_group_offsets(
        &self,
        group: &Str,
        offsets: &[(Str, i32, CommittedOffset)],
    ) -> Result<Outcomes<(Str, i32), ()>> {
        self.by_coordinator_of(group, Effect::Changes, async |node| {
            let connection = self.kafka.broker(node).await?;
            let outsider = Committer::outsider();
            let offsets = offsets.iter().cloned();
            let ids = TopicIds::new();
            unless_elsewhere(
                group_offsets::commit(&connection, group, &outsider, offsets, &ids).await?,
            )
        })
        .await
    }

    /// Forgets what a group has read of these partitions. The group must not be subscribed to
    /// their topics.
    ///
    /// # Errors
    /// No broker answers, or the group does not exist.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be carried out nevertheless, in whole or in part.
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
            let Answer { body, origin } = self.kafka.call::<OffsetDelete>(node, &request).await?;
            origin.check(body.error_code, None, Subject::Name(group.clone()))?;
            let origin = &origin;
            let outcomes = body.topics.into_iter().flat_map(|topic| {
                let name = topic.name;
                topic.partitions.into_iter().map(move |told| {
                    let subject = Subject::Partition(name.clone(), told.partition_index);
                    let outcome = origin.check(told.error_code, None, subject);
                    ((name.clone(), told.partition_index), outcome)
                })
            });
            unless_elsewhere(outcomes.collect())
        })
        .await
    }
}
