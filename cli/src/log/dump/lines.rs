//! Batches and records as lines, under the names that `kafka-dump-log` gives.

use klamm_protocol::records::{BatchHeader, EndTransaction, Outcome, Record, TimestampType};
use serde::Serialize;

use super::offsets;
use crate::output::Bytes;

/// A batch, under the names that `kafka-dump-log` gives.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchLine {
    base_offset: i64,
    last_offset: i64,
    count: i32,
    base_sequence: i32,
    last_sequence: i32,
    producer_id: i64,
    producer_epoch: i16,
    partition_leader_epoch: i32,
    is_transactional: bool,
    is_control: bool,
    delete_horizon_ms: Option<i64>,
    position: u64,
    timestamp_type: &'static str,
    timestamp: i64,
    size: usize,
    magic: i8,
    compresscodec: &'static str,
    crc: u32,
    isvalid: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecordLine<'a> {
    offset: i64,
    timestamp: i64,
    sequence: i32,
    key: Option<Content<'a>>,
    value: Option<Content<'a>>,
    headers: Vec<(Bytes<'a>, Option<Bytes<'a>>)>,
    #[serde(flatten)]
    marker: Option<Marker>,
    /// Why the record is not in readable form, though it was to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    undecoded: Option<String>,
    #[serde(skip)]
    key_bytes: Option<usize>,
    #[serde(skip)]
    value_bytes: Option<usize>,
}

/// A key or a value.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Bytes(Bytes<'a>),
    OffsetsKey(offsets::Key),
    OffsetsValue(offsets::Value),
}

/// What a record of a control batch says, where it ends a transaction.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    end_txn_marker: &'static str,
    coordinator_epoch: i32,
}

#[derive(Debug, Serialize)]
pub(super) struct DamageLine {
    pub(super) position: u64,
    pub(super) size: u64,
    pub(super) isvalid: bool,
    pub(super) damage: String,
}

pub(super) fn time_name(header: &BatchHeader) -> &'static str {
    match header.attributes.timestamp_type() {
        TimestampType::Create => "CreateTime",
        TimestampType::LogAppend => "LogAppendTime",
    }
}

impl BatchLine {
    pub(super) fn new(position: u64, header: &BatchHeader) -> Self {
        let attributes = header.attributes;
        Self {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            count: header.record_count,
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            partition_leader_epoch: header.leader_epoch,
            is_transactional: attributes.is_transactional(),
            is_control: attributes.is_control(),
            delete_horizon_ms: attributes.has_delete_horizon().then_some(header.base_timestamp),
            position,
            timestamp_type: time_name(header),
            timestamp: header.max_timestamp,
            size: header.size(),
            magic: header.magic,
            compresscodec: attributes.compression().map_or("unknown", |codec| codec.name()),
            crc: header.crc,
            isvalid: true,
        }
    }

    pub(super) fn text(&self) -> String {
        let horizon = self.delete_horizon_ms;
        let horizon =
            horizon.map_or("OptionalLong.empty".to_owned(), |ms| format!("OptionalLong[{ms}]"));
        format!(
            "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} \
             producerId: {} producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} \
             isControl: {} deleteHorizonMs: {horizon} position: {} {}: {} size: {} magic: {} \
             compresscodec: {} crc: {} isvalid: {}\n",
            self.base_offset,
            self.last_offset,
            self.count,
            self.base_sequence,
            self.last_sequence,
            self.producer_id,
            self.producer_epoch,
            self.partition_leader_epoch,
            self.is_transactional,
            self.is_control,
            self.position,
            self.timestamp_type,
            self.timestamp,
            self.size,
            self.magic,
            self.compresscodec,
            self.crc,
            self.isvalid,
        )
    }
}

