//! One room that is open at this instance: who looks at it, and its last messages.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::hub::{Frame, Mailbox};
use uuid::Uuid;

use crate::message::Placed;

/// How many messages of each room are kept.
pub(crate) const TAIL_MAX: usize = 200;

/// How many bytes of each room are kept.
const TAIL_BYTES_MAX: usize = 512 * 1024;

/// Up to how many members of a room are told whom a message has reached, and who comes and goes.
/// In a larger one that would cost more than the messages.
pub(crate) const TOLD_MAX: usize = 32;

/// The room and offset of a message, told when it was written to a socket.
pub(crate) type Mark = (Arc<str>, i64);

/// One page of somebody.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    pub(crate) session: Uuid,
    pub(crate) name: String,
    pub(crate) mailbox: Mailbox<Mark>,
    /// What it looks at. Held to look or change only, and never while a room is.
    rooms: Mutex<HashMap<Arc<str>, Arc<Room>>>,
}

impl Socket {
    pub(crate) fn new(user: Uuid, session: Uuid, name: String) -> Self {
        let (mailbox, rooms) = (Mailbox::default(), Mutex::default());
        Self { id: Uuid::now_v7(), user, session, name, mailbox, rooms }
    }

    /// Whether this page shows this room.
    pub(crate) fn is_in(&self, room: &str) -> bool {
        self.joined().contains_key(room)
    }

    /// The rooms that this page shows.
    pub(crate) fn rooms(&self) -> Vec<Arc<str>> {
        self.joined().keys().cloned().collect()
    }

    pub(super) fn joined(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A room. Its sockets hold it; one that nobody else holds may be forgotten.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: Arc<str>,
    pub(crate) partition: i32,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sockets: HashMap<Uuid, Arc<Socket>>,
    /// How many pages each user has with this room here.
    pages: HashMap<Uuid, usize>,
    tail: VecDeque<Arc<Placed>>,
    /// How much the tail takes.
    bytes: usize,
    /// The offset of the last message of which is known.
    head: Option<i64>,
    /// `tail` has everything of the room from this offset on. None before the partition was begun.
    complete_from: Option<i64>,
}

/// What a page that was here before has missed.
#[derive(Debug, PartialEq)]
pub(crate) enum Missed {
    /// These messages, and no others.
    All(Vec<Arc<Placed>>),
    /// These are the last ones; what lies before this offset is in the database at best.
    From(i64, Vec<Arc<Placed>>),
}

/// What came of a change of who looks at a room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Change {
    /// It was the first page of its user here, or the last.
    pub(crate) of_user: bool,
    /// It was the first page of all here, or the last.
    pub(crate) of_all: bool,
}

impl Room {
    pub(super) fn new(name: Arc<str>, partition: i32, complete_from: Option<i64>) -> Self {
        Self { name, partition, inner: Mutex::new(Inner { complete_from, ..Inner::default() }) }
    }

    /// The partition begins here, for a room that somebody looked into before.
    pub(super) fn begin(&self, offset: i64) {
        self.inner().complete_from.get_or_insert(offset);
    }

    /// Shows messages, which are in the order of the log, to all who look. How many frames that
    /// were. The room has `elsewhere` members who look at it through other instances.
    pub(super) fn show(&self, placed: Vec<Placed>, elsewhere: usize) -> usize {
        let mut inner = self.inner();
        let from = inner.complete_from.unwrap_or(i64::MAX);
        let new: Vec<Placed> = placed.into_iter().filter(|placed| from <= placed.offset).collect();
        if !inner.sockets.is_empty() {
            let tells = inner.pages.len() + elsewhere <= TOLD_MAX;
            let frame = |placed: &Placed| {
                let mark = tells.then(|| (Arc::clone(&self.name), placed.offset));
                Frame { mark, ..Frame::lasting(placed.frame()) }
            };
            let frames: Vec<_> = new.iter().map(frame).collect();
            for socket in inner.sockets.values() {
                socket.mailbox.push_all(frames.iter().cloned());
            }
        }
        let shown = new.len() * inner.sockets.len();
        for placed in new {
            inner.bytes += size_of(&placed);
            inner.head = inner.head.max(Some(placed.offset));
            inner.tail.push_back(Arc::new(placed));
        }
        while inner.tail.len() > TAIL_MAX || inner.bytes > TAIL_BYTES_MAX {
            inner.forget_oldest();
        }
        shown
    }

