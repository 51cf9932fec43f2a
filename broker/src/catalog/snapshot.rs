//! A snapshot: an image as a file, in Kafka's own format.
//!
//! The file holds record batches: a control batch that begins it, the records that make the image,
//! and a control batch that ends it, by which a whole file is told from a part of one.

use klamm_protocol::records::{
    Batch, BatchBuilder, BatchError, BatchOptions, BuildError, RecordError as BatchRecordError,
    batches,
};
use klamm_protocol::wire::{Wire as _, WireError, Writer};

use super::image::{ApplyError, Image};
use super::records::{MetadataRecord, RecordError};

/// A batch takes no more records once it is this large.
const BATCH_BYTES: usize = 1 << 20;
/// What a batch may be when decompressed. Ours are not compressed.
const RECORDS_BYTES_MAX: usize = 64 << 20;

/// Types of control records, as their keys say them.
const HEADER: i16 = 3;
const FOOTER: i16 = 4;

klamm_protocol::structs! {
    /// The value of the control record that begins a snapshot.
    struct SnapshotHeader {
        version: i16,
        /// When the last record that went into it was appended, in milliseconds since 1970.
        last_contained_log_timestamp: i64,
    }

    /// The value of the control record that ends a snapshot.
    struct SnapshotFooter {
        version: i16,
    }
}

/// Why bytes are no part of the metadata.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A batch is damaged.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A record in a batch is damaged.
    #[error(transparent)]
    Record(#[from] BatchRecordError),
    /// A record has no value, or one that is not understood.
    #[error(transparent)]
    Metadata(#[from] RecordError),
    /// A record does not fit those before it.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The file does not begin or not end as a snapshot does.
    #[error("the snapshot is not whole")]
    Partial,
}

/// Why records could not be put into a batch.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A text is too long for its record.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The batch would be too large.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// When, and by the leader of which epoch, metadata is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now_ms: i64,
    pub(super) leader_epoch: i32,
}

/// One batch of these records, for the log.
pub(super) fn batch(records: &[MetadataRecord], now_ms: i64) -> Result<Batch, EncodeError> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for record in records {
        builder.push(now_ms, None, Some(&record.encode()?), &[])?;
    }
    Ok(builder.build(0)?)
}

/// Takes the records of a batch of the log in; those of control batches mean nothing here.
pub(super) fn apply(image: &mut Image, batch: &Batch) -> Result<(), DecodeError> {
    if batch.header().attributes.is_control() {
        return Ok(());
    }
    for record in batch.records(RECORDS_BYTES_MAX)? {
        let value = record?.value.unwrap_or_default();
        image.apply(&MetadataRecord::decode(value)?)?;
    }
    Ok(())
}

/// The file of an image: pieces to be written one after the other.
pub(super) fn encode(image: &Image, moment: Moment) -> Result<Vec<Bytes>, EncodeError> {
    let header = SnapshotHeader { version: 0, last_contained_log_timestamp: moment.now_ms };
    let mut file = File { pieces: Vec::new(), offset: 0, moment };
    file.put(control(HEADER, &header, moment.now_ms)?);
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for record in image.to_records() {
        if builder.estimated_size() >= BATCH_BYTES {
            let full = std::mem::replace(&mut builder, BatchBuilder::new(BatchOptions::default()));
            file.put(full.build(0)?);
        }
        builder.push(moment.now_ms, None, Some(&record.encode()?), &[])?;
    }
    if !builder.is_empty() {
        file.put(builder.build(0)?);
    }
    file.put(control(FOOTER, &SnapshotFooter::default(), moment.now_ms)?);
    Ok(file.pieces)
}

/// The image that a file holds.
pub(super) fn decode(file: Bytes) -> Result<Image, DecodeError> {
    let mut image = Image::default();
    let mut batches = batches(file);
    let (mut begun, mut ended) = (false, false);
    for batch in batches.by_ref() {
        let batch = batch?;
        batch.check()?;
        let kind = control_kind(&batch)?;
        if ended || begun == (kind == Some(HEADER)) {
            return Err(DecodeError::Partial);
        }
        begun = true;
        ended = kind == Some(FOOTER);
        apply(&mut image, &batch)?;
    }
    if ended && batches.rest().is_empty() { Ok(image) } else { Err(DecodeError::Partial) }
}

struct File {
    pieces: Vec<Bytes>,
    offset: i64,
    moment: Moment,
}

impl File {
    fn put(&mut self, batch: Batch) {
        let stamp = batch.stamp(self.offset, self.moment.leader_epoch);
        self.offset += i64::from(batch.header().last_offset_delta) + 1;
        self.pieces.push(Bytes::copy_from_slice(&stamp));
        self.pieces.push(batch.bytes().slice(stamp.len()..));
    }
}

fn control(
    kind: i16,
    body: &impl klamm_protocol::wire::Wire,
    now_ms: i64,
) -> Result<Batch, EncodeError> {
    let mut builder = BatchBuilder::new(BatchOptions { control: true, ..BatchOptions::default() });
    let mut key = Writer::new(0, false);
    0i16.write(&mut key);
    kind.write(&mut key);
    let mut value = Writer::new(0, true);
    body.write(&mut value);
    let (key, value) = (key.finish()?.into_bytes(), value.finish()?.into_bytes());
    builder.push(now_ms, Some(&key), Some(&value), &[])?;
    Ok(builder.build(0)?)
}

/// The type of a control batch; `None` for a batch of data.
fn control_kind(batch: &Batch) -> Result<Option<i16>, DecodeError> {
    if !batch.header().attributes.is_control() {
        return Ok(None);
    }
    let first = batch.records(RECORDS_BYTES_MAX)?.next().transpose()?;
    let key = first.and_then(|record| record.key).unwrap_or_default();
    let kind = key.get(2..4).and_then(|bytes| bytes.try_into().ok());
    Ok(Some(kind.map_or(-1, i16::from_be_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::records::{FeatureLevelRecord, TopicRecord};

    const MOMENT: Moment = Moment { now_ms: 1_700_000_000_000, leader_epoch: 1 };

    fn image() -> Image {
        let mut image = Image::default();
        let topic = TopicRecord { name: "orders".into(), topic_id: Uuid([7; 16]) };
        let feature = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
        image.apply(&MetadataRecord::Topic(topic)).unwrap();
        image.apply(&MetadataRecord::FeatureLevel(feature)).unwrap();
        image
    }

    #[test]
    fn every_cut_of_a_snapshot_is_noticed() {
        let file: Bytes = encode(&image(), MOMENT).unwrap().concat().into();
        assert_eq!(decode(file.clone()).unwrap(), image());
        for cut in 0..file.len() {
            assert!(decode(file.slice(..cut)).is_err(), "{cut}");
        }
        let twice: Bytes = [file.clone(), file].concat().into();
        assert!(matches!(decode(twice), Err(DecodeError::Partial)));
    }

    #[test]
    fn every_flipped_byte_behind_the_stamps_is_noticed() {
        let file = encode(&image(), MOMENT).unwrap();
        let whole = file.concat();
        let mut position = 0;
        for piece in file {
            // Offsets and epochs stand before what the checksum covers, and mean nothing here.
            for at in (position..position + piece.len()).filter(|_| piece.len() > 16) {
                let mut damaged = whole.clone();
                damaged[at] ^= 0x10;
                assert!(decode(damaged.into()).is_err(), "{at}");
            }
            position += piece.len();
        }
    }
}
