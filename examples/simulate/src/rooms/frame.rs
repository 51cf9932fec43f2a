//! What is read of the frames of the chat.

use std::borrow::Cow;

use serde::Deserialize;

/// A frame of the chat, as far as the load looks at it.
#[derive(Debug, Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(rename = "type", borrow, default)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) client_msg_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) message: Option<Cow<'a, str>>,
    pub(super) head_offset: Option<i64>,
    pub(super) epoch: Option<Cow<'a, str>>,
    pub(super) success: Option<bool>,
    #[serde(default)]
    pub(super) error: bool,
}

/// What is told of a message, wherever it is in the frame. To read all of each frame would take
/// longer than to send it.
pub(super) fn message(frame: &str) -> Option<(&str, i64)> {
    let (_, rest) = frame.split_once(r#""content":""#)?;
    let (content, rest) = rest.split_once('"')?;
    let (_, offset) = rest.rsplit_once(r#""offset":"#)?;
    Some((content, offset.strip_suffix('}')?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_in_its_frame_and_nothing_else_is_taken_for_one() {
        let frame = r#"{"id":"i","client_msg_id":"r 1 2","room":"a","sender":"s",
            "senderName":"n","type":"chat_message","content":"r 1 2","server":"Asia",
            "created_at":7,"offset":42}"#;
        assert_eq!(message(frame), Some(("r 1 2", 42)));
        assert_eq!(message(r#"{"type":"message_ack","id":"i","offset":42,"created_at":7}"#), None);
    }
}
