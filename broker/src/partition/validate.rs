//! Whether a batch may be stored, decided before any lock is taken.
//!
//! Only the header is read, unless the topic asks for more: keys on a compacted topic, timestamps
//! within a window, a compression of its own. Source of the rules: Kafka's `LogValidator`,
//! `ProduceRequest.validateRecords` and `UnifiedLog.analyzeAndValidateRecords`.

use bytes::Bytes;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{
    Batch, BatchBuilder, BatchError, BatchHeader, BatchOptions, BatchProducer, Compression, Record,
    TimestampType,
};

use crate::config::{StoredCompression, TopicConfig};

/// The first version of Produce whose clients may send zstd (KIP-110).
const ZSTD_FROM_VERSION: i16 = 7;
/// Records decompress to this many times the largest batch allowed, at most.
const EXPANSION_MAX: usize = 64;
/// The least that records may decompress to.
const EXPANSION_FLOOR: usize = 16 * 1024 * 1024;

/// Why a batch was refused: Kafka's code, what to tell a person, and which records it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    pub(crate) records: Vec<RejectedRecord>,
    /// Whether the log itself said no: Kafka then tells where it begins.
    pub(crate) by_log: bool,
}

/// One record that must not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RejectedRecord {
    pub(crate) index: i32,
    pub(crate) message: &'static str,
}

impl Rejection {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), records: Vec::new(), by_log: false }
    }

    /// The same, said by the log.
    pub(crate) fn by_log(self) -> Self {
        Self { by_log: true, ..self }
    }

    /// What the header or the records say cannot be.
    fn invalid(error: &BatchError) -> Self {
        Self::new(ErrorCode::INVALID_RECORD, error.to_string()).by_log()
    }
}

/// Turns what a client sent for one partition into the batch to store.
///
/// # Errors
/// The [`Rejection`] that Kafka gives for it.
pub(crate) fn validate(
    records: Option<Bytes>,
    version: i16,
    config: &TopicConfig,
    now_ms: i64,
) -> Result<Batch, Rejection> {
    let mut batch = exactly_one(records.unwrap_or_default())?;
    let header = *batch.header();
    let compression = header.attributes.compression();
    if compression == Ok(Compression::Zstd) && version < ZSTD_FROM_VERSION {
        let message = "Produce before version 7 cannot carry zstd";
        return Err(Rejection::new(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, message));
    }
    check_size(header.size(), config)?;
    check_header(&batch)?;
    let compression = compression.map_err(|error| Rejection::invalid(&error))?;
    let timestamps = config.timestamps.kind;
    // The mark is the broker's: a client cannot know when the log will have the batch.
    if timestamps == TimestampType::Create && header.attributes.timestamp_type() != timestamps {
        batch = batch.with_create_time();
    }
    if config.cleanup.compact
        || breaks_window(&header, config, now_ms)
        || lacks_newest(&header, config)
    {
        let newest = check_records(&batch, config, now_ms)?;
        // Retention and look-ups by time believe the header: were it to tell of what no record has,
        // nothing would ever be old, or all at once.
        if timestamps == TimestampType::Create && newest != header.max_timestamp {
            batch = batch.with_max_timestamp(newest);
        }
    }
    if let StoredCompression::Codec(wanted) = config.compression
        && wanted != compression
    {
        batch = recompress(&batch, wanted, config)?;
        check_size(batch.header().size(), config)?;
    }
    check_fits_segment(&batch, config)?;
    Ok(batch)
}

fn check_header(batch: &Batch) -> Result<(), Rejection> {
    match batch.check_produced() {
        Ok(()) if batch.header().base_offset != 0 => {
            let message = "a batch begins at offset 0";
            Err(Rejection::new(ErrorCode::INVALID_RECORD, message).by_log())
        }
        Ok(()) => Ok(()),
        Err(error @ BatchError::Checksum { .. }) => {
            Err(Rejection::new(ErrorCode::CORRUPT_MESSAGE, error.to_string()))
        }
        Err(error) => Err(Rejection::invalid(&error)),
    }
}

/// From version 3 on, a partition's records are one batch of format 2, no more and no less. A
/// batch that is cut off behind it counts for nothing, as in Kafka.
fn exactly_one(mut records: Bytes) -> Result<Batch, Rejection> {
    let invalid = |message| Err(Rejection::new(ErrorCode::INVALID_RECORD, message));
    match Batch::split_first(&mut records) {
        Ok(None) => invalid("a partition takes one whole batch"),
        Ok(Some(batch)) => match Batch::split_first(&mut records) {
            Ok(Some(_)) => invalid("a partition takes one batch at a time"),
            _ => Ok(batch),
        },
        Err(BatchError::Magic(0 | 1)) => invalid("record formats 0 and 1 are not taken"),
        Err(error) => Err(Rejection::new(ErrorCode::CORRUPT_MESSAGE, error.to_string())),
    }
}

