//! Consumer groups: their members, and what administrators ask about them.

pub(crate) mod consumer_describe;
pub(crate) mod consumer_heartbeat;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod heartbeat;
pub(crate) mod join;
pub(crate) mod leave;
pub(crate) mod list;
pub(crate) mod sync;

use klamm_protocol::error_code::ErrorCode;

/// Refuses the empty group id, which members cannot have.
fn check_group_id(group: &str) -> Result<(), ErrorCode> {
    if group.is_empty() { Err(ErrorCode::INVALID_GROUP_ID) } else { Ok(()) }
}
