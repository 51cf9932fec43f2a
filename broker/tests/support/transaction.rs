//! A transactional producer that says exactly what it is told to.

use std::collections::HashMap;

use bytes::Bytes;
use klamm_broker::Broker;
use klamm_protocol::api::{
    AddOffsetsToTxn, AddPartitionsToTxn, DescribeTransactions, EndTxn, Fetch, FindCoordinator,
    InitProducerId, OffsetFetch, Produce, TxnOffsetCommit,
};
use klamm_protocol::api::{
    add_offsets_to_txn, add_partitions_to_txn, describe_transactions, end_txn, fetch,
    find_coordinator, init_producer_id, offset_fetch, produce, txn_offset_commit,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BatchBuilder, BatchOptions, BatchProducer, batches};
use klamm_protocol::wire::Records;

use super::{Client, fetch_request, produce_request};

/// The versions that a client of each generation sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    First,
    Second,
}

pub struct Producer {
    pub client: Client,
    pub id: &'static str,
    pub generation: Generation,
    pub producer: (i64, i16),
    /// The sequence that each partition expects.
    sequences: HashMap<(String, i32), i32>,
}

impl Producer {
    /// Connects and asks for the coordinator.
    pub async fn connect(broker: &Broker, id: &'static str, generation: Generation) -> Self {
        let mut client = Client::connect(broker).await;
        let request = find_coordinator::Request {
            key_type: 1,
            coordinator_keys: vec![id.into()],
            ..Default::default()
        };
        let found = client.call::<FindCoordinator>(4, &request).await;
        assert_eq!(found.coordinators[0].error_code, ErrorCode::NONE);
        Self { client, id, generation, producer: (-1, -1), sequences: HashMap::new() }
    }

    /// Asks for an id and an epoch once.
    pub async fn try_init(&mut self, timeout_ms: i32) -> ErrorCode {
        let request = init_producer_id::Request {
            transactional_id: Some(self.id.into()),
            transaction_timeout_ms: timeout_ms,
            ..Default::default()
        };
        let given = self.client.call::<InitProducerId>(4, &request).await;
        if given.error_code.is_none() {
            self.take((given.producer_id, given.producer_epoch));
        }
        given.error_code
    }

    /// Asks until there is an answer that counts.
    pub async fn init(&mut self) {
        loop {
            match self.try_init(60_000).await {
                ErrorCode::NONE => return,
                code => assert!(is_passing(code), "{}", code.name()),
            }
        }
    }

    fn take(&mut self, producer: (i64, i16)) {
        if self.producer != producer {
            self.producer = producer;
            self.sequences.clear();
        }
    }

    /// Adds a partition of a topic once.
    pub async fn try_add(&mut self, topic: &str, partition: i32) -> ErrorCode {
        let topic =
            add_partitions_to_txn::Topic { name: topic.into(), partitions: vec![partition] };
        let request = add_partitions_to_txn::Request {
            v3_and_below_transactional_id: self.id.into(),
            v3_and_below_producer_id: self.producer.0,
            v3_and_below_producer_epoch: self.producer.1,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        };
        let added = self.client.call::<AddPartitionsToTxn>(3, &request).await;
        added.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    }

    /// Writes a record once, with a batch of its own.
    pub async fn try_write(&mut self, topic: &str, partition: i32, value: &str) -> ErrorCode {
        let place = (topic.to_owned(), partition);
        let sequence = self.sequences.get(&place).copied().unwrap_or(0);
        let batch = self.batch(sequence, value);
        let request = produce::Request {
            transactional_id: Some(self.id.into()),
            ..produce_request(topic, partition, -1, batch)
        };
        let version = if self.generation == Generation::First { 9 } else { 12 };
        let written = self.client.call::<Produce>(version, &request).await;
        let code = written.topics[0].partitions[0].error_code;
        self.sequences.insert(place, sequence + i32::from(code.is_none()));
        code
    }

    /// Has the next record for a partition this sequence.
    pub fn go_on_with(&mut self, topic: &str, partition: i32, sequence: i32) {
        self.sequences.insert((topic.to_owned(), partition), sequence);
    }

    fn batch(&self, base_sequence: i32, value: &str) -> Bytes {
        let options = BatchOptions { transactional: true, ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options);
        let (id, epoch) = self.producer;
        builder.set_producer(BatchProducer { id, epoch, base_sequence });
        builder.push(0, None, Some(value.as_bytes()), &[]).unwrap();
        builder.build(0).unwrap().bytes().clone()
    }

    /// Has a record written as part of the transaction, which it begins if need be.
    pub async fn write(&mut self, topic: &str, partition: i32, value: &str) {
        if self.generation == Generation::First {
            while self.try_add(topic, partition).await == ErrorCode::CONCURRENT_TRANSACTIONS {}
        }
        loop {
            match self.try_write(topic, partition, value).await {
                ErrorCode::NONE => return,
                code => assert!(is_passing(code), "{}", code.name()),
            }
        }
    }

    /// Commits an offset of partition 0 of a topic for a group once.
    pub async fn try_commit_offset(&mut self, group: &str, topic: &str, offset: i64) -> ErrorCode {
        if self.generation == Generation::First {
            let request = add_offsets_to_txn::Request {
                transactional_id: self.id.into(),
                producer_id: self.producer.0,
                producer_epoch: self.producer.1,
                group_id: group.into(),
            };
            let added = self.client.call::<AddOffsetsToTxn>(3, &request).await.error_code;
            if !added.is_none() {
                return added;
            }
        }
        let partition = txn_offset_commit::Partition {
            committed_offset: offset,
            committed_metadata: Some("m".into()),
            ..Default::default()
        };
        let topic = txn_offset_commit::Topic { name: topic.into(), partitions: vec![partition] };
        let request = txn_offset_commit::Request {
            transactional_id: self.id.into(),
            group_id: group.into(),
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            topics: vec![topic],
            ..Default::default()
        };
        let version = if self.generation == Generation::First { 3 } else { 5 };
        let committed = self.client.call::<TxnOffsetCommit>(version, &request).await;
        committed.topics[0].partitions[0].error_code
    }

