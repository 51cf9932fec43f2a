//! What an error means for a transaction. Pure.

use klamm_client::Error;
use klamm_protocol::error_code::ErrorCode;

/// What is to be done after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Ask again.
    Again,
    /// The transaction can only be aborted.
    Abort,
    /// The producer cannot go on.
    Fatal,
}

/// Codes after which a transactional producer cannot go on: another has taken its place, it may
/// not use its id, or it and the coordinator disagree about what has happened.
const FATAL: [ErrorCode; 6] = [
    ErrorCode::INVALID_PRODUCER_EPOCH,
    ErrorCode::INVALID_TXN_STATE,
    ErrorCode::UNSUPPORTED_VERSION,
    ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
    ErrorCode::INVALID_TRANSACTION_TIMEOUT,
    ErrorCode::INVALID_REQUEST,
];

/// What the answer of a coordinator, or the lack of one, means.
pub(crate) fn meaning(error: &Error) -> Meaning {
    match error.code() {
        // Of the group's member, and not of the producer.
        Some(ErrorCode::FENCED_INSTANCE_ID) => Meaning::Abort,
        Some(code) if FATAL.contains(&code) => Meaning::Fatal,
        _ if error.is_fatal() || matches!(error, Error::Wire { .. }) => Meaning::Fatal,
        _ if error.is_retriable() || error.is_stale_coordinator() => Meaning::Again,
        _ => Meaning::Abort,
    }
}

/// An error of a batch as a transaction sees it. An old epoch alone is no proof that another
/// producer is there: the coordinator tells, when it is asked to abort.
pub(crate) fn is_fatal_for_batch(error: &Error) -> bool {
    let is_told_by_code = matches!(
        error.code(),
        Some(ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::INVALID_TXN_STATE)
    );
    !is_told_by_code && meaning(error) == Meaning::Fatal
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_client::{Origin, Subject};

    #[test]
    fn codes_say_how_to_go_on() {
        let check = |code, expected| {
            let subject = Subject::Name("orders".into());
            let origin = Origin { api: "EndTxn", address: "a:1".into() };
            let error = origin.error(code, subject);
            assert_eq!(meaning(&error), expected, "{error}");
        };
        for code in [
            ErrorCode::CONCURRENT_TRANSACTIONS,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ErrorCode::NOT_COORDINATOR,
            ErrorCode::REQUEST_TIMED_OUT,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ] {
            check(code, Meaning::Again);
        }
        for code in [
            ErrorCode::TRANSACTION_ABORTABLE,
            ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            ErrorCode::GROUP_AUTHORIZATION_FAILED,
            ErrorCode::ILLEGAL_GENERATION,
            ErrorCode::UNKNOWN_MEMBER_ID,
            ErrorCode::FENCED_INSTANCE_ID,
        ] {
            check(code, Meaning::Abort);
        }
        for code in [
            ErrorCode::PRODUCER_FENCED,
            ErrorCode::INVALID_PRODUCER_EPOCH,
            ErrorCode::INVALID_PRODUCER_ID_MAPPING,
            ErrorCode::INVALID_TXN_STATE,
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ] {
            check(code, Meaning::Fatal);
        }
    }
}
