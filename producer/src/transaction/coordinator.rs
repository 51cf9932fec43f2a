//! Asking coordinators: the one of the transactional id, and those of groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_client::group_offsets::CommittedOffset;
use klamm_client::{
    Answer, Connection, CoordinatorKind, Error, GroupMetadata, Kafka, Origin, Result, Subject,
};
use klamm_protocol::api::add_offsets_to_txn::{self, AddOffsetsToTxn};
use klamm_protocol::api::add_partitions_to_txn::{self, AddPartitionsToTxn};
use klamm_protocol::api::end_txn::{self, EndTxn};
use klamm_protocol::api::init_producer_id::{self, InitProducerId};
use klamm_protocol::api::txn_offset_commit::{self, TxnOffsetCommit};
use klamm_protocol::declare::Api;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::BatchProducer;
use klamm_protocol::wire::Str;
use klamm_utils::backoff::Backoff;
use klamm_utils::clock;

use super::machine::{End, Generation, Place};
use super::meaning::{Meaning, meaning};
use crate::settings::TransactionSettings;
use crate::shared::Shared;

/// The feature whose level says which generation the cluster speaks.
const FEATURE: &str = "transaction.version";
/// The level from which on it is the second.
const SECOND_FROM: i16 = 2;
/// The newest version of AddPartitionsToTxn that is for clients.
const ADD_PARTITIONS_UNTIL: i16 = 3;
/// The newest versions of the first generation.
const FIRST_END_UNTIL: i16 = 4;
const FIRST_OFFSETS_UNTIL: i16 = 4;
/// While the coordinator still ends the last transaction, it is asked again after so long: markers
/// are written faster than brokers come back.
const CONCURRENT_PAUSE: Duration = Duration::from_millis(20);

/// What a coordinator is asked, at most in that version.
struct Question<'a, A: Api> {
    kind: CoordinatorKind,
    key: &'a Str,
    at_most: i16,
    request: &'a A::Request,
}

/// What the coordinator of the transactional id is asked.
fn of_transaction<'a, A: Api>(
    settings: &'a TransactionSettings,
    at_most: i16,
    request: &'a A::Request,
) -> Question<'a, A> {
    Question { kind: CoordinatorKind::Transaction, key: &settings.id, at_most, request }
}

/// Gets the producer's id: the first time under none, and later, for a new epoch, under the one it
/// has (KIP-360). It aborts what a producer with the same id has left open.
pub(crate) async fn init(
    kafka: &Kafka,
    settings: &TransactionSettings,
    known: BatchProducer,
    deadline: Option<Instant>,
) -> Result<(BatchProducer, Generation)> {
    let timeout_ms = i32::try_from(settings.timeout.as_millis()).unwrap_or(i32::MAX);
    let request = init_producer_id::Request {
        transactional_id: Some(settings.id.clone()),
        transaction_timeout_ms: timeout_ms,
        producer_id: known.id,
        producer_epoch: known.epoch,
    };
    let question = of_transaction::<InitProducerId>(settings, i16::MAX, &request);
    persist(kafka, settings, question, deadline, |answer, connection| {
        check(answer.body.error_code, &settings.id, &answer.origin)?;
        let (id, epoch) = (answer.body.producer_id, answer.body.producer_epoch);
        let producer = BatchProducer { id, epoch, base_sequence: 0 };
        Ok((producer, generation(connection, settings)))
    })
    .await
}

fn generation(connection: &Connection, settings: &TransactionSettings) -> Generation {
    let is_second = connection.versions().feature(FEATURE) >= SECOND_FROM;
    if is_second { settings.newest } else { Generation::First }
}

/// Has the coordinator include partitions, all or none.
pub(crate) async fn include(
    shared: &Shared,
    settings: &TransactionSettings,
    producer: BatchProducer,
    places: &[Place],
) -> Result<()> {
    let mut topics = BTreeMap::<_, Vec<_>>::new();
    for (topic, partition) in places {
        topics.entry(topic.clone()).or_default().push(*partition);
    }
    let topic = |(name, partitions)| add_partitions_to_txn::Topic { name, partitions };
    let request = add_partitions_to_txn::Request {
        v3_and_below_transactional_id: settings.id.clone(),
        v3_and_below_producer_id: producer.id,
        v3_and_below_producer_epoch: producer.epoch,
        v3_and_below_topics: topics.into_iter().map(topic).collect(),
        ..add_partitions_to_txn::Request::default()
    };
    let question = of_transaction::<AddPartitionsToTxn>(settings, ADD_PARTITIONS_UNTIL, &request);
    let deadline = Some(deadline(shared));
    persist(&shared.kafka, settings, question, deadline, |answer, _| read_inclusion(answer, places))
        .await
}