    /// Shows what is fleeting to everyone here. How many got it.
    pub(super) fn show_fleeting(&self, text: &axum::extract::ws::Utf8Bytes) -> usize {
        let inner = self.inner();
        for socket in inner.sockets.values() {
            socket.mailbox.push(Frame::fleeting(text.clone()));
        }
        inner.sockets.len()
    }

    pub(super) fn join(&self, socket: &Arc<Socket>) -> Change {
        let mut inner = self.inner();
        let of_all = inner.sockets.is_empty();
        let before = inner.sockets.insert(socket.id, Arc::clone(socket));
        let pages = inner.pages.entry(socket.user).or_default();
        *pages += usize::from(before.is_none());
        Change { of_user: before.is_none() && *pages == 1, of_all }
    }

    pub(super) fn leave(&self, socket: &Socket) -> Change {
        let mut inner = self.inner();
        inner.sockets.remove(&socket.id);
        let pages = inner.pages.get_mut(&socket.user).map_or(0, |pages| {
            *pages -= 1;
            *pages
        });
        if pages == 0 {
            inner.pages.remove(&socket.user);
        }
        Change { of_user: pages == 0, of_all: inner.sockets.is_empty() }
    }

    /// Whether a page of this user shows this room here.
    pub(super) fn has(&self, user: Uuid) -> bool {
        self.inner().pages.contains_key(&user)
    }

    /// How many users look at it here.
    pub(super) fn count(&self) -> usize {
        self.inner().pages.len()
    }

    /// Who looks at it here.
    pub(super) fn members(&self) -> HashMap<Uuid, String> {
        let inner = self.inner();
        inner.sockets.values().map(|socket| (socket.user, socket.name.clone())).collect()
    }

    /// The last messages behind `offset`, in their order.
    pub(super) fn after(&self, offset: i64) -> Missed {
        let inner = self.inner();
        let first = inner.tail.partition_point(|placed| placed.offset <= offset);
        let newer = inner.tail.range(first..).map(Arc::clone).collect();
        match inner.complete_from {
            Some(from) if from <= offset.saturating_add(1) => Missed::All(newer),
            from => Missed::From(from.unwrap_or(i64::MAX), newer),
        }
    }

    /// The log has a message at `offset`.
    pub(super) fn stored(&self, offset: i64) {
        let mut inner = self.inner();
        inner.head = inner.head.max(Some(offset));
    }

    /// The offset of the last message of which is known.
    pub(super) fn head(&self) -> Option<i64> {
        self.inner().head
    }

    /// How much its messages take.
    pub(super) fn bytes(&self) -> usize {
        self.inner().bytes
    }

    /// Forgets the older half of its messages.
    pub(super) fn halve(&self) {
        let mut inner = self.inner();
        for _ in 0..inner.tail.len().div_ceil(2) {
            inner.forget_oldest();
        }
    }

    /// Held for moments only: nothing in here waits, and sending is only putting into a queue.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.tail.pop_front() {
            self.bytes -= size_of(&oldest);
            self.complete_from = Some(oldest.offset + 1);
        }
    }
}

/// About how much memory a message takes.
fn size_of(placed: &Placed) -> usize {
    256 + placed.message.content.len()
}

/// A message for tests.
#[cfg(test)]
pub(crate) fn placed(room: &str, offset: i64) -> Placed {
    let message = crate::message::Message {
        id: Uuid::from_u128(offset.unsigned_abs().into()),
        client_msg_id: None,
        room: room.to_owned(),
        sender: Uuid::nil(),
        sender_name: "alice".into(),
        kind: "chat_message".into(),
        content: format!("message {offset}"),
        server: "Asia".into(),
        created_at: offset,
    };
    Placed { message, offset }
}
