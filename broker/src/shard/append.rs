//! Appending what a shard wants remembered.

use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BatchBuilder, BatchOptions, Compression};
use klamm_protocol::wire::WireError;

use super::EncodedRecord;
use super::writes::Writes;
use crate::partition::Partition;

/// A batch does not grow beyond this size, unless a single record does.
const BATCH_BYTES: usize = 512 << 10;

/// Appends records, in as few batches as their size allows.
///
/// # Errors
/// Some of them, perhaps all, are not appended: what they say has not happened.
pub(crate) fn append(
    partition: &Arc<Partition>,
    records: impl Iterator<Item = Result<EncodedRecord, WireError>>,
    compression: Compression,
    now_ms: i64,
    writes: &mut Writes,
) -> Result<(), ErrorCode> {
    let options = BatchOptions { compression, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let record = record.map_err(|error| unsayable(partition, &error))?;
        let value = record.value.as_deref();
        let size = builder.estimated_size_with(now_ms, Some(&record.key), value, &[]);
        if size > BATCH_BYTES && !builder.is_empty() {
            let full = std::mem::replace(&mut builder, BatchBuilder::new(options));
            close(partition, full, now_ms, writes)?;
        }
        let pushed = builder.push(now_ms, Some(&record.key), value, &[]);
        pushed.map_err(|error| unsayable(partition, &error))?;
    }
    if builder.is_empty() { Ok(()) } else { close(partition, builder, now_ms, writes) }
}

fn close(
    partition: &Arc<Partition>,
    builder: BatchBuilder,
    now_ms: i64,
    writes: &mut Writes,
) -> Result<(), ErrorCode> {
    let batch = builder.build(0).map_err(|error| unsayable(partition, &error))?;
    let appended = partition.append(batch, None, now_ms).map_err(|rejection| {
        let error = &rejection.message;
        tracing::error!(%partition, %error, "what a coordinator did was not stored");
        rejection.code
    })?;
    writes.push(appended.commit);
    Ok(())
}

fn unsayable(partition: &Partition, error: &dyn std::error::Error) -> ErrorCode {
    tracing::error!(%partition, %error, "what a coordinator did cannot be said in records");
    ErrorCode::UNKNOWN_SERVER_ERROR
}
