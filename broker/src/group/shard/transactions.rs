//! Offsets that are committed as part of transactions.

use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BatchBuilder, BatchOptions, BatchProducer, Outcome};
use klamm_protocol::wire::Str;

use super::actor::Actor;
use super::command::{Answer, Outcomes, TransactionalCommit};
use super::commits::check_size;
use super::coordinator::{Coordinator, Setting};
use crate::group::classic::ClassicGroup;
use crate::group::consumer::Committer;
use crate::group::kind::Group;
use crate::group::records::GroupRecord;
use crate::partition::Marker;
use crate::shard::writes::{LOST, Writes, held};

impl Coordinator {
    /// What is to be appended if a commit of a transaction is kept. Nothing has changed by that.
    pub(super) fn plan(
        &mut self,
        commit: TransactionalCommit,
        setting: Setting<'_>,
    ) -> Result<(Vec<GroupRecord>, Outcomes), ErrorCode> {
        check_size(&commit.group, &commit.offsets, setting)?;
        self.check_transactional(&commit)?;
        let mut records = Vec::new();
        let outcomes = commit.offsets.into_iter().map(|new| {
            let (topic, partition, committed) = new.committed(None, setting)?;
            records.push(GroupRecord::offset(&commit.group, &topic, partition, &committed));
            Ok(())
        });
        let outcomes = outcomes.collect();
        Ok((records, outcomes))
    }

    fn check_transactional(&self, commit: &TransactionalCommit) -> Result<(), ErrorCode> {
        match self.groups.get(&commit.group) {
            Some(Group::Classic(group)) => {
                group.check_transactional(&commit.member, commit.generation)
            }
            Some(Group::Consumer(group)) => {
                let committer = Committer {
                    member_id: commit.member.member_id.clone(),
                    epoch: commit.generation,
                    knows_protocol: true,
                };
                let partitions = commit.offsets.iter().map(|new| (new.topic_id, new.partition));
                group.check_transactional(
                    &committer,
                    commit.member.instance_id.as_ref(),
                    partitions,
                )
            }
            None if commit.generation < 0 => Ok(()),
            None => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    /// Keeps what was appended for a producer's transaction until that ends.
    pub(super) fn pend(
        &mut self,
        producer_id: i64,
        records: Vec<GroupRecord>,
        setting: Setting<'_>,
    ) {
        for record in records {
            let GroupRecord::Offset(key, Some(value)) = record else { continue };
            self.have_group(&key.group, setting);
            let place = (&key.group, &key.topic, key.partition);
            self.offsets.pending.add(producer_id, place, value.into());
        }
    }

    /// A producer's transaction has ended. After a restart, groups may come up that were only in it.
    pub(super) fn end_transaction(
        &mut self,
        producer_id: i64,
        outcome: Outcome,
        setting: Setting<'_>,
    ) {
        for group in self.offsets.end_transaction(producer_id, outcome) {
            self.have_group(&group, setting);
        }
    }

    fn have_group(&mut self, name: &Str, setting: Setting<'_>) {
        if !self.groups.contains_key(name) {
            let group = Group::Classic(ClassicGroup::new(setting.limits(), setting.now));
            self.put_group(&name.detached(), group);
        }
    }
}

impl Actor {
    /// Appends a commit of a transaction, and keeps it if the partition takes it.
    pub(super) fn commit_in_transaction(
        &self,
        coordinator: &mut Coordinator,
        commit: TransactionalCommit,
        answer: Answer<Outcomes>,
        writes: &mut Writes,
    ) {
        let circumstances = self.circumstances();
        let setting = circumstances.setting(self.now());
        let TransactionalCommit { producer, verification, .. } = commit;
        let appended = coordinator.plan(commit, setting).and_then(|(records, outcomes)| {
            if records.is_empty() {
                return Ok(outcomes);
            }
            let batch = batch(producer, &records, setting.now.unix_ms)?;
            let appended = self.partition.append(batch, verification, setting.now.unix_ms);
            writes.push(appended.map_err(|rejection| told(rejection.code))?.commit);
            coordinator.pend(producer.id, records, setting);
            Ok(outcomes)
        });
        writes.hold(vec![held(answer, appended)]);
    }

    /// Appends the end of a producer's transaction, and does what it says.
    pub(super) fn end_transaction(
        &self,
        coordinator: &mut Coordinator,
        (marker, outcome): (Marker, Outcome),
        answer: Answer<()>,
        writes: &mut Writes,
    ) {
        let now_ms = self.node.clock.now_ms();
        let marked = self.partition.mark(&marker, outcome, now_ms).map_err(|rejection| {
            let partition = Arc::clone(&self.partition);
            tracing::error!(%partition, error = %rejection.message, "a transaction was not ended");
            rejection.code
        });
        let marked = marked.map(|commit| {
            writes.push(commit);
            let circumstances = self.circumstances();
            let setting = circumstances.setting(self.now());
            coordinator.end_transaction(marker.producer_id, outcome, setting);
        });
        writes.hold(vec![held(answer, marked)]);
    }
}

/// What a client is told of a partition that does not take a commit: codes of coordinators, which
/// clients act on, where the log's own would end them.
fn told(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::NOT_LEADER_OR_FOLLOWER => {
            ErrorCode::NOT_COORDINATOR
        }
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::RECORD_LIST_TOO_LARGE => ErrorCode::UNKNOWN_SERVER_ERROR,
        code => code,
    }
}

/// The records of a commit, as a batch of its transaction.
fn batch(
    producer: BatchProducer,
    records: &[GroupRecord],
    now_ms: i64,
) -> Result<klamm_protocol::records::Batch, ErrorCode> {
    let unsayable = |error: &dyn std::error::Error| {
        tracing::error!(%error, "what a transaction commits cannot be said in records");
        LOST
    };
    let options = BatchOptions { transactional: true, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    builder.set_producer(producer);
    for record in records {
        let record = record.encode().map_err(|error| unsayable(&error))?;
        let pushed = builder.push(now_ms, Some(&record.key), record.value.as_deref(), &[]);
        pushed.map_err(|error| unsayable(&error))?;
    }
    builder.build(0).map_err(|error| unsayable(&error))
}
