//! Committed offsets: kept, told and deleted.

pub(crate) mod commit;
pub(crate) mod delete;
pub(crate) mod fetch;

use klamm_protocol::error_code::ErrorCode;

use crate::group::shard::command::Outcomes;

/// Fills in what became of the partitions that were not refused before their group was asked. They
/// are the ones without an error, in the order of the outcomes.
pub(super) fn fill_in<'a>(codes: impl Iterator<Item = &'a mut ErrorCode>, outcomes: Outcomes) {
    for (code, outcome) in codes.filter(|code| code.is_none()).zip(outcomes) {
        *code = outcome.err().unwrap_or(ErrorCode::NONE);
    }
}
