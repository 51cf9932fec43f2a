//! Transactions and their producers, as those see them who look after a cluster (KIP-664).

use klamm_protocol::api::describe_producers::{self, DescribeProducers};
use klamm_protocol::api::describe_transactions::{self, DescribeTransactions};
use klamm_protocol::api::init_producer_id::{self, InitProducerId};
use klamm_protocol::api::list_transactions::{self, ListTransactions};
use klamm_protocol::api::write_txn_markers::{self, WriteTxnMarkers};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::clock;

use super::offsets::{Told, by_topic, read_answer};
use super::{Admin, Effect, Outcomes};
use crate::answer::Answer;
use crate::coordinator::CoordinatorKind;
use crate::error::{Result, Subject};
use crate::together::together;

/// Which transactions are wanted; what is empty or not set matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// States, such as `Ongoing`.
    pub states: Vec<Str>,
    /// Ids of producers.
    pub producers: Vec<i64>,
    /// Those that have been going on for longer, in milliseconds (KIP-994).
    pub longer_than_ms: Option<i64>,
    /// Those whose transactional id matches this regular expression, of the broker's kind
    /// (KIP-1152).
    pub pattern: Option<Str>,
}

/// A transactional id in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    /// The transactional id.
    pub id: Str,
    /// Whose it is.
    pub producer_id: i64,
    /// How far it is, such as `Ongoing` or `CompleteCommit`.
    pub state: Str,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// What a coordinator knows of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    /// The broker that coordinates it.
    pub coordinator: i32,
    /// How far it is.
    pub state: Str,
    /// How long it may be open, in milliseconds.
    pub timeout_ms: i32,
    /// When it began, in milliseconds since 1970; none where none is open.
    pub started_ms: Option<i64>,
    /// Whose it is.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The partitions that take part.
    pub partitions: Vec<(Str, i32)>,
}

/// What a partition knows of one who has produced to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i32,
    /// The sequence number of its last record.
    pub last_sequence: i32,
    /// The timestamp of its last record, in milliseconds since 1970.
    pub last_timestamp_ms: i64,
    /// The epoch of the coordinator that ended its last transaction; none if none has ended.
    pub coordinator_epoch: Option<i32>,
    /// Where the transaction begins that is open here.
    pub transaction_start: Option<i64>,
}

/// A transaction that hangs in one partition, as [`Admin::producers`] tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HangingTransaction {
    /// The topic.
    pub topic: Str,
    /// The partition's number.
    pub partition: i32,
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The epoch of the coordinator that ended its last transaction; 0 if none has ended.
    pub coordinator_epoch: i32,
}

