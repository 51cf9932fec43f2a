//! A produce request with one batch, encoded once and sent again and again.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bytes::Bytes;
use klamm_protocol::api::{Produce, produce};
use klamm_protocol::records::{BatchBuilder, BatchOptions, BatchProducer, Compression, crc32c};
use klamm_protocol::wire::{Records, Str};

use crate::args;
use crate::payload::Payloads;
use crate::wire::encoded;

/// Not flexible, so that what changes lies at fixed places, and allows every compression.
const VERSION: i16 = 7;
/// How long the broker may wait for its replicas.
const TIMEOUT_MS: i32 = 30_000;

// Places in a batch.
const CRC: Range<usize> = 17..21;
const CHECKED_FROM: usize = 21;
const BASE_SEQUENCE: Range<usize> = 53..57;

/// What one batch holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchShape {
    pub(crate) records: usize,
    pub(crate) of: args::Records,
    pub(crate) compression: Compression,
}

impl BatchShape {
    /// Bytes of all values together.
    pub(crate) fn value_bytes(&self) -> u64 {
        self.records as u64 * self.of.size as u64
    }

    fn build(&self, producer: BatchProducer) -> Result<Bytes> {
        let options = BatchOptions { compression: self.compression, ..Default::default() };
        let mut batch = BatchBuilder::new(options);
        batch.set_producer(producer);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let now_ms = i64::try_from(since_epoch.as_millis())?;
        let mut payloads = Payloads::new(self.of.payload);
        for _ in 0..self.records {
            batch.push(now_ms, None, Some(&payloads.next(self.of.size)), &[])?;
        }
        Ok(batch.build(0)?.bytes().clone())
    }
}

/// The request, ready for the socket but for its correlation id.
pub(crate) struct ProduceRequest {
    bytes: Vec<u8>,
    batch_at: usize,
}

impl ProduceRequest {
    pub(crate) fn new(
        topic: &str,
        acks: i16,
        shape: &BatchShape,
        producer: BatchProducer,
    ) -> Result<Self> {
        let batch = shape.build(producer)?;
        let batch_len = batch.len();
        let partition = produce::Partition { index: 0, records: Some(Records::from(batch)) };
        let request = produce::Request {
            transactional_id: None,
            acks,
            timeout_ms: TIMEOUT_MS,
            topics: vec![produce::Topic {
                name: Str::from(topic),
                partitions: vec![partition],
                ..Default::default()
            }],
        };
        let bytes = encoded::<Produce>(VERSION, &request)?;
        // The records are what a request of this version ends with.
        let batch_at = bytes.len() - batch_len;
        Ok(Self { bytes, batch_at })
    }

    /// Bytes of the batch as it travels.
    pub(crate) fn batch_len(&self) -> usize {
        self.bytes.len() - self.batch_at
    }

    /// Says which partition is meant: its number stands in front of the records' length.
    pub(crate) fn set_partition(&mut self, partition: i32) {
        let at = self.batch_at - 8;
        self.bytes[at..at + 4].copy_from_slice(&partition.to_be_bytes());
    }

    /// Says where the batch stands in its producer's sequence, which takes a new checksum.
    pub(crate) fn set_sequence(&mut self, sequence: i32) {
        let batch = &mut self.bytes[self.batch_at..];
        batch[BASE_SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
        let crc = crc32c(&batch[CHECKED_FROM..]);
        batch[CRC].copy_from_slice(&crc.to_be_bytes());
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::header::{RequestHeader, decode_request};
    use klamm_protocol::records::Batch;

    use super::*;
    use crate::payload::PayloadKind;

    #[test]
    fn what_is_set_later_is_read_by_the_broker() {
        let of = args::Records { size: 100, payload: PayloadKind::Text };
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let shape = BatchShape { records: 7, of, compression };
            let producer = BatchProducer { id: 5, epoch: 1, base_sequence: 0 };
            let mut request = ProduceRequest::new("some-topic", -1, &shape, producer).unwrap();
            request.set_partition(77);
            request.set_sequence(4_242);

            let frame = Bytes::copy_from_slice(&request.bytes[4..]);
            let (_, body) = RequestHeader::split(frame).unwrap();
            let mut read = decode_request::<Produce>(body).unwrap();
            let partition = read.topics.remove(0).partitions.remove(0);
            assert_eq!(partition.index, 77);
            let batch = Batch::parse(partition.records.unwrap().into_bytes()).unwrap();
            batch.check_produced().unwrap();
            assert_eq!(batch.header().base_sequence, 4_242);
            assert_eq!(batch.header().record_count, 7);
        }
    }
}
