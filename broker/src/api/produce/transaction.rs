//! The first batch of a transaction in a partition: it is taken only if the coordinator knows that
//! the partition takes part. A batch that comes late, when its transaction has ended, would open a
//! new one that nobody ends (KIP-890).
//!
//! - Clients of version 12 and later leave it to the partition to take part: it is added.
//! - For older ones it is only asked, unless the settings say that it is not.

use std::collections::{BTreeMap, HashMap};

use klamm_protocol::api::produce::Request;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::BatchHeader;
use klamm_protocol::wire::Str;

use super::find_topic;
use crate::partition::{Partition, Rejection, Verification};
use crate::server::Call;
use crate::topics::is_internal;
use crate::txn::inclusion::{Asking, Inclusion, include};
use crate::txn::machine::Producer;

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

/// Asks the coordinator about all batches of a request that begin transactions.
pub(super) async fn verify(call: &Call, request: &Request) -> Verified {
    let Some(id) = &request.transactional_id else { return Verified::default() };
    let inclusion = match call.version {
        ADDS_PARTITIONS.. => Inclusion::ByWrite,
        _ => Inclusion::ByClient,
    };
    let mut verified = Verified { has_id: true, ..Verified::default() };
    for askings in askings(call, request).into_values() {
        let places: Vec<_> = askings.iter().map(Asking::place).collect();
        let outcomes = include(&call.node, id, askings, inclusion).await;
        let outcomes = outcomes.into_iter().map(|it| it.map_err(|code| told(code, call.version)));
        verified.begins.extend(places.into_iter().zip(outcomes));
    }
    verified
}

/// What is to be asked about the batches of a request that begin transactions, by their producers.
fn askings(call: &Call, request: &Request) -> BTreeMap<(i64, i16), Vec<Asking>> {
    let mut askings: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for topic in &request.topics {
        let Some(found) = find_topic(call, topic) else { continue };
        if is_internal(&found.name) {
            continue;
        }
        for sent in &topic.partitions {
            let Some(partition) = found.partition(sent.index) else { continue };
            let records = sent.records.as_ref().map(|records| records.clone().into_bytes());
            let header = records.and_then(|records| BatchHeader::parse(&records).ok());
            let Some(header) = header.filter(is_of_transaction) else { continue };
            let producer = Producer { id: header.producer_id, epoch: header.producer_epoch };
            if let Some(asking) = Asking::begin(&partition, producer, header.base_sequence) {
                askings.entry((producer.id, producer.epoch)).or_default().push(asking);
            }
        }
    }
    askings
}

fn is_of_transaction(header: &BatchHeader) -> bool {
    header.has_producer() && header.attributes.is_transactional()
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