impl Admin {
    /// The transactional ids that each broker coordinates.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn list_transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<Outcomes<i32, Vec<ListedTransaction>>> {
        let request = list_transactions::Request {
            state_filters: filter.states.clone(),
            producer_id_filters: filter.producers.clone(),
            duration_filter: filter.longer_than_ms.unwrap_or(-1),
            transactional_id_pattern: filter.pattern.clone(),
        };
        let began = clock::now();
        let brokers = self.describe_cluster().await?.brokers;
        let list = async |node| {
            let Answer { body, origin } =
                self.kafka.call::<ListTransactions>(node, &request).await?;
            origin.check(body.error_code, None, Subject::Broker(node))?;
            let listed = body.transaction_states.into_iter().map(|told| ListedTransaction {
                id: told.transactional_id,
                producer_id: told.producer_id,
                state: told.transaction_state,
                coordinator: node,
            });
            Ok(listed.collect())
        };
        let nodes = brokers.iter().map(|broker| broker.id);
        Ok(self.since(began).of_each(nodes, list).await)
    }

    /// What the coordinators of these transactional ids know of them.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn describe_transactions(
        &self,
        ids: &[Str],
    ) -> Result<Outcomes<Str, TransactionDescription>> {
        let kind = CoordinatorKind::Transaction;
        self.by_coordinators(kind, ids, Effect::Reads, async |node, ids| {
            let request = describe_transactions::Request { transactional_ids: ids };
            let Answer { body, origin } =
                self.kafka.call::<DescribeTransactions>(node, &request).await?;
            let outcome = |told: describe_transactions::TransactionAnswer| {
                let id = told.transactional_id.clone();
                let checked = origin.check(told.error_code, None, Subject::Name(id.clone()));
                (id, checked.map(|()| TransactionDescription::from_wire(told, node)))
            };
            Ok(body.transaction_states.into_iter().map(outcome).collect())
        })
        .await
    }

    /// What the leaders of these partitions know of those who have produced to them.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn producers(
        &self,
        partitions: &[(Str, i32)],
    ) -> Result<Outcomes<(Str, i32), Vec<ProducerState>>> {
        let asked = partitions.iter().cloned();
        self.by_leader(asked, Effect::Reads, async |node, partitions| {
            let topic =
                |name, partition_indexes| describe_producers::Topic { name, partition_indexes };
            let request = describe_producers::Request { topics: by_topic(&partitions, topic) };
            let answer = self.kafka.call::<DescribeProducers>(node, &request).await?;
            Ok(read_answer(answer.map(producers), partitions))
        })
        .await
    }

    /// Ends transactions that hang in a partition though their coordinator has forgotten them:
    /// what they wrote there is aborted.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn abort_transactions(
        &self,
        hanging: &[HangingTransaction],
    ) -> Result<Outcomes<HangingTransaction, ()>> {
        let abort = async |transaction: &HangingTransaction| {
            let place = (transaction.topic.clone(), transaction.partition);
            let ask = async |node, partitions| {
                let request = write_txn_markers::Request { markers: vec![transaction.marker()] };
                let answer = self.kafka.call::<WriteTxnMarkers>(node, &request).await?;
                Ok(read_answer(answer.map(marked), partitions))
            };
            let aborted = self.by_leader([place].into_iter(), Effect::Changes, ask).await;
            let outcome = aborted
                .and_then(|mut outcomes| outcomes.pop().expect("one outcome for each partition").1);
            (transaction.clone(), outcome)
        };
        Ok(together(hanging.iter().map(abort)).await)
    }

    /// Fences off whoever produces under these transactional ids, and aborts what they have left
    /// open. Gives the id and epoch that they would have had next.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn fence_producers(&self, ids: &[Str]) -> Result<Outcomes<Str, (i64, i16)>> {
        let kind = CoordinatorKind::Transaction;
        self.by_coordinators(kind, ids, Effect::Changes, async |node, ids| {
            let mut outcomes = Vec::with_capacity(ids.len());
            for id in ids {
                let fenced = self.fence(node, &id).await;
                outcomes.push((id, fenced));
            }
            Ok(outcomes)
        })
        .await
    }

    async fn fence(&self, node: i32, id: &Str) -> Result<(i64, i16)> {
        let request = init_producer_id::Request {
            transactional_id: Some(id.clone()),
            // No transaction of it will ever be open; but Kafka waits no longer for the replicas of
            // what it notes.
            transaction_timeout_ms: self.timeout_ms(),
            ..init_producer_id::Request::default()
        };
        let Answer { body, origin } = self.kafka.call::<InitProducerId>(node, &request).await?;
        // The older transaction is being ended: as good as fenced, and asked again.
        let code = match body.error_code {
            ErrorCode::CONCURRENT_TRANSACTIONS => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            code => code,
        };
        origin.check(code, None, Subject::Name(id.clone()))?;
        Ok((body.producer_id, body.producer_epoch))
    }
}

impl TransactionDescription {
    fn from_wire(told: describe_transactions::TransactionAnswer, coordinator: i32) -> Self {
        let partitions = told.topics.into_iter().flat_map(|topic| {
            let name = topic.topic;
            topic.partitions.into_iter().map(move |index| (name.clone(), index))
        });
        Self {
            coordinator,
            state: told.transaction_state,
            timeout_ms: told.transaction_timeout_ms,
            started_ms: (told.transaction_start_time_ms >= 0)
                .then_some(told.transaction_start_time_ms),
            producer_id: told.producer_id,
            producer_epoch: told.producer_epoch,
            partitions: partitions.collect(),
        }
    }
}

impl ProducerState {
    fn from_wire(told: describe_producers::Producer) -> Self {
        let start = told.current_txn_start_offset;
        Self {
            producer_id: told.producer_id,
            producer_epoch: told.producer_epoch,
            last_sequence: told.last_sequence,
            last_timestamp_ms: told.last_timestamp,
            coordinator_epoch: (told.coordinator_epoch >= 0).then_some(told.coordinator_epoch),
            transaction_start: (start >= 0).then_some(start),
        }
    }
}

/// What an answer says of those who have produced to each partition.
fn producers(answer: describe_producers::Response) -> Vec<Told<Vec<ProducerState>>> {
    let told = answer.topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        topic.partitions.into_iter().map(move |partition| {
            let item = (name.clone(), partition.partition_index);
            let producers = partition.active_producers.into_iter();
            (item, partition.error_code, producers.map(ProducerState::from_wire).collect())
        })
    });
    told.collect()
}

/// What an answer says of each partition that a marker was written to.
fn marked(answer: write_txn_markers::Response) -> Vec<Told<()>> {
    let topics = answer.markers.into_iter().flat_map(|marker| marker.topics);
    let told = topics.flat_map(|topic| {
        let name = topic.name;
        topic.partitions.into_iter().map(move |partition| {
            ((name.clone(), partition.partition_index), partition.error_code, ())
        })
    });
    told.collect()
}

impl HangingTransaction {
    fn marker(&self) -> write_txn_markers::Marker {
        let (name, partition_indexes) = (self.topic.clone(), vec![self.partition]);
        write_txn_markers::Marker {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            transaction_result: false,
            topics: vec![write_txn_markers::Topic { name, partition_indexes }],
            coordinator_epoch: self.coordinator_epoch,
            ..write_txn_markers::Marker::default()
        }
    }
}
