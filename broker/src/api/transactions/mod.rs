//! The APIs of transactions.

pub(crate) mod add_offsets;
pub(crate) mod add_partitions;
pub(crate) mod commit_offsets;
pub(crate) mod describe;
pub(crate) mod end;
pub(crate) mod init_producer_id;
pub(crate) mod list;
pub(crate) mod write_markers;

use klamm_protocol::error_code::ErrorCode;

use crate::txn::machine::Generation;

/// Refuses the transactional id that Kafka refuses.
fn check_transactional_id(id: &str) -> Result<(), ErrorCode> {
    if id.is_empty() { Err(ErrorCode::INVALID_REQUEST) } else { Ok(()) }
}

/// The code for a version of an API that learnt of PRODUCER_FENCED in `since` (KIP-588).
fn for_version(code: ErrorCode, version: i16, since: i16) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED if version < since => ErrorCode::INVALID_PRODUCER_EPOCH,
        code => code,
    }
}

/// The generation of a client that sends this version of an API, of which the second sends `since`
/// and later.
fn generation(version: i16, since: i16) -> Generation {
    if version >= since { Generation::Second } else { Generation::First }
}
