//! What is said over HTTP and kept in the log.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The topic of messages, and of their acknowledgements. The key is the user written to.
pub const TOPIC: &str = "unsent-messages";
/// Records of [`TOPIC`] that nobody can read.
pub const DEAD_LETTERS: &str = "unsent-messages.dlq";
/// What has changed for whom, for pages and other services to follow.
pub const CHANGES: &str = "unsent-changes";

/// Characters of a user's name, at most.
const NAME_CHARS_MAX: usize = 64;
/// Messages that are named in one [`HandedOver`], at most.
pub const HANDED_OVER_MAX: usize = 1_000;
/// Characters of a message, at most.
const TEXT_CHARS_MAX: usize = 4_000;
/// Characters of a message that its preview has.
const PREVIEW_CHARS: usize = 80;

/// A message for somebody who is away, as it is posted and as it lies in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Whom it is for: the key of its record.
    #[serde(alias = "toUser", alias = "to_user")]
    pub touser: String,
    /// Who wrote it.
    #[serde(alias = "fromUser", alias = "from_user")]
    pub fromuser: String,
    /// What was written.
    pub message: String,
    /// The same for a message that is posted again. Given by the service where it is left out.
    #[serde(default = "new_id")]
    pub message_id: String,
}

/// Messages that were handed over: they wait no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HandedOver {
    /// Whom they were for.
    pub touser: String,
    /// Who wrote them.
    pub fromuser: String,
    /// The last of them; none for all that lie before this.
    pub upto_offset: Option<i64>,
    /// If any are named, they are these and no others, wherever they lie.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub message_ids: Vec<String>,
}

/// A record of [`TOPIC`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wrote.
    Message(Message),
    /// Somebody has read.
    HandedOver(HandedOver),
}

/// Why a message or a record is not one.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// It has no value.
    #[error("there is no value")]
    Empty,
    /// It is not JSON of that form.
    #[error("not understood: {0}")]
    Json(#[from] serde_json::Error),
    /// A name is empty, too long, or has characters that names do not have.
    #[error("{0:?} is not the name of a user")]
    Name(String),
    /// The text is empty or too long.
    #[error("a message has 1 to {TEXT_CHARS_MAX} characters, not {0}")]
    Length(usize),
    /// The id is empty or too long.
    #[error("{0:?} is not an id of a message")]
    Id(String),
    /// More are handed over at once than may be.
    #[error("at most {HANDED_OVER_MAX} messages are handed over at once, not {0}")]
    TooMany(usize),
}

impl Message {
    /// Fails if it is not one that the service takes.
    pub fn check(&self) -> Result<(), WireError> {
        check_name(&self.touser)?;
        check_name(&self.fromuser)?;
        check_text(&self.message)?;
        check_id(&self.message_id)
    }

    /// Its beginning, on one line.
    #[must_use]
    pub fn preview(&self) -> String {
        preview(&self.message)
    }
}

/// The beginning of a text, on one line.
pub(crate) fn preview(text: &str) -> String {
    let line = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    line.take(PREVIEW_CHARS).collect()
}

impl HandedOver {
    /// Fails if it is not one that the service takes.
    pub fn check(&self) -> Result<(), WireError> {
        check_name(&self.touser)?;
        check_name(&self.fromuser)?;
        if self.message_ids.len() > HANDED_OVER_MAX {
            return Err(WireError::TooMany(self.message_ids.len()));
        }
        self.message_ids.iter().try_for_each(|id| check_id(id))
    }
}

impl Event {
    /// Reads the value of the record at this offset. What the log holds is not believed: who wrote
    /// it may have been anybody. A message without an id has one by its place, the same each time.
    pub fn parse(value: Option<&[u8]>, offset: i64) -> Result<Self, WireError> {
        /// Both forms at once: which it is tells the field that only one has.
        #[derive(Deserialize)]
        struct Form {
            #[serde(alias = "toUser", alias = "to_user")]
            touser: String,
            #[serde(alias = "fromUser", alias = "from_user")]
            fromuser: String,
            message: Option<String>,
            message_id: Option<String>,
            upto_offset: Option<i64>,
            #[serde(default)]
            message_ids: Vec<String>,
        }
        let form: Form = serde_json::from_slice(value.ok_or(WireError::Empty)?)?;
        let Form { touser, fromuser, message, message_id, upto_offset, message_ids } = form;
        Ok(match message {
            Some(message) => {
                let message_id = message_id.unwrap_or_else(|| format!("at-{offset}"));
                let message = Message { touser, fromuser, message, message_id };
                message.check()?;
                Self::Message(message)
            }
            None => {
                let handed_over = HandedOver { touser, fromuser, upto_offset, message_ids };
                handed_over.check()?;
                Self::HandedOver(handed_over)
            }
        })
    }

    /// Whom it is about: who was written to, and who wrote.
    #[must_use]
    pub fn pair(&self) -> (&str, &str) {
        match self {
            Self::Message(message) => (&message.touser, &message.fromuser),
            Self::HandedOver(handed_over) => (&handed_over.touser, &handed_over.fromuser),
        }
    }
}

