//! The records of `__transaction_state`, in Kafka's own format.
//!
//! The bodies are those of `common/message/*.json` in Kafka's transaction coordinator. Before the
//! key stands the type of the record, before the value the version of its body, both as 16 bits. A
//! record without a value is a tombstone: the transactional id that its key names has expired.

use std::collections::{BTreeMap, BTreeSet};

use klamm_protocol::records::Record;
use klamm_protocol::wire::{Encoded, Reader, Wire, WireError, Writer};

use super::machine::{Generation, Partitions, Producer, Snapshot, State};
use crate::shard::EncodedRecord;

klamm_protocol::structs! {
    /// Names a transactional id.
    struct TransactionKey {
        transactional_id: Str,
    }

    /// What a transactional id has come to.
    struct TransactionValue {
        producer_id: i64,
        producer_epoch: i16,
        timeout_ms: i32,
        /// The number of its [`State`].
        state: i8,
        /// Null where the state is Empty.
        partitions: Option<Vec<TransactionTopic>>,
        updated_ms: i64,
        /// -1 where no transaction was ever begun.
        started_ms: i64;
        tagged {
            /// The producer id before the last change; -1 where there was none.
            0 => previous_producer_id: i64 [1..] = -1,
            /// The producer id from the end of the transaction on; -1 where it stays.
            1 => next_producer_id: i64 [1..] = -1,
            /// 2 where the producer gets a new epoch with every transaction; less otherwise.
            2 => client_transaction_version: i16 [1..],
            /// For transactions that are prepared from outside, which are not served.
            3 => next_producer_epoch: i16 [1..] = -1,
        }
    }

    /// What of a topic takes part in a transaction.
    struct TransactionTopic {
        topic: Str,
        partitions: Vec<i32>,
    }
}

/// One record of the log of transactions.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionRecord {
    /// Which transactional id it is about.
    pub key: TransactionKey,
    /// What has become of it; none where it has expired.
    pub value: Option<TransactionValue>,
}

/// Why bytes are no record of the log of transactions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are not of the form that their type has.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// There is no key.
    #[error("the record has no key")]
    NoKey,
    /// The type is not known: a later release wrote it.
    #[error("record type {0} is not known")]
    UnknownType(i16),
    /// The value is in a version that is not known: a later release wrote it.
    #[error("version {0} of a transaction is not known")]
    UnknownVersion(i16),
    /// The transaction is in a state that is not known, or that no log should say.
    #[error("a transaction in state {0} is not known")]
    UnknownState(i8),
}

/// The only type of record so far.
const TRANSACTION: i16 = 0;
/// The version in which values are written, the newest that is read, and the first that is in the
/// flexible form.
const VALUE_VERSION: i16 = 1;
/// What the log says of clients whose producers keep their epoch.
const FIRST_GENERATION: i16 = 0;
/// What it says of those whose producers get a new epoch with every transaction, at least.
const SECOND_GENERATION: i16 = 2;

impl TransactionRecord {
    /// This has become of a transactional id.
    pub(crate) fn now(transactional_id: &Str, snapshot: &Snapshot) -> Self {
        let key = TransactionKey { transactional_id: transactional_id.clone() };
        Self { key, value: Some(snapshot.into()) }
    }

    /// A transactional id has expired.
    pub(crate) fn gone(transactional_id: &Str) -> Self {
        let key = TransactionKey { transactional_id: transactional_id.clone() };
        Self { key, value: None }
    }

    /// Reads a record of the log.
    ///
    /// # Errors
    /// It is of no known form.
    pub fn decode(record: &Record) -> Result<Self, RecordError> {
        let mut key = Reader::new(record.key.clone().ok_or(RecordError::NoKey)?, 0, false);
        match i16::read(&mut key)? {
            TRANSACTION => {}
            kind => return Err(RecordError::UnknownType(kind)),
        }
        let key = body(&mut key)?;
        let value = record.value.clone().map(decode_value).transpose()?;
        Ok(Self { key, value })
    }

