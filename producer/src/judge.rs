//! What to do with a batch that came back unstored. Pure.

use std::time::Instant;

use klamm_client::{Error, Subject};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions, BuildError, Record};

use crate::lane::{Parcel, Verdict};
use crate::settings::Settings;

/// Judges a failed batch, which knows already what the error says about it. `follows_another`
/// says that an older batch of the partition came back before it, or is still out.
pub(crate) fn judge(
    error: &Error,
    parcel: &Parcel,
    follows_another: bool,
    settings: &Settings,
    now: Instant,
) -> Verdict {
    let in_time = now.duration_since(parcel.sealed.began) < settings.delivery_timeout;
    let once_more = in_time && parcel.attempts <= settings.retries;
    match error.code() {
        Some(ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE)
            if parcel.sealed.batch.header().record_count > 1 && !parcel.possibly_written =>
        {
            let subject = parcel.sealed.claim.subject();
            match halves(&parcel.sealed.batch, settings.shape.options, &subject) {
                Ok(halves) => Verdict::Split(halves),
                Err(error) => Verdict::GiveUp(error),
            }
        }
        // The broker refused it because one before it is missing, which is known, or will be.
        Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER) if follows_another && in_time => {
            Verdict::Again
        }
        // It is not in the log, even if it was in doubt: the broker would remember it.
        Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER) if in_time && parcel.stamp.is_some() => {
            Verdict::NewEpoch
        }
        Some(ErrorCode::UNKNOWN_PRODUCER_ID | ErrorCode::INVALID_PRODUCER_EPOCH)
            if in_time && parcel.stamp.is_some() && !parcel.possibly_written =>
        {
            Verdict::NewEpoch
        }
        _ if error.is_retriable() && once_more => Verdict::Again,
        _ => Verdict::GiveUp(error.clone()),
    }
}

/// The two halves of a batch of several records, built as the whole was.
fn halves(
    whole: &Batch,
    options: BatchOptions,
    subject: &Subject,
) -> Result<Box<[Batch; 2]>, Error> {
    let unreadable = |source| Error::Batch { subject: subject.clone(), source };
    let unbuildable = |source| Error::Build { subject: subject.clone(), source };
    // The batch is our own: it takes no more memory than its records did.
    let records = whole.records(usize::MAX).map_err(unreadable)?;
    let records = records.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let (first, second) = records.split_at(records.len() / 2);
    let half = |records| build(records, options).map_err(unbuildable);
    Ok(Box::new([half(first)?, half(second)?]))
}

fn build(records: &[Record], options: BatchOptions) -> Result<Batch, BuildError> {
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.push(record.timestamp, key, value, &record.headers)?;
    }
    builder.build(0)
}
