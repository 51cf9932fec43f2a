//! Records as the application gets them.

use bytes::Bytes;
use klamm_client::{Error, Result, Subject};
use klamm_protocol::records::{Header, Record};
use klamm_protocol::wire::Str;

use crate::assignment::Place;
use crate::cursor::{Fetched, tenure_of};
use crate::position::Position;
use crate::shared::Settings;

/// Records of one partition that came in one batch, in the order of their offsets. They share
/// memory: to keep one record keeps all of its batch or, if that came uncompressed, the whole answer
/// to a fetch in which it came, with the batches of all partitions that are in it.
#[derive(Clone, Debug)]
pub struct ConsumerBatch {
    topic: Str,
    partition: i32,
    records: Vec<Record>,
    end_offset: i64,
    leader_epoch: i32,
    /// The number of the assignment in which it was given.
    tenure: u64,
}

/// One record, with where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
    /// The place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, given by the producer or, if the topic has it so, by the broker.
    pub timestamp: i64,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// In the order of the producer. Keys may repeat.
    pub headers: Vec<Header>,
}

impl ConsumerBatch {
    /// Checks and decodes a batch, and leaves out what is not wanted.
    pub(crate) fn decode(
        (topic, partition): (Str, i32),
        fetched: &Fetched,
        settings: &Settings,
    ) -> Result<Self> {
        let Fetched { batch, from, .. } = fetched;
        let subject = || Subject::Partition(topic.clone(), partition);
        let broken = |source| Error::Batch { subject: subject(), source };
        if settings.check_crcs {
            batch.verify_crc().map_err(broken)?;
        }
        let mut records = Vec::new();
        for record in batch.records(settings.decompressed_max).map_err(broken)? {
            let record = record.map_err(broken)?;
            if record.offset >= *from {
                records.push(record);
            }
        }
        let end_offset = fetched.end();
        let leader_epoch = batch.header().leader_epoch;
        let tenure = tenure_of(fetched.term);
        Ok(Self { topic, partition, records, end_offset, leader_epoch, tenure })
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Str {
        &self.topic
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The records; never none: a batch of which compaction has left none is passed over.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records, to be changed or left out. Where to go on is not changed by that.
    pub fn records_mut(&mut self) -> &mut Vec<Record> {
        &mut self.records
    }

    /// Where to go on after this batch.
    #[must_use]
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// The position after this batch, to be committed: for as long as the partition is not taken
    /// away, not even for a while.
    #[must_use]
    pub fn end(&self) -> Position {
        let position = Position::new(self.topic.clone(), self.partition, self.end_offset);
        Position { tenure: Some(self.tenure), ..position.with_epoch(self.leader_epoch) }
    }
}

impl<'a> IntoIterator for &'a ConsumerBatch {
    type Item = &'a Record;
    type IntoIter = std::slice::Iter<'a, Record>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.iter()
    }
}

impl IntoIterator for ConsumerBatch {
    type Item = ConsumerRecord;
    type IntoIter = ConsumerRecords;

    fn into_iter(self) -> ConsumerRecords {
        let Self { topic, partition, records, end_offset, leader_epoch, tenure } = self;
        let records = records.into_iter();
        ConsumerRecords { topic, partition, records, end_offset, leader_epoch, tenure }
    }
}

/// The records of one batch, each with where it came from.
#[derive(Clone, Debug)]
pub struct ConsumerRecords {
    topic: Str,
    partition: i32,
    records: std::vec::IntoIter<Record>,
    end_offset: i64,
    leader_epoch: i32,
    tenure: u64,
}

impl ConsumerRecords {
    /// The offset of the next record, if there is one more.
    pub(crate) fn next_offset(&self) -> Option<i64> {
        Some(self.records.as_slice().first()?.offset)
    }

    /// The partition that they are of.
    pub(crate) fn place(&self) -> Place {
        (self.topic.clone(), self.partition)
    }

    /// Leaves out what begins at this offset or later.
    pub(crate) fn cut(&mut self, end: i64) {
        if end < self.end_offset {
            self.end_offset = end;
            let kept: Vec<_> = self.records.by_ref().filter(|it| it.offset < end).collect();
            self.records = kept.into_iter();
        }
    }

    /// Whether they are of the partition of this position.
    pub(crate) fn is_of(&self, position: &Position) -> bool {
        self.topic == position.topic && self.partition == position.partition
    }
}

/// What is left of them.
impl From<ConsumerRecords> for ConsumerBatch {
    fn from(rest: ConsumerRecords) -> Self {
        let ConsumerRecords { topic, partition, records, end_offset, leader_epoch, tenure } = rest;
        let records = records.collect();
        Self { topic, partition, records, end_offset, leader_epoch, tenure }
    }
}

impl Iterator for ConsumerRecords {
    type Item = ConsumerRecord;

    fn next(&mut self) -> Option<ConsumerRecord> {
        let Record { offset, timestamp, key, value, headers } = self.records.next()?;
        let (topic, partition) = (self.topic.clone(), self.partition);
        Some(ConsumerRecord { topic, partition, offset, timestamp, key, value, headers })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}