/// The first partition that was refused for a reason of its own says why all were.
fn read_inclusion(answer: Answer<add_partitions_to_txn::Response>, places: &[Place]) -> Result<()> {
    let Answer { body, origin } = answer;
    let mut told = BTreeMap::new();
    for topic in body.results_by_topic_v3_and_below {
        for partition in topic.results_by_partition {
            let place = (topic.name.detached(), partition.partition_index);
            told.insert(place, partition.partition_error_code);
        }
    }
    let mut not_attempted = Ok(());
    for place in places {
        let outcome = outcome_of(place, &told, &origin);
        if told.get(place) == Some(&ErrorCode::OPERATION_NOT_ATTEMPTED) {
            not_attempted = outcome;
        } else {
            outcome?;
        }
    }
    not_attempted
}

/// What an answer says of a partition. One that it leaves out is not done.
fn outcome_of(place: &Place, told: &BTreeMap<Place, ErrorCode>, origin: &Origin) -> Result<()> {
    match told.get(place) {
        Some(code) => origin.check(*code, None, subject_of(place)),
        None => Err(origin.unanswered(subject_of(place))),
    }
}

fn subject_of((topic, partition): &Place) -> Subject {
    Subject::Partition(topic.clone(), *partition)
}

/// Tells the coordinator of a group whose offsets are going to be committed.
pub(crate) async fn announce(
    shared: &Shared,
    settings: &TransactionSettings,
    producer: BatchProducer,
    group: &Str,
) -> Result<()> {
    let request = add_offsets_to_txn::Request {
        transactional_id: settings.id.clone(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        group_id: group.clone(),
    };
    let question = of_transaction::<AddOffsetsToTxn>(settings, i16::MAX, &request);
    let deadline = Some(deadline(shared));
    persist(&shared.kafka, settings, question, deadline, |answer, _| {
        check(answer.body.error_code, group, &answer.origin)
    })
    .await
}

/// Commits offsets of a group as part of the transaction.
pub(crate) async fn commit_offsets(
    shared: &Shared,
    settings: &TransactionSettings,
    (producer, generation): (BatchProducer, Generation),
    group: &GroupMetadata,
    offsets: Vec<(Str, i32, CommittedOffset)>,
) -> Result<()> {
    let places: Vec<_> =
        offsets.iter().map(|(topic, partition, _)| (topic.clone(), *partition)).collect();
    let request = offsets_request(settings, producer, group, offsets);
    let at_most = match generation {
        Generation::First => FIRST_OFFSETS_UNTIL,
        Generation::Second => i16::MAX,
    };
    let (kind, key, request) = (CoordinatorKind::Group, &group.id, &request);
    let question = Question::<TxnOffsetCommit> { kind, key, at_most, request };
    let deadline = Some(deadline(shared));
    persist(&shared.kafka, settings, question, deadline, |answer, _| read_offsets(answer, &places))
        .await
}

fn read_offsets(answer: Answer<txn_offset_commit::Response>, places: &[Place]) -> Result<()> {
    let Answer { body, origin } = answer;
    let mut told = BTreeMap::new();
    for topic in body.topics {
        for partition in topic.partitions {
            told.insert((topic.name.detached(), partition.partition_index), partition.error_code);
        }
    }
    places.iter().try_for_each(|place| outcome_of(place, &told, &origin))
}

fn offsets_request(
    settings: &TransactionSettings,
    producer: BatchProducer,
    group: &GroupMetadata,
    offsets: Vec<(Str, i32, CommittedOffset)>,
) -> txn_offset_commit::Request {
    let mut topics = BTreeMap::<_, Vec<_>>::new();
    for (topic, partition_index, committed) in offsets {
        topics.entry(topic).or_default().push(txn_offset_commit::Partition {
            partition_index,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(committed.metadata),
        });
    }
    let topic = |(name, partitions)| txn_offset_commit::Topic { name, partitions };
    txn_offset_commit::Request {
        transactional_id: settings.id.clone(),
        group_id: group.id.clone(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        generation_id: group.committer.generation,
        member_id: group.committer.member.clone(),
        group_instance_id: group.committer.instance.clone(),
        topics: topics.into_iter().map(topic).collect(),
    }
}

/// Ends the transaction, however long that takes. Gives under which id, and in which generation,
/// the next one goes.
pub(crate) async fn ask_end(
    kafka: &Kafka,
    settings: &TransactionSettings,
    (producer, spoken): (BatchProducer, Generation),
    end: End,
) -> Result<(BatchProducer, Generation)> {
    let request = end_txn::Request {
        transactional_id: settings.id.clone(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        committed: end == End::Commit,
    };
    let at_most = match spoken {
        Generation::First => FIRST_END_UNTIL,
        Generation::Second => i16::MAX,
    };
    let question = of_transaction::<EndTxn>(settings, at_most, &request);
    persist(kafka, settings, question, None, |answer, connection| {
        check(answer.body.error_code, &settings.id, &answer.origin)?;
        let (id, epoch) = (answer.body.producer_id, answer.body.producer_epoch);
        let next = if id >= 0 { BatchProducer { id, epoch, base_sequence: 0 } } else { producer };
        Ok((next, generation(connection, settings)))
    })
    .await
}

fn check(code: ErrorCode, subject: &Str, origin: &Origin) -> Result<()> {
    origin.check(code, None, Subject::Name(subject.clone()))
}

fn deadline(shared: &Shared) -> Instant {
    clock::now() + shared.settings.max_block
}

/// Asks a coordinator until it gives an answer that will not change by asking again, or until the
/// deadline. The error tells whether what was asked for may yet be done.
async fn persist<A: Api, T>(
    kafka: &Kafka,
    settings: &TransactionSettings,
    question: Question<'_, A>,
    deadline: Option<Instant>,
    read: impl Fn(Answer<A::Response>, &Connection) -> Result<T>,
) -> Result<T> {
    let (mut backoff, mut in_doubt, asked) = (settings.retry.backoff(), false, clock::now());
    loop {
        let answer = ask(kafka, &question, &read);
        let answer = match deadline {
            None => answer.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), answer).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::Timeout {
                    address: format!("the coordinator of {}", question.key).into(),
                    api: A::NAME,
                    after: deadline.saturating_duration_since(asked),
                }),
            },
        };
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let hides_doubt = in_doubt && !error.possibly_written();
        let told = |last| if hides_doubt { Error::Doubtful { last: Arc::new(last) } } else { last };
        if meaning(&error) != Meaning::Again {
            return Err(told(error));
        }
        in_doubt |= error.possibly_written();
        let pause = pause_after(&error, &mut backoff);
        if deadline.is_some_and(|deadline| clock::now() + pause > deadline) {
            return Err(told(error));
        }
        tracing::debug!(key = %question.key, %error, "asking the coordinator again");
        tokio::time::sleep(pause).await;
    }
}