/// Who wrote to somebody, how often and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Who wrote.
    pub fromuser: String,
    /// How many of their messages wait.
    pub count: u64,
    /// When the first was written, in milliseconds since 1970.
    pub first_at: i64,
    /// When the last was written.
    pub last_at: i64,
    /// The offset of the last: up to which what was seen may be handed over.
    pub last_offset: i64,
    /// How the last begins.
    pub preview: String,
}

/// The answer to "who wrote to me while I was away".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsent {
    /// Who asks.
    pub touser: String,
    /// How many messages wait.
    pub total: u64,
    /// Who wrote them, the latest first.
    pub senders: Vec<Sender>,
    /// Which store has answered: `aux` or `master`.
    pub source: String,
    /// How long ago that store was known to be up to date, in milliseconds.
    pub stale_ms: Option<i64>,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingMessage {
    /// Its place in the log.
    pub offset: i64,
    /// Its id.
    pub message_id: String,
    /// When it was written, in milliseconds since 1970.
    pub at: i64,
    /// What was written.
    pub message: String,
}

/// What has changed: the value of a record of [`CHANGES`]. A count of 0 says that nothing waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whose view has changed.
    pub touser: String,
    /// What it shows of one sender.
    #[serde(flatten)]
    pub sender: Sender,
}

/// The partition of a user, in this many partitions: that of librdkafka's `fnv1a_random`.
#[must_use]
pub fn partition_of(user: &str, partitions: u32) -> u32 {
    let hash = klamm_utils::hash::fnv1a_32(user.as_bytes()).cast_signed().unsigned_abs();
    hash.checked_rem(partitions).unwrap_or(0)
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

fn check_id(id: &str) -> Result<(), WireError> {
    match id.is_empty() || id.len() > NAME_CHARS_MAX {
        true => Err(WireError::Id(id.into())),
        false => Ok(()),
    }
}

/// Fails if a text is empty or too long.
pub fn check_text(text: &str) -> Result<(), WireError> {
    match text.chars().count() {
        1..=TEXT_CHARS_MAX => Ok(()),
        chars => Err(WireError::Length(chars)),
    }
}

/// Fails if nobody can be called so. Names go into keys, and `{`, `}` and `:` have a meaning there.
pub fn check_name(name: &str) -> Result<(), WireError> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    if fits && !name.chars().any(|char| char.is_control() || "{}:".contains(char)) {
        Ok(())
    } else {
        Err(WireError::Name(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Result<(&str, &str, Option<&str>), &str>) {
        let parsed = Event::parse(Some(json.as_bytes()), 7);
        match (parsed, expected) {
            (Ok(event), Ok((to, from, text))) => {
                assert_eq!(event.pair(), (to, from));
                let message = match &event {
                    Event::Message(message) => Some(message.message.as_str()),
                    Event::HandedOver(_) => None,
                };
                assert_eq!(message, text);
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (parsed, expected) => panic!("{json}: {parsed:?}, not {expected:?}"),
        }
    }

    #[test]
    fn records_are_read_with_the_names_of_old_and_doubted() {
        check(r#"{"touser":"bob","fromuser":"al","message":"hi"}"#, Ok(("bob", "al", Some("hi"))));
        check(r#"{"toUser":"b","from_user":"a","message":"h"}"#, Ok(("b", "a", Some("h"))));
        check(r#"{"touser":"b","fromuser":"a","upto_offset":7}"#, Ok(("b", "a", None)));
        check(r#"{"touser":"","fromuser":"a","message":"h"}"#, Err("name of a user"));
        check(r#"{"touser":"a:b","fromuser":"a","message":"h"}"#, Err("name of a user"));
        check(r#"{"touser":"b","fromuser":"a","message":""}"#, Err("1 to 4000"));
        check(r#"{"touser":"b","message":"h"}"#, Err("not understood"));
        let ids = r#"{"touser":"b","fromuser":"a","message_ids":["1","2"]}"#;
        check(ids, Ok(("b", "a", None)));
        check(&ids.replace(r#""2""#, r#""""#), Err("not an id"));
        check("[", Err("not understood"));
        assert!(matches!(Event::parse(None, 7), Err(WireError::Empty)));
    }

    /// A record that is read again is the same message: it counts once.
    #[test]
    fn a_message_without_an_id_has_the_same_one_each_time() {
        let json = br#"{"touser":"bob","fromuser":"al","message":"hi"}"#;
        let [first, again] = [7, 7].map(|offset| Event::parse(Some(json), offset).unwrap());
        assert_eq!(first, again);
        assert_ne!(first, Event::parse(Some(json), 8).unwrap());
    }

    #[test]
    fn a_message_is_written_with_the_names_of_the_original() {
        let message = Message {
            touser: "bob".into(),
            fromuser: "alice".into(),
            message: "hi\nthere".into(),
            message_id: "7".into(),
        };
        let json = r#"{"touser":"bob","fromuser":"alice","message":"hi\nthere","message_id":"7"}"#;
        assert_eq!(serde_json::to_string(&message).unwrap(), json);
        assert_eq!(message.preview(), "hi there");
    }

    #[test]
    fn users_are_where_librdkafka_puts_them() {
        let places = |user| [3, 4, 8, 12].map(|count| partition_of(user, count));
        assert_eq!(places("alice"), [2, 1, 1, 5]);
        assert_eq!(places("bob"), [2, 0, 4, 8]);
        assert_eq!(partition_of("bob", 0), 0);
    }
}