    /// The key and the value as they are stored.
    ///
    /// # Errors
    /// A text is longer than the format can say.
    pub(crate) fn encode(&self) -> Result<EncodedRecord, WireError> {
        let key = encode(TRANSACTION, Writer::new(0, false), &self.key)?;
        let value = self.value.as_ref();
        let writer = || Writer::new(VALUE_VERSION, true);
        let value = value.map(|value| encode(VALUE_VERSION, writer(), value));
        Ok(EncodedRecord { key, value: value.transpose()? })
    }
}

fn decode_value(value: Bytes) -> Result<TransactionValue, RecordError> {
    let mut head = Reader::new(value, 0, false);
    let version = i16::read(&mut head)?;
    if !(0..=VALUE_VERSION).contains(&version) {
        return Err(RecordError::UnknownVersion(version));
    }
    let rest = head.take(head.remaining())?;
    Ok(body(&mut Reader::new(rest, version, version >= VALUE_VERSION))?)
}

fn body<T: Wire>(reader: &mut Reader) -> Result<T, WireError> {
    let body = T::read(reader)?;
    reader.finish()?;
    Ok(body)
}

fn encode(head: i16, mut writer: Writer, body: &impl Wire) -> Result<Bytes, WireError> {
    writer.put(&head.to_be_bytes());
    body.write(&mut writer);
    writer.finish().map(Encoded::into_bytes)
}

impl From<&Snapshot> for TransactionValue {
    fn from(snapshot: &Snapshot) -> Self {
        let topic = |(topic, partitions): (&Str, &BTreeSet<i32>)| TransactionTopic {
            topic: topic.clone(),
            partitions: partitions.iter().copied().collect(),
        };
        let is_empty = snapshot.state == State::Empty;
        Self {
            producer_id: snapshot.producer.id,
            producer_epoch: snapshot.producer.epoch,
            timeout_ms: snapshot.timeout_ms,
            state: snapshot.state.number(),
            partitions: (!is_empty).then(|| snapshot.partitions.iter().map(topic).collect()),
            updated_ms: snapshot.updated_ms,
            started_ms: snapshot.started_ms.unwrap_or(-1),
            previous_producer_id: snapshot.previous_id.unwrap_or(-1),
            next_producer_id: snapshot.next_id.unwrap_or(-1),
            client_transaction_version: match snapshot.generation {
                Generation::First => FIRST_GENERATION,
                Generation::Second => SECOND_GENERATION,
            },
            next_producer_epoch: -1,
        }
    }
}

impl TryFrom<TransactionValue> for Snapshot {
    type Error = RecordError;

