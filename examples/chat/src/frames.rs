//! What is said over a socket.

use std::collections::HashMap;

use axum::extract::ws::Utf8Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a page says.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Shows me this room.
    JoinRoom { room: String },
    /// I am no member any more.
    LeaveRoom { room: String },
    /// Tell this to the room. Without an id of its own it cannot be sent again safely.
    ChatMessage { room: String, content: String, client_msg_id: Option<String> },
    /// I am writing.
    Typing { room: String },
    /// I have seen everything up to here.
    Read { room: String, offset: i64 },
    /// I was here before: what did I miss?
    Resume { rooms: Vec<Seen> },
    /// My new access token.
    Auth { token: String },
    /// The answer is long enough.
    LlmStop { room: String, id: Uuid },
    /// Are you there?
    Ping,
}

/// How far a page has seen a room.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Seen {
    /// Which room.
    pub(crate) room: String,
    /// The last offset.
    pub(crate) offset: i64,
    /// Of which log.
    pub(crate) epoch: String,
}

/// What a server says, besides the messages themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The first frame.
    Hello { connection_id: Uuid, server: String, epoch: String, now: i64 },
    /// The room is open; behind `head_offset` comes what is new.
    JoinRoom { room: String, success: bool, members: Vec<Member>, head_offset: i64 },
    /// The room is closed.
    LeaveRoom { room: String, success: bool },
    /// The message is in the log.
    MessageAck { client_msg_id: Option<String>, id: Uuid, offset: i64, created_at: i64 },
    /// It is not, as far as is known.
    MessageFailed { client_msg_id: Option<String>, code: Failure, retryable: bool },
    /// Somebody is there now.
    MemberJoined { room: String, user: Uuid, name: String, server: String },
    /// Somebody is not there any more, and may be no member any more either.
    MemberLeft { room: String, user: Uuid, name: String, server: String, member: bool },
    /// Somebody writes.
    Typing { room: String, user: Uuid, name: String },
    /// These have seen everything up to here.
    Read { room: String, users: HashMap<Uuid, i64> },
    /// Everything up to here is on a screen of these.
    Delivered { room: String, users: HashMap<Uuid, i64> },
    /// More of an answer.
    LlmDelta { room: String, id: Uuid, text: String },
    /// The answer is complete.
    LlmDone { room: String, id: Uuid },
    /// You write too fast.
    SlowDown { retry_ms: u64 },
    /// Your access token ends soon: send a new one.
    AuthExpiring,
    /// What you missed cannot be told: load the history.
    Resync { room: String },
    /// All that you missed was told.
    Resumed { room: String },
    /// I am.
    Pong,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    /// Nothing to say, too much, or with characters or under a name that are not possible.
    #[serde(rename = "too_long")]
    NotPossible,
    /// The sender is not in this room.
    NotJoined,
    /// Too many at once.
    RateLimited,
    /// The broker is away, and too many messages wait for it.
    BrokerUnavailable,
    /// The broker did not say in time that it has it. It may have.
    Timeout,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// The account.
    pub(crate) user: Uuid,
    /// Its name.
    pub(crate) name: String,
    /// Whether a page of it is open now.
    pub(crate) online: bool,
    /// Up to where it has read; -1 if that is not known.
    pub(crate) read_offset: i64,
}

impl Reply {
    /// The frame.
    #[must_use]
    pub(crate) fn text(&self) -> Utf8Bytes {
        serde_json::to_string(self).expect("a reply has nothing that JSON has not").into()
    }
}

/// The original's frame for whatever is wrong.
#[must_use]
pub(crate) fn error(code: &str, message: &str) -> Utf8Bytes {
    serde_json::json!({"error": true, "message": message, "code": code}).to_string().into()
}

/// The original's frame for a room that cannot be joined or left.
#[must_use]
pub(crate) fn refused(kind: &str, room: &str, message: &str) -> Utf8Bytes {
    let frame = serde_json::json!({
        "type": kind, "room": room, "success": false, "error": true, "message": message,
    });
    frame.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_the_original_are_understood() {
        let check = |text: &str, wanted: Request| {
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), wanted);
        };
        let room = || "general".to_owned();
        check(r#"{"type":"join_room","room":"general"}"#, Request::JoinRoom { room: room() });
        check(
            r#"{"type":"leave_room","room":"general","content":""}"#,
            Request::LeaveRoom { room: room() },
        );
        check(
            r#"{"type":"chat_message","room":"general","content":"hi"}"#,
            Request::ChatMessage { room: room(), content: "hi".into(), client_msg_id: None },
        );
        let left = Reply::LeaveRoom { room: room(), success: true };
        assert_eq!(&*left.text(), r#"{"type":"leave_room","room":"general","success":true}"#);
        assert_eq!(&*Reply::Pong.text(), r#"{"type":"pong"}"#);
    }
}
