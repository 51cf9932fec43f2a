//! Committed offsets: kept, told, and deleted.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::command::{Asker, Commit, FetchedTopic, NewOffset, Outcomes, Stability, Wanted};
use super::coordinator::{Coordinator, Setting, Step};
use crate::group::classic::ClassicGroup;
use crate::group::consumer::Committer;
use crate::group::kind::Group;
use crate::group::offsets::Committed;
use crate::group::record_bytes_max;
use crate::group::records::GroupRecord;

impl Coordinator {
    /// Keeps offsets, if whoever commits them may.
    pub(super) fn commit(
        &mut self,
        commit: Commit,
        setting: Setting<'_>,
        step: &mut Step,
    ) -> Result<Outcomes, ErrorCode> {
        check_size(&commit.group, &commit.offsets, setting)?;
        self.check_commit(&commit, setting)?;
        let now_ms = setting.now.unix_ms;
        let expires_ms = commit.retention_ms.map(|retention| now_ms.saturating_add(retention));
        let outcomes = commit.offsets.into_iter().map(|new| {
            let (topic, partition, committed) = new.committed(expires_ms, setting)?;
            step.records.push(GroupRecord::offset(&commit.group, &topic, partition, &committed));
            self.offsets.set(&commit.group, &topic, partition, committed);
            Ok(())
        });
        Ok(outcomes.collect())
    }

    /// A commit from outside makes a group, so that its offsets are seen and deleted as others are.
    fn check_commit(&mut self, commit: &Commit, setting: Setting<'_>) -> Result<(), ErrorCode> {
        match self.groups.get_mut(&commit.group) {
            Some(Group::Classic(group)) => {
                group.commit(&commit.member, commit.generation, setting.now)
            }
            Some(Group::Consumer(group)) => {
                let committer = Committer {
                    member_id: commit.member.member_id.clone(),
                    epoch: commit.generation,
                    knows_protocol: commit.knows_epochs,
                };
                let partitions = commit.offsets.iter().map(|new| (new.topic_id, new.partition));
                group.check_commit(&committer, partitions)
            }
            None if commit.generation < 0 => {
                let group = ClassicGroup::new(setting.limits(), setting.now);
                self.groups.insert(commit.group.detached(), Group::Classic(group));
                Ok(())
            }
            None => Err(commit.no_group),
        }
    }

    /// Tells how far a group has read, if whoever asks may know.
    pub(super) fn fetch(
        &self,
        group: &Str,
        asker: &Asker,
        wanted: Wanted,
    ) -> Result<Vec<FetchedTopic>, ErrorCode> {
        if let Some(Group::Consumer(group)) = self.groups.get(group) {
            group.check_fetch(asker.member_id.as_deref(), asker.epoch)?;
        }
        Ok(self.fetched(group, wanted, asker.stability))
    }

    fn fetched(&self, group: &Str, wanted: Wanted, stability: Stability) -> Vec<FetchedTopic> {
        let tell = |topic: &Str, index: i32, committed: Option<&Committed>| {
            let pending = &self.offsets.pending;
            let is_certain = stability == Stability::Any || !pending.contains(group, topic, index);
            let certain = is_certain.then(|| committed.cloned());
            (index, certain.ok_or(ErrorCode::UNSTABLE_OFFSET_COMMIT))
        };
        match wanted {
            Wanted::These(topics) => topics
                .into_iter()
                .map(|(topic, partitions)| {
                    let get = |index| tell(&topic, index, self.offsets.get(group, &topic, index));
                    let partitions = partitions.into_iter().map(get).collect();
                    FetchedTopic { topic, partitions }
                })
                .collect(),
            Wanted::All => self
                .offsets
                .of_group(group)
                .into_iter()
                .flatten()
                .map(|(topic, partitions)| {
                    let partitions =
                        partitions.iter().map(|(index, it)| tell(topic, *index, Some(it)));
                    let partitions = partitions.collect();
                    FetchedTopic { topic: topic.clone(), partitions }
                })
                .collect(),
        }
    }

    /// Forgets offsets of topics that the group does not use.
    pub(super) fn delete_offsets(
        &mut self,
        name: &Str,
        partitions: Vec<(Str, i32)>,
        step: &mut Step,
    ) -> Result<Outcomes, ErrorCode> {
        let group = self.groups.get(name).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        group.check_offset_delete()?;
        let mut known: Option<(Str, bool)> = None;
        let outcomes = partitions.into_iter().map(|(topic, partition)| {
            // The partitions of a topic are mostly named one behind the other.
            let is_known = known.as_ref().is_some_and(|(name, _)| *name == topic);
            if !is_known {
                known = Some((topic.clone(), group.subscribes_to(&topic)));
            }
            if known.as_ref().is_some_and(|(_, is_read)| *is_read) {
                return Err(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
            }
            if self.offsets.remove(name, &topic, partition) {
                step.records.push(GroupRecord::offset_gone(name, &topic, partition));
            }
            Ok(())
        });
        Ok(outcomes.collect())
    }
}

/// Each record of an offset bears the name of the group, so that a short request could be a long
/// record: it is refused whole, before anything of it is kept.
///
/// # Errors
/// `INVALID_COMMIT_OFFSET_SIZE`.
pub(super) fn check_size(
    group: &Str,
    offsets: &[NewOffset],
    setting: Setting<'_>,
) -> Result<(), ErrorCode> {
    let bytes = offsets.iter().map(|new| group.len() + new.topic.len() + new.metadata.len() + 64);
    let fits = bytes.sum::<usize>() <= record_bytes_max(setting.config);
    if fits { Ok(()) } else { Err(ErrorCode::INVALID_COMMIT_OFFSET_SIZE) }
}

impl NewOffset {
    /// For which partition of which topic it is, and what is kept of it.
    ///
    /// # Errors
    /// OFFSET_METADATA_TOO_LARGE.
    pub(super) fn committed(
        self,
        expires_ms: Option<i64>,
        setting: Setting<'_>,
    ) -> Result<(Str, i32, Committed), ErrorCode> {
        // Kafka counts a text as Java does.
        if self.metadata.encode_utf16().count() > setting.config.metadata_bytes_max {
            return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
        }
        let committed = Committed {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: self.metadata.detached(),
            committed_ms: setting.now.unix_ms,
            expires_ms,
            topic_id: self.topic_id,
        };
        Ok((self.topic, self.partition, committed))
    }
}