    fn try_from(value: TransactionValue) -> Result<Self, RecordError> {
        let state =
            State::from_number(value.state).ok_or(RecordError::UnknownState(value.state))?;
        let some = |number: i64| Some(number).filter(|number| *number >= 0);
        let mut partitions: Partitions = BTreeMap::new();
        for topic in value.partitions.unwrap_or_default() {
            partitions.entry(topic.topic.detached()).or_default().extend(topic.partitions);
        }
        Ok(Self {
            producer: Producer { id: value.producer_id, epoch: value.producer_epoch },
            previous_id: some(value.previous_producer_id),
            next_id: some(value.next_producer_id),
            timeout_ms: value.timeout_ms,
            state,
            partitions,
            started_ms: some(value.started_ms),
            updated_ms: value.updated_ms,
            generation: match value.client_transaction_version {
                SECOND_GENERATION.. => Generation::Second,
                _ => Generation::First,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<TransactionRecord, RecordError> {
        let key = Some(Bytes::copy_from_slice(key));
        let value = value.map(Bytes::copy_from_slice);
        TransactionRecord::decode(&Record { key, value, ..Record::default() })
    }

    const KEY: &[u8] = b"\0\0\0\x02tx";

    /// Checks a value against the bytes that Kafka's own classes made of it.
    fn check(value: &TransactionValue, bytes: &[u8]) {
        let key = TransactionKey { transactional_id: "tx".into() };
        let record = TransactionRecord { key, value: Some(value.clone()) };
        let EncodedRecord { key, value: encoded } = record.encode().unwrap();
        assert_eq!((&*key, encoded.as_deref()), (KEY, Some(bytes)));
        check_read(value, bytes);
        let snapshot = Snapshot::try_from(value.clone()).unwrap();
        assert_eq!(TransactionValue::from(&snapshot), *value);
    }

    fn check_read(value: &TransactionValue, bytes: &[u8]) {
        assert_eq!(decode(KEY, Some(bytes)).unwrap().value.as_ref(), Some(value));
        for cut in 0..bytes.len() {
            assert!(decode(KEY, Some(&bytes[..cut])).is_err(), "the value cut at {cut}");
        }
    }

    fn empty() -> TransactionValue {
        TransactionValue {
            producer_id: 7,
            timeout_ms: 60_000,
            updated_ms: 9,
            started_ms: -1,
            ..TransactionValue::default()
        }
    }

    fn topic(name: &str, partitions: &[i32]) -> TransactionTopic {
        TransactionTopic { topic: name.into(), partitions: partitions.into() }
    }

    fn ongoing() -> TransactionValue {
        let topics = vec![topic("__consumer_offsets", &[5]), topic("t", &[0, 3])];
        TransactionValue { state: 1, started_ms: 8, partitions: Some(topics), ..empty() }
    }

    #[test]
    fn transactions_are_written_as_by_kafka() {
        check(
            &empty(),
            b"\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0\xea\x60\0\0\0\0\0\0\0\0\0\x09\
            \xff\xff\xff\xff\xff\xff\xff\xff\0",
        );
        check(
            &ongoing(),
            b"\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0\xea\x60\x01\x03\
            \x13__consumer_offsets\x02\0\0\0\x05\0\x02t\x03\0\0\0\0\0\0\0\x03\0\
            \0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x08\0",
        );
        let exhausted = TransactionValue {
            producer_epoch: i16::MAX,
            state: 2,
            partitions: Some(vec![topic("t", &[0])]),
            previous_producer_id: 6,
            next_producer_id: 8,
            client_transaction_version: 2,
            ..ongoing()
        };
        check(
            &exhausted,
            b"\0\x01\0\0\0\0\0\0\0\x07\x7f\xff\0\0\xea\x60\x02\x02\x02t\x02\0\0\0\0\0\
            \0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x08\x03\0\x08\0\0\0\0\0\0\0\x06\
            \x01\x08\0\0\0\0\0\0\0\x08\x02\x02\0\x02",
        );
    }

    #[test]
    fn what_older_and_newer_brokers_wrote_is_read() {
        check_read(
            &empty(),
            b"\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\xea\x60\0\xff\xff\xff\xff\0\0\0\0\0\0\0\x09\
            \xff\xff\xff\xff\xff\xff\xff\xff",
        );
        check_read(
            &ongoing(),
            b"\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\xea\x60\x01\0\0\0\x02\0\x12__consumer_offsets\
            \0\0\0\x01\0\0\0\x05\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x03\
            \0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x08",
        );
        let prepared = TransactionValue { next_producer_epoch: 1, ..empty() };
        check_read(
            &prepared,
            b"\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0\xea\x60\0\0\0\0\0\0\0\0\0\x09\
            \xff\xff\xff\xff\xff\xff\xff\xff\x01\x03\x02\0\x01",
        );
    }

    #[test]
    fn a_record_without_a_value_is_a_tombstone() {
        let gone = TransactionRecord::gone(&"tx".into());
        let EncodedRecord { key, value } = gone.encode().unwrap();
        assert_eq!((&*key, value), (KEY, None));
        assert_eq!(decode(KEY, None), Ok(gone));
        for cut in 0..KEY.len() {
            assert!(decode(&KEY[..cut], None).is_err(), "the key cut at {cut}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert_eq!(decode(b"\0\x01\0\x02tx", None), Err(RecordError::UnknownType(1)));
        assert_eq!(decode(KEY, Some(b"\0\x02")), Err(RecordError::UnknownVersion(2)));
        assert_eq!(TransactionRecord::decode(&Record::default()), Err(RecordError::NoKey));
        for state in [-1, 6, 7, 8] {
            let refused = Snapshot::try_from(TransactionValue { state, ..empty() });
            assert_eq!(refused, Err(RecordError::UnknownState(state)));
        }
    }
}