async fn ask<A: Api, T>(
    kafka: &Kafka,
    question: &Question<'_, A>,
    read: &impl Fn(Answer<A::Response>, &Connection) -> Result<T>,
) -> Result<T> {
    let Question { kind, key, at_most, request } = *question;
    let node = kafka.coordinator(kind, key).await?;
    let answered = async {
        let connection = kafka.broker(node).await?;
        let version = connection.version::<A>(at_most)?;
        let answer = connection.submit::<A>(version, request).await?.answer().await?;
        read(answer, &connection)
    };
    let outcome = answered.await;
    if let Err(error) = &outcome
        && error.is_stale_coordinator()
    {
        kafka.forget_coordinator(kind, key, node);
    }
    outcome
}

/// How long to wait before asking again.
pub(crate) fn pause_after(error: &Error, backoff: &mut Backoff) -> Duration {
    match error.code() {
        Some(ErrorCode::CONCURRENT_TRANSACTIONS) => CONCURRENT_PAUSE.min(backoff.next_pause()),
        _ => backoff.next_pause(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_protocol::api::add_partitions_to_txn as add;

    fn answered<T>(body: T) -> Answer<T> {
        Answer { body, origin: Origin { api: "AddPartitionsToTxn", address: "a:1".into() } }
    }

    fn places(partitions: &[i32]) -> Vec<Place> {
        partitions.iter().map(|partition| ("orders".into(), *partition)).collect()
    }

    #[test]
    fn a_partition_that_the_answer_leaves_out_is_not_included() {
        let answer = |told: &[(i32, ErrorCode)]| {
            let result =
                |(partition_index, partition_error_code): &(i32, ErrorCode)| add::PartitionAnswer {
                    partition_index: *partition_index,
                    partition_error_code: *partition_error_code,
                };
            let results_by_partition = told.iter().map(result).collect();
            let topic = add::TopicAnswer { name: "orders".into(), results_by_partition };
            let results_by_topic_v3_and_below = vec![topic];
            answered(add::Response { results_by_topic_v3_and_below, ..Default::default() })
        };
        let both = places(&[0, 1]);
        let none = ErrorCode::NONE;
        assert!(read_inclusion(answer(&[(0, none), (1, none)]), &both).is_ok());
        let error = read_inclusion(answer(&[(0, none)]), &both).unwrap_err();
        assert!(error.to_string().starts_with("orders-1: "), "{error}");
        let refused =
            [(0, ErrorCode::OPERATION_NOT_ATTEMPTED), (1, ErrorCode::TOPIC_AUTHORIZATION_FAILED)];
        let error = read_inclusion(answer(&refused), &both).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    }

    #[test]
    fn an_offset_that_the_answer_leaves_out_is_not_committed() {
        let partition =
            txn_offset_commit::PartitionAnswer { partition_index: 0, error_code: ErrorCode::NONE };
        let topic =
            txn_offset_commit::TopicAnswer { name: "orders".into(), partitions: vec![partition] };
        let answer =
            answered(txn_offset_commit::Response { topics: vec![topic], ..Default::default() });
        assert!(read_offsets(answer.clone(), &places(&[0])).is_ok());
        let error = read_offsets(answer, &places(&[0, 1])).unwrap_err();
        assert!(error.to_string().starts_with("orders-1: "), "{error}");
    }
}
