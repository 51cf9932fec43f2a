//! A message, as it lies in the log and as it is shown.

use axum::extract::ws::Utf8Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long a message may be, in characters.
pub(crate) const CONTENT_MAX: usize = 4_000;

/// The name under which the bot answers.
pub(crate) const SUPERCHAT: &str = "SuperChat";

/// Under which ids are made of names.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b6c_616d_6d2d_4368_6174_2d6d_6573_7361);

/// The value of a record of the log; its key is the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// The same for every attempt to send it.
    pub(crate) id: Uuid,
    /// What the sender calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_msg_id: Option<String>,
    /// Where it was said.
    pub(crate) room: String,
    /// The sender's account.
    pub(crate) sender: Uuid,
    /// The sender's name then.
    #[serde(rename = "senderName")]
    pub(crate) sender_name: String,
    /// Always `chat_message`: what the original calls it.
    #[serde(rename = "type", default = "chat_message")]
    pub(crate) kind: String,
    /// What was said.
    pub(crate) content: String,
    /// The instance at which it was said.
    pub(crate) server: String,
    /// When, in milliseconds since 1970.
    pub(crate) created_at: i64,
}

fn chat_message() -> String {
    "chat_message".to_owned()
}

/// Why a record cannot be a message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadMessage {
    /// It has no value.
    #[error("no value")]
    Empty,
    /// Its value is something else.
    #[error("not a message: {0}")]
    Json(#[from] serde_json::Error),
    /// No name of a room, or no text that may be said.
    #[error("{0} is not possible")]
    Field(&'static str),
}

impl Message {
    /// The message that `sender` calls `client_msg_id` in this room: the same id through whichever
    /// instance, and however often, it is sent. No room's name has the character between them.
    #[must_use]
    pub(crate) fn id_of(sender: Uuid, room: &str, client_msg_id: &str) -> Uuid {
        Uuid::new_v5(&sender, format!("{room}\0{client_msg_id}").as_bytes())
    }

    /// The one answer to a question.
    #[must_use]
    pub(crate) fn id_of_answer(question: Uuid) -> Uuid {
        Uuid::new_v5(&question, b"answer")
    }

    /// What is said instead, if there is no answer: it must not take the answer's place.
    #[must_use]
    pub(crate) fn id_of_refusal(question: Uuid) -> Uuid {
        Uuid::new_v5(&question, b"refusal")
    }

    /// The account of the bot.
    #[must_use]
    pub(crate) fn superchat() -> Uuid {
        Uuid::new_v5(&NAMESPACE, SUPERCHAT.as_bytes())
    }

    /// Reads the value of a record.
    pub(crate) fn decode(value: Option<&[u8]>) -> Result<Self, BadMessage> {
        let message: Self = serde_json::from_slice(value.ok_or(BadMessage::Empty)?)?;
        if !is_room(&message.room) {
            return Err(BadMessage::Field("room"));
        }
        if !is_content(&message.content) {
            return Err(BadMessage::Field("content"));
        }
        if !message.client_msg_id.as_deref().is_none_or(is_client_msg_id) {
            return Err(BadMessage::Field("client_msg_id"));
        }
        let texts = [&message.sender_name, &message.server, &message.kind];
        if texts.iter().any(|text| text.len() > 256 || text.contains('\0')) {
            return Err(BadMessage::Field("name"));
        }
        Ok(message)
    }

    /// The value of a record.
    #[must_use]
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a message has nothing that JSON has not")
    }

    /// What the bot is asked, if it is.
    #[must_use]
    pub(crate) fn question(&self) -> Option<&str> {
        self.content.strip_prefix("@superchat ").filter(|_| self.sender != Self::superchat())
    }
}

/// A message and its place, which is its order and the cursor of whoever has seen it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Placed {
    /// What was said.
    #[serde(flatten)]
    pub(crate) message: Message,
    /// Grows from each message of a room to its next.
    pub(crate) offset: i64,
}

impl Placed {
    /// The frame that shows it, encoded once for all sockets.
    #[must_use]
    pub(crate) fn frame(&self) -> Utf8Bytes {
        serde_json::to_string(self).expect("a message has nothing that JSON has not").into()
    }
}

/// Whether a room may be called so: 1 to 64 letters, digits, spaces, dashes and underscores, with
/// something in it that can be seen.
#[must_use]
pub(crate) fn is_room(name: &str) -> bool {
    let letter = |letter: char| letter.is_alphanumeric() || " _-".contains(letter);
    (1..=64).contains(&name.chars().count()) && name.chars().all(letter) && name.trim() == name
}

/// Whether a page may call its message so: up to 128 bytes without control characters.
#[must_use]
pub(crate) fn is_client_msg_id(id: &str) -> bool {
    id.len() <= 128 && !id.chars().any(char::is_control)
}

/// Whether this may be said.
#[must_use]
pub(crate) fn is_content(content: &str) -> bool {
    (1..=CONTENT_MAX).contains(&content.chars().count())
        && !content.contains('\0')
        && !content.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            id: Message::id_of(Uuid::nil(), "general", "c1"),
            client_msg_id: Some("c1".into()),
            room: "general".into(),
            sender: Uuid::nil(),
            sender_name: "alice".into(),
            kind: chat_message(),
            content: "@superchat say \"hi\" {}".into(),
            server: "Asia".into(),
            created_at: 7,
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let message = message();
        assert_eq!(Message::decode(Some(&message.encode())).unwrap(), message);
        assert_eq!(message.question(), Some("say \"hi\" {}"));
        let bot = Message { sender: Message::superchat(), ..message.clone() };
        assert_eq!(bot.question(), None);
        let frame = Placed { message, offset: 9 }.frame();
        let frame: serde_json::Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(frame["type"], "chat_message");
        assert_eq!((&frame["senderName"], &frame["offset"]), (&"alice".into(), &9.into()));
    }

    #[test]
    fn what_cannot_be_a_message_is_refused() {
        let check = |change: &dyn Fn(&mut Message)| {
            let mut bad = message();
            change(&mut bad);
            assert!(Message::decode(Some(&bad.encode())).is_err(), "{bad:?}");
        };
        check(&|bad| bad.room = "a/b".into());
        check(&|bad| bad.room = " ".into());
        check(&|bad| bad.room = "x".repeat(65));
        check(&|bad| bad.content = String::new());
        check(&|bad| bad.content = "a\0b".into());
        check(&|bad| bad.client_msg_id = Some("a\0b".into()));
        check(&|bad| bad.content = "x".repeat(CONTENT_MAX + 1));
        assert!(Message::decode(None).is_err());
        assert!(Message::decode(Some(b"not json")).is_err());
        assert!(is_room("日本 語_1-2"));
        assert!(is_content(&"語".repeat(CONTENT_MAX)));
    }
}
