//! What is said over sockets, HTTP and topics. Names are those of the original, misspelt or not.

use axum::Json;
use serde::{Deserialize, Serialize};
use unsent::wire::{check_name, check_text};
use uuid::Uuid;

use crate::status::Status;
use crate::store::Message;

/// The topic of what has become of messages. The key is the message's id.
pub const STATUS_TOPIC: &str = "message-status";
/// The topic that every pod reads, in the mode `broadcast`.
pub const BROADCAST_TOPIC: &str = "broadcast";
/// The topic that every pod follows from its end.
pub const SINGLE_TOPIC: &str = "messages";

/// What comes in over a socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FrameIn {
    /// Somebody writes.
    Message {
        /// What is written.
        payload: String,
        /// Who writes: the user of the socket's token, or the frame is refused.
        sender_id: String,
        /// Whom it is for.
        #[serde(alias = "receiver_id")]
        reciever_id: String,
        /// The sender's own name of the message: one that is sent again has the same.
        client_msg_id: Option<String>,
    },
    /// Anything with a type.
    Typed(TypedIn),
}

/// Frames that have a type.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TypedIn {
    /// The receiver has the message.
    Ack {
        /// Which.
        message_id: Uuid,
    },
    /// A newer access token.
    Auth {
        /// The token.
        token: String,
    },
    /// Is there anybody?
    Ping,
}

/// What goes out over a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FrameOut {
    /// Somebody wrote.
    Message(Delivery),
    /// Anything with a type.
    Typed(TypedOut),
}

/// Frames that have a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TypedOut {
    /// The socket is open, at this pod.
    Hello {
        /// The pod.
        pod_id: String,
        /// This connection: the user's name and a random number.
        connection_id: String,
    },
    /// What has become of a message of the user.
    Status {
        /// Which.
        message_id: Uuid,
        /// The sender's own name of it, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<String>,
        /// Whom it is for, by the name of the account.
        reciever_id: String,
        /// How far it is.
        status: Status,
        /// Since when, in milliseconds since 1970.
        at: i64,
    },
    /// A frame was not taken.
    Error {
        /// Why.
        message: String,
        /// The sender's own name of the message, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<String>,
        /// After how many milliseconds it will be taken, where it only came too soon.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_ms: Option<u64>,
    },
    /// The session ends soon: a new token is wanted.
    AuthExpiring,
    /// There is.
    Pong,
}

/// A message for its receiver: the frame that goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What was written.
    pub message: String,
    /// Whom it is for.
    pub reciever_id: String,
    /// Who wrote it.
    pub sender_id: String,
    /// Its id.
    #[serde(default = "Uuid::now_v7")]
    pub message_id: Uuid,
    /// When it was written, in milliseconds since 1970.
    #[serde(default)]
    pub created_at: i64,
}

/// A message on its way from pod to pod: the value of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    /// The message.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// How often it was passed on from a pod that did not have the receiver.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
    /// The pod that has sent it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from_pod: String,
}

impl Delivery {
    /// A message as it goes out.
    #[must_use]
    pub fn of(message: Message) -> Self {
        Self {
            message: message.payload,
            reciever_id: message.reciever_id,
            sender_id: message.sender_id,
            message_id: message.message_id,
            created_at: message.placed_us / 1_000,
        }
    }
}

/// What has become of a message: the value of a record of [`STATUS_TOPIC`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEvent {
    /// `SET_STATUS_TO_SENT` or `SET_STATUS_TO_DELIVERED`.
    pub event: String,
    /// Which message.
    pub message_id: Uuid,
    /// Who wrote it.
    pub sender_id: String,
    /// Whom it is for.
    pub reciever_id: String,
    /// How far it is.
    pub status: Status,
    /// Since when, in milliseconds since 1970.
    pub at: i64,
}

/// The generic reply of the original.
#[derive(Clone, Debug, Serialize)]
pub struct Reply<T> {
    /// Whether it was done.
    pub success: bool,
    /// What there is to say about it.
    pub message: String,
    /// What was asked for.
    pub data: T,
}

/// A reply that it was done.
pub fn done<T: Serialize>(message: &str, data: T) -> Json<Reply<T>> {
    Json(Reply { success: true, message: message.into(), data })
}

/// A reply that it was not done.
pub fn refused(message: impl Into<String>) -> Json<Reply<()>> {
    Json(Reply { success: false, message: message.into(), data: () })
}