fn check_size(size: usize, config: &TopicConfig) -> Result<(), Rejection> {
    let size_max = config.message_bytes_max;
    if size <= size_max {
        return Ok(());
    }
    let message = format!("the batch has {size} bytes and max.message.bytes allows {size_max}");
    Err(Rejection::new(ErrorCode::MESSAGE_TOO_LARGE, message))
}

/// The log would give it a segment of its own, as it does for what the broker itself has to say.
fn check_fits_segment(batch: &Batch, config: &TopicConfig) -> Result<(), Rejection> {
    let (size, size_max) = (batch.header().size(), config.log.segment_bytes);
    if size <= size_max as usize {
        return Ok(());
    }
    let message = format!("the batch has {size} bytes and segment.bytes allows {size_max}");
    Err(Rejection::new(ErrorCode::RECORD_LIST_TOO_LARGE, message))
}

/// Whether some timestamp may lie outside what the topic allows. The header tells the newest; the
/// oldest can only be found among the records.
fn breaks_window(header: &BatchHeader, config: &TopicConfig, now_ms: i64) -> bool {
    config.timestamps.kind == TimestampType::Create
        && (config.timestamps.before_max_ms != i64::MAX
            || header.max_timestamp > now_ms.saturating_add(config.timestamps.after_max_ms))
}

/// Whether the header cannot tell the newest timestamp: Sarama left that field empty for years.
fn lacks_newest(header: &BatchHeader, config: &TopicConfig) -> bool {
    config.timestamps.kind == TimestampType::Create && header.max_timestamp < header.base_timestamp
}

/// Gives the timestamp of the newest record; -1 where none has one.
fn check_records(batch: &Batch, config: &TopicConfig, now_ms: i64) -> Result<i64, Rejection> {
    let (mut rejected, mut newest) = (Vec::new(), -1);
    let mut code = ErrorCode::INVALID_RECORD;
    for (index, record) in (0..).zip(open(batch, config)?) {
        let record =
            record.map_err(|error| Rejection::new(ErrorCode::INVALID_RECORD, error.to_string()))?;
        newest = newest.max(record.timestamp);
        if config.cleanup.compact && record.key.is_none() {
            let message = "a compacted topic cannot take a record without a key";
            rejected.push(RejectedRecord { index, message });
        } else if is_outside(&record, config, now_ms) {
            code = ErrorCode::INVALID_TIMESTAMP;
            let message = "the timestamp is outside what the topic allows";
            rejected.push(RejectedRecord { index, message });
        }
    }
    if rejected.is_empty() {
        return Ok(newest);
    }
    let message = "one or more records have been rejected".into();
    Err(Rejection { code, message, records: rejected, by_log: true })
}

fn is_outside(record: &Record, config: &TopicConfig, now_ms: i64) -> bool {
    config.timestamps.kind == TimestampType::Create
        && record.timestamp >= 0
        && (record.timestamp < now_ms.saturating_sub(config.timestamps.before_max_ms)
            || record.timestamp > now_ms.saturating_add(config.timestamps.after_max_ms))
}

fn open(
    batch: &Batch,
    config: &TopicConfig,
) -> Result<klamm_protocol::records::RecordIter, Rejection> {
    let limit = config.message_bytes_max.saturating_mul(EXPANSION_MAX).max(EXPANSION_FLOOR);
    batch.records(limit).map_err(|error| Rejection::invalid(&error))
}

/// Builds the batch anew in the compression that the topic asks for.
fn recompress(
    batch: &Batch,
    compression: Compression,
    config: &TopicConfig,
) -> Result<Batch, Rejection> {
    let header = batch.header();
    let invalid = |error: String| Rejection::new(ErrorCode::INVALID_RECORD, error).by_log();
    let mut builder = BatchBuilder::new(BatchOptions {
        compression,
        level: config.levels.of(compression),
        timestamp_type: header.attributes.timestamp_type(),
        transactional: header.attributes.is_transactional(),
        ..BatchOptions::default()
    });
    builder.set_producer(BatchProducer {
        id: header.producer_id,
        epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
    });
    for record in open(batch, config)? {
        let record = record.map_err(|error| invalid(error.to_string()))?;
        builder
            .push(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers)
            .map_err(|error| invalid(error.to_string()))?;
    }
    builder.build(0).map_err(|error| invalid(error.to_string()))
}