    /// Has an offset committed as part of the transaction.
    pub async fn commit_offset(&mut self, group: &str, topic: &str, offset: i64) {
        loop {
            match self.try_commit_offset(group, topic, offset).await {
                ErrorCode::NONE => return,
                code => assert!(is_passing(code), "{}", code.name()),
            }
        }
    }

    /// Ends the transaction once.
    pub async fn try_end(&mut self, committed: bool) -> ErrorCode {
        let request = end_txn::Request {
            transactional_id: self.id.into(),
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            committed,
        };
        let version = if self.generation == Generation::First { 3 } else { 5 };
        let ended = self.client.call::<EndTxn>(version, &request).await;
        if ended.error_code.is_none() && self.generation == Generation::Second {
            self.take((ended.producer_id, ended.producer_epoch));
        }
        ended.error_code
    }

    pub async fn commit(&mut self) {
        assert_eq!(self.try_end(true).await, ErrorCode::NONE);
    }

    pub async fn abort(&mut self) {
        assert_eq!(self.try_end(false).await, ErrorCode::NONE);
    }

    pub async fn describe(&mut self) -> describe_transactions::TransactionAnswer {
        let request = describe_transactions::Request { transactional_ids: vec![self.id.into()] };
        let described = self.client.call::<DescribeTransactions>(0, &request).await;
        described.transaction_states[0].clone()
    }

    /// Waits until the coordinator has told everybody how the last transaction ended.
    pub async fn settled(&mut self) {
        while self.describe().await.transaction_state.starts_with("Prepare") {}
    }
}

impl Client {
    /// The values that a reader of committed records sees, as a consumer takes them from what it is
    /// sent, and the offset up to which it may read.
    pub async fn committed(&mut self, topic: &str, partition: i32) -> (Vec<String>, i64) {
        let (mut seen, mut offset) = (Vec::new(), 0);
        loop {
            let mut request = fetch_request(topic, offset, 0);
            request.isolation_level = 1;
            request.topics[0].partitions[0].partition = partition;
            let response = self.call::<Fetch>(12, &request).await;
            let answer = response.topics[0].partitions[0].clone();
            assert_eq!(answer.error_code, ErrorCode::NONE);
            let stable = answer.last_stable_offset;
            let next = take(answer, &mut seen);
            if next.is_none_or(|next| next >= stable) {
                return (seen, stable);
            }
            offset = next.unwrap_or(offset);
        }
    }
}

/// Whether a client is to try again.
fn is_passing(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::CONCURRENT_TRANSACTIONS | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
}

impl Client {
    /// How far a group has read partition 0 of a topic, or why that is not certain.
    pub async fn certain_offset(&mut self, group: &str, topic: &str) -> Result<i64, ErrorCode> {
        let topic = offset_fetch::GroupTopic {
            name: topic.into(),
            partition_indexes: vec![0],
            ..Default::default()
        };
        let asked = offset_fetch::Group {
            group_id: group.into(),
            topics: Some(vec![topic]),
            ..Default::default()
        };
        let request = offset_fetch::Request {
            groups: vec![asked],
            require_stable: true,
            ..Default::default()
        };
        loop {
            let told = self.call::<OffsetFetch>(8, &request).await.groups[0].clone();
            if told.error_code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {
                continue;
            }
            assert_eq!(told.error_code, ErrorCode::NONE);
            let partition = &told.topics[0].partitions[0];
            let code = partition.error_code;
            return if code.is_none() { Ok(partition.committed_offset) } else { Err(code) };
        }
    }

    /// Has the coordinator of a group be there.
    pub async fn find_group(&mut self, group: &str) {
        let request = find_coordinator::Request {
            coordinator_keys: vec![group.into()],
            ..Default::default()
        };
        let found = self.call::<FindCoordinator>(4, &request).await;
        assert_eq!(found.coordinators[0].error_code, ErrorCode::NONE);
    }
}

/// Takes what counts of an answer; gives the offset behind it, if there is anything in it.
fn take(answer: fetch::PartitionAnswer, seen: &mut Vec<String>) -> Option<i64> {
    let mut aborted = answer.aborted_transactions.unwrap();
    assert!(aborted.is_sorted_by_key(|it| it.first_offset));
    aborted.reverse();
    let (mut open, mut next) = (Vec::new(), None);
    for batch in batches(answer.records.map(Records::into_bytes).unwrap_or_default()) {
        let batch = batch.unwrap();
        let header = batch.header();
        while let Some(next) = aborted.pop_if(|it| it.first_offset <= header.last_offset()) {
            open.push(next.producer_id);
        }
        if header.attributes.is_control() {
            open.retain(|id| *id != header.producer_id);
        } else if !(header.attributes.is_transactional() && open.contains(&header.producer_id)) {
            let value = |value: Bytes| String::from_utf8(value.to_vec()).unwrap();
            let records = batch.records(1 << 20).unwrap();
            seen.extend(records.filter_map(|record| record.unwrap().value.map(value)));
        }
        next = Some(header.last_offset() + 1);
    }
    next
}