/// The id of a message that has a name of its sender's: the same however often it is sent to the
/// same receiver. A sender that counts from 1 again wrote another "1" to somebody else.
#[must_use]
pub fn message_id(sender: &str, receiver: &str, client_msg_id: Option<&str>) -> Uuid {
    match client_msg_id {
        None => Uuid::now_v7(),
        Some(name) => {
            let sender = Uuid::new_v5(&Uuid::NAMESPACE_OID, sender.as_bytes());
            // No name of a user has a NUL, and the case of one means nothing.
            let receiver = common::auth::normal(receiver);
            Uuid::new_v5(&sender, format!("{receiver}\0{name}").as_bytes())
        }
    }
}

/// Why a message is not one; none if it is. Names and lengths are those of the service of unsent
/// messages, which is told of it if its receiver is away.
#[must_use]
pub fn fault_of(sender: &str, receiver: &str, text: &str) -> Option<String> {
    if check_name(receiver).is_err() {
        return Some("reciever_id is not the name of a user".into());
    }
    if sender == receiver {
        return Some("reciever_id is sender_id".into());
    }
    // PostgreSQL keeps no text that has it.
    if text.contains('\0') {
        return Some("a message has no character U+0000".into());
    }
    check_text(text).err().map(|error| error.to_string())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_the_original_are_read() {
        let original = r#"{"payload":"hi","sender_id":"u1","reciever_id":"u2"}"#;
        let FrameIn::Message { payload, sender_id, reciever_id, client_msg_id } =
            serde_json::from_str(original).unwrap()
        else {
            panic!("it is a message")
        };
        assert_eq!([payload, sender_id, reciever_id], ["hi", "u1", "u2"]);
        assert_eq!(client_msg_id, None);
        let spelt = original.replace("reciever", "receiver");
        assert!(matches!(serde_json::from_str(&spelt).unwrap(), FrameIn::Message { .. }));
        let ping = serde_json::from_str::<FrameIn>(r#"{"type":"ping"}"#).unwrap();
        assert_eq!(ping, FrameIn::Typed(TypedIn::Ping));
        assert!(serde_json::from_str::<FrameIn>(r#"{"payload":"hi"}"#).is_err());
    }

    #[test]
    fn the_names_of_a_record_are_those_of_the_original_in_their_order() {
        let delivery = Delivery {
            message: "hi".into(),
            reciever_id: "u2".into(),
            sender_id: "u1".into(),
            message_id: Uuid::nil(),
            created_at: 7,
        };
        let mut routed = Routed { delivery, attempt: 0, from_pod: String::new() };
        let json = serde_json::to_string(&routed).unwrap();
        let id = Uuid::nil();
        assert_eq!(
            json,
            format!(
                r#"{{"message":"hi","reciever_id":"u2","sender_id":"u1","message_id":"{id}","created_at":7}}"#
            )
        );
        // One that the original has written has only the first three.
        let original = r#"{"message":"hi","reciever_id":"u2","sender_id":"u1"}"#;
        assert_eq!(serde_json::from_str::<Routed>(original).unwrap().delivery.message, "hi");
        // Ours come behind them.
        (routed.attempt, routed.from_pod) = (1, "pod-1".into());
        let json = serde_json::to_string(&routed).unwrap();
        assert!(json.ends_with(r#""created_at":7,"attempt":1,"from_pod":"pod-1"}"#), "{json}");
        assert_eq!(serde_json::from_str::<Routed>(&json).unwrap(), routed);
    }

    #[test]
    fn what_is_sent_again_has_the_same_id_and_others_have_others() {
        let id = message_id("alice", "bob", Some("1"));
        assert_eq!(id, message_id("alice", "Bob", Some("1")));
        assert_ne!(id, message_id("carol", "bob", Some("1")));
        assert_ne!(id, message_id("alice", "carol", Some("1")));
        assert_ne!(message_id("alice", "bob", None), message_id("alice", "bob", None));
    }

    #[test]
    fn messages_have_a_receiver_and_a_text() {
        assert_eq!(fault_of("alice", "bob", "hi"), None);
        for (receiver, text) in [("", "hi"), ("b}b", "hi"), ("alice", "hi"), ("bob", "")] {
            assert!(fault_of("alice", receiver, text).is_some());
        }
    }
}
