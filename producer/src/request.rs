//! Produce requests and what their answers say of each batch. Pure.

use std::collections::HashMap;

use bytes::Bytes;
use klamm_client::config::Acks;
use klamm_client::{Answer, Error, Metadata, Origin, Subject};
use klamm_protocol::api::produce;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BATCH_HEADER_LEN, Batch, BatchHeader, BatchProducer};
use klamm_protocol::wire::{Records, Str, Uuid};

use crate::lane::Parcel;
use crate::receipt::Stored;

/// The first version that names topics by id.
pub(crate) const BY_ID: i16 = 13;
/// Where the checksum lies in a batch; it covers what follows it.
const CRC_AT: std::ops::Range<usize> = 17..21;

/// A batch in a request, and the lane it came from.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) lane: usize,
    pub(crate) topic: Str,
    pub(crate) partition: i32,
    pub(crate) parcel: Parcel,
}

/// The request that carries these batches, of which no two are of one partition.
pub(crate) fn request(
    sent: &[Sent],
    transactional_id: Option<Str>,
    metadata: &Metadata,
    acks: Acks,
    timeout_ms: i32,
) -> produce::Request {
    let mut topics: HashMap<&Str, Vec<produce::Partition>> = HashMap::new();
    for Sent { topic, partition, parcel, .. } in sent {
        let records = Some(stamped(&parcel.sealed.batch, parcel.stamp));
        let partition = produce::Partition { index: *partition, records };
        topics.entry(topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (&Str, _)| produce::Topic {
        name: name.clone(),
        topic_id: topic_id(metadata, name),
        partitions,
    };
    produce::Request {
        transactional_id,
        acks: match acks {
            Acks::All => -1,
            Acks::Leader => 1,
            Acks::None => 0,
        },
        timeout_ms,
        topics: topics.into_iter().map(topic).collect(),
    }
}

/// Whether all topics have ids, so that they need no names.
pub(crate) fn have_ids(sent: &[Sent], metadata: &Metadata) -> bool {
    sent.iter().all(|sent| !topic_id(metadata, &sent.topic).is_zero())
}

/// What an answer says of each batch, in the order in which they were sent.
pub(crate) fn outcomes(
    answer: Answer<produce::Response>,
    sent: &[Sent],
    metadata: &Metadata,
) -> Vec<Result<Stored, Error>> {
    let Answer { body, origin } = answer;
    let mut answers: HashMap<(Str, Uuid, i32), produce::PartitionAnswer> = HashMap::new();
    for topic in body.topics {
        for partition in topic.partitions {
            answers.insert((topic.name.clone(), topic.topic_id, partition.index), partition);
        }
    }
    let outcome = |sent: &Sent| {
        let by_name = (sent.topic.clone(), Uuid::ZERO, sent.partition);
        let by_id = (Str::default(), topic_id(metadata, &sent.topic), sent.partition);
        let subject = Subject::Partition(sent.topic.clone(), sent.partition);
        match answers.remove(&by_name).or_else(|| answers.remove(&by_id)) {
            Some(answer) => read_outcome(answer, subject, &origin),
            None => Err(origin.unanswered(subject)),
        }
    };
    sent.iter().map(outcome).collect()
}

fn read_outcome(
    answer: produce::PartitionAnswer,
    subject: Subject,
    origin: &Origin,
) -> Result<Stored, Error> {
    // What the broker has already was sent before and stored.
    if answer.error_code != ErrorCode::DUPLICATE_SEQUENCE_NUMBER {
        let refused = answer.record_errors.into_iter().find_map(|record| record.error_message);
        origin.check(answer.error_code, answer.error_message.or(refused), subject)?;
    }
    let known = |value: i64| (value >= 0).then_some(value);
    Ok(Stored {
        base_offset: known(answer.base_offset),
        append_time: known(answer.log_append_time_ms),
    })
}

fn topic_id(metadata: &Metadata, name: &Str) -> Uuid {
    metadata.topic(name).map_or(Uuid::ZERO, |topic| topic.id)
}

/// The batch as it is sent: under the producer's id and sequence number, which the checksum covers.
/// Its records are shared and never copied.
fn stamped(batch: &Batch, stamp: Option<BatchProducer>) -> Records {
    let Some(stamp) = stamp else { return batch.bytes().clone().into() };
    let header = BatchHeader {
        producer_id: stamp.id,
        producer_epoch: stamp.epoch,
        base_sequence: stamp.base_sequence,
        ..*batch.header()
    };
    let mut header = header.encode();
    let records = batch.bytes().slice(BATCH_HEADER_LEN..);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[CRC_AT.end..]), &records);
    header[CRC_AT].copy_from_slice(&crc.to_be_bytes());
    Records::from_chunks(vec![Bytes::copy_from_slice(&header), records])
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_protocol::records::{BatchBuilder, BatchOptions, Compression};

    #[test]
    fn a_stamped_batch_is_what_the_builder_would_have_made() {
        for compression in Compression::ALL {
            let producer = BatchProducer { id: 7, epoch: 3, base_sequence: 40 };
            let build = |producer, unsummed| {
                let options = BatchOptions { compression, unsummed, ..BatchOptions::default() };
                let mut builder = BatchBuilder::new(options);
                builder.push(1_000, Some(b"key"), Some(b"value"), &[]).unwrap();
                builder.push(1_001, None, Some(b"other"), &[]).unwrap();
                builder.set_producer(producer);
                builder.build(0).unwrap()
            };
            let plain = build(BatchProducer::NONE, false);
            for unsummed in [true, false] {
                let unnumbered = build(BatchProducer::NONE, unsummed);
                assert_eq!(unnumbered.header().crc == 0, unsummed);
                let bytes = stamped(&unnumbered, Some(producer)).into_bytes();
                assert_eq!(bytes, build(producer, false).bytes());
            }
            assert_eq!(stamped(&plain, None).into_bytes(), plain.bytes());
        }
    }
}