impl<'a> RecordLine<'a> {
    /// The record at a place in its batch.
    pub(super) fn new(header: &BatchHeader, record: &'a Record, place: i32) -> Self {
        let base = header.base_sequence;
        let headers = record.headers.iter();
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            sequence: if base < 0 { -1 } else { base.wrapping_add(place) & i32::MAX },
            key: record.key.as_deref().map(Bytes).map(Content::Bytes),
            value: record.value.as_deref().map(Bytes).map(Content::Bytes),
            headers: headers
                .map(|header| (Bytes(&header.key), header.value.as_deref().map(Bytes)))
                .collect(),
            marker: header.attributes.is_control().then(|| Marker::of(record)).flatten(),
            undecoded: None,
            key_bytes: record.key.as_ref().map(|key| key.len()),
            value_bytes: record.value.as_ref().map(|value| value.len()),
        }
    }

    /// Brings the record into readable form, if it is one of `__consumer_offsets`.
    pub(super) fn decode_offsets(&mut self, record: &Record) {
        match offsets::decode(record) {
            Ok((key, value)) => {
                self.key = Some(Content::OffsetsKey(key));
                self.value = value.map(Content::OffsetsValue);
            }
            Err(error) => self.undecoded = Some(error.to_string()),
        }
    }

    pub(super) fn text(&self, time_name: &str) -> String {
        let size = |bytes: Option<usize>| bytes.map_or("-1".to_owned(), |bytes| bytes.to_string());
        let headers: Vec<_> = self.headers.iter().map(|(key, _)| lossy(key)).collect();
        let content = match &self.marker {
            Some(Marker { end_txn_marker, coordinator_epoch }) => {
                format!(" endTxnMarker: {end_txn_marker} coordinatorEpoch: {coordinator_epoch}")
            }
            None => self.content(),
        };
        format!(
            "| offset: {} {time_name}: {} keySize: {} valueSize: {} sequence: {} \
             headerKeys: [{}]{content}\n",
            self.offset,
            self.timestamp,
            size(self.key_bytes),
            size(self.value_bytes),
            self.sequence,
            headers.join(","),
        )
    }
}

impl RecordLine<'_> {
    fn content(&self) -> String {
        let labelled = |label: &str, content: Option<&Content<'_>>| {
            content.map(|content| format!(" {label}: {}", content.text())).unwrap_or_default()
        };
        let mut text = labelled("key", self.key.as_ref());
        text += &match (&self.key, &self.value) {
            // What a key in readable form says is deleted.
            (Some(Content::OffsetsKey(_)), None) => " payload: <DELETE>".to_owned(),
            (_, value) => labelled("payload", value.as_ref()),
        };
        if let Some(reason) = &self.undecoded {
            text += &format!(" undecoded: {reason}");
        }
        text
    }
}

impl Content<'_> {
    fn text(&self) -> String {
        match self {
            Self::Bytes(bytes) => lossy(bytes),
            Self::OffsetsKey(_) | Self::OffsetsValue(_) => {
                serde_json::to_string(self).expect("every field has a form in JSON")
            }
        }
    }
}

fn lossy(bytes: &Bytes<'_>) -> String {
    String::from_utf8_lossy(bytes.0).into_owned()
}

impl Marker {
    fn of(record: &Record) -> Option<Self> {
        let EndTransaction { outcome, coordinator_epoch } = EndTransaction::parse(record)?;
        let end_txn_marker = match outcome {
            Outcome::Commit => "COMMIT",
            Outcome::Abort => "ABORT",
        };
        Some(Self { end_txn_marker, coordinator_epoch })
    }
}

impl DamageLine {
    pub(super) fn text(&self) -> String {
        format!(
            "position: {} size: {} isvalid: false damage: {}\n",
            self.position, self.size, self.damage
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_transaction_is_named() {
        let marker = EndTransaction { outcome: Outcome::Abort, coordinator_epoch: 7 };
        let batch = marker.batch(4001, 3, 1_700_000_000_000).unwrap();
        let record = batch.records(0).unwrap().next().unwrap().unwrap();
        let line = RecordLine::new(batch.header(), &record, 0);
        assert_eq!(
            line.text("CreateTime"),
            "| offset: 0 CreateTime: 1700000000000 keySize: 4 valueSize: 6 sequence: -1 \
             headerKeys: [] endTxnMarker: ABORT coordinatorEpoch: 7\n"
        );
        let json = serde_json::to_value(&line).unwrap();
        assert_eq!(
            (&json["endTxnMarker"], &json["coordinatorEpoch"]),
            (&"ABORT".into(), &7.into())
        );
    }
}
