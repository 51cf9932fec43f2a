//! The first batch of a transaction in a partition: it is taken only if the coordinator knows that
//! the partition takes part. A batch that comes late, when its transaction has ended, would open a
//! new one that nobody ends (KIP-890).
//!
//! - Clients of version 12 and later leave it to the partition to take part: it is added.
//! - For older ones it is only asked, unless the settings say that it is not.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use klamm_protocol::api::produce::Request;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BatchHeader, BatchProducer};
use klamm_protocol::wire::Str;

use super::find_topic;
use crate::partition::{Partition, Rejection, Verification};
use crate::server::Call;
use crate::topics::is_internal;
use crate::txn::inclusion::{Inclusion, Part, include};
use crate::txn::machine::Producer;
use crate::txn::shard::command::Outcomes;

/// From this version on, partitions are added to transactions by what is written to them.
const ADDS_PARTITIONS: i16 = 12;
/// From this version on, clients know TRANSACTION_ABORTABLE.
const KNOWS_ABORTABLE: i16 = 11;

/// What was found out about the batches of a request.
#[derive(Debug, Default)]
pub(super) struct Verified {
    /// Whether the request has a transactional id.
    has_id: bool,
    /// Of those that begin transactions, by the names of their topics.
    begins: HashMap<(Str, i32), Result<Verification, ErrorCode>>,
}

impl Verified {
    /// What was found out about the batch for a partition; none where there was nothing to ask.
    /// Batches of transactions that are sent without a transactional id are refused.
    pub(super) fn get(
        &self,
        partition: &Partition,
        records: Option<&[u8]>,
    ) -> Result<Option<Verification>, Rejection> {
        let refuse = |code: ErrorCode| Rejection::new(code, code.meaning());
        if !self.has_id {
            let header = records.and_then(|records| BatchHeader::parse(records).ok());
            return match header.is_some_and(|header| header.attributes.is_transactional()) {
                true => Err(refuse(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)),
                false => Ok(None),
            };
        }
        let place = (partition.topic.name.clone(), partition.index);
        self.begins.get(&place).copied().transpose().map_err(refuse)
    }
}

/// A batch that begins a transaction, and where.
struct Begin {
    partition: Arc<Partition>,
    producer: Producer,
    verification: Verification,
}

impl Begin {
    /// Whether a marker has come since, so that it has to be verified anew.
    fn verify_anew(&mut self) -> bool {
        let Producer { id, epoch } = self.producer;
        let producer = BatchProducer { id, epoch, ..BatchProducer::NONE };
        let known = self.verification;
        self.verification = self.partition.verify_producer(producer).unwrap_or(known);
        self.verification != known
    }
}

/// Asks the coordinator about all batches of a request that begin transactions.
pub(super) async fn verify(call: &Call, request: &Request) -> Verified {
    let Some(id) = &request.transactional_id else { return Verified::default() };
    let mut producers: BTreeMap<(i64, i16), Vec<Begin>> = BTreeMap::new();
    for begin in begins(call, request) {
        producers.entry((begin.producer.id, begin.producer.epoch)).or_default().push(begin);
    }
    let mut verified = Verified { has_id: true, ..Verified::default() };
    for mut begins in producers.into_values() {
        let outcomes = ask(call, id, &mut begins).await;
        for (begin, outcome) in begins.into_iter().zip(outcomes) {
            let Begin { partition, producer, verification } = begin;
            if outcome.is_err() {
                partition.refute(producer.id, producer.epoch);
            }
            let outcome = outcome.map(|()| verification).map_err(|code| told(code, call.version));
            verified.begins.insert((partition.topic.name.clone(), partition.index), outcome);
        }
    }
    verified
}

/// The batches of a request that begin transactions.
fn begins(call: &Call, request: &Request) -> Vec<Begin> {
    let mut begins = Vec::new();
    for topic in &request.topics {
        let Some(found) = find_topic(call, topic) else { continue };
        if is_internal(&found.name) {
            continue;
        }
        for sent in &topic.partitions {
            let Some(partition) = found.partition(sent.index) else { continue };
            let records = sent.records.as_ref().map(|records| records.clone().into_bytes());
            let header = records.and_then(|records| BatchHeader::parse(&records).ok());
            let Some(header) = header else { continue };
            if let Some(verification) = partition.verify(&header) {
                let producer = Producer { id: header.producer_id, epoch: header.producer_epoch };
                begins.push(Begin { partition, producer, verification });
            }
        }
    }
    begins
}

/// Whether the partitions take part in the transaction of the producer that they share.
async fn ask(call: &Call, id: &Str, begins: &mut [Begin]) -> Outcomes {
    let Some(producer) = begins.first().map(|begin| begin.producer) else { return Outcomes::new() };
    let places = begins.iter().map(|it| (it.partition.topic.name.clone(), it.partition.index));
    let inclusion = match call.version {
        ADDS_PARTITIONS.. => Inclusion::ByWrite,
        _ => Inclusion::ByClient,
    };
    let part = Part { transactional_id: id, producer, places: places.collect() };
    let verify_anew = || {
        let mut is_new = false;
        for begin in begins {
            is_new |= begin.verify_anew();
        }
        is_new
    };
    include(&call.node, part, inclusion, verify_anew).await
}

/// What a client is told of it. Older ones do not try again on all codes on which they should; they
/// do on NOT_ENOUGH_REPLICAS.
fn told(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if version < KNOWS_ABORTABLE => {
            ErrorCode::INVALID_TXN_STATE
        }
        ErrorCode::CONCURRENT_TRANSACTIONS if version >= ADDS_PARTITIONS => code,
        ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR => ErrorCode::NOT_ENOUGH_REPLICAS,
        code => code,
    }
}
