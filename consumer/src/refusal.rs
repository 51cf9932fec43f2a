//! What refusals mean to a consumer beyond what their codes say.

use klamm_client::Error;
use klamm_protocol::error_code::ErrorCode;

/// Whether a broker has failed and does not say why, or has said nothing of what it was asked: for
/// all that anybody knows, the same may succeed later.
pub(crate) fn is_unexplained(error: &Error) -> bool {
    error.code() == Some(ErrorCode::UNKNOWN_SERVER_ERROR)
}
