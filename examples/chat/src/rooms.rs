//! The rooms that are open at this instance: who looks at them, and the last messages of each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use common::hub::{Frame, LOGGED_OUT, Mailbox};
use uuid::Uuid;

use crate::message::Placed;

/// How many messages of each room are kept.
pub(crate) const TAIL_MAX: usize = 200;

/// How many rooms have their last messages kept while nobody looks at them.
const QUIET_ROOMS_MAX: usize = 2_000;

/// Up to how many pages of a room tell when they got a message.
const TOLD_MAX: usize = 32;

/// The room and offset of a message, told when it was written to a socket.
pub(crate) type Mark = (Arc<str>, i64);

/// One page of somebody.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    pub(crate) name: String,
    pub(crate) mailbox: Mailbox<Mark>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<Arc<str>, Room>,
    sockets: HashMap<Uuid, Arc<Socket>>,
    /// Of each partition: from where on everything was seen.
    seen_from: HashMap<i32, i64>,
    /// Of each partition: what comes next.
    next: HashMap<i32, i64>,
}

#[derive(Debug)]
struct Room {
    name: Arc<str>,
    sockets: HashMap<Uuid, Arc<Socket>>,
    tail: VecDeque<(Arc<Placed>, Utf8Bytes)>,
    partition: i32,
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

impl Rooms {
    /// From now on messages of this partition come from `offset` on.
    pub(crate) fn begin(&self, partition: i32, offset: i64) {
        let mut state = self.state();
        state.seen_from.insert(partition, offset);
        state.next.insert(partition, offset);
        // Those that somebody looked into before.
        let waiting =
            |room: &&mut Room| room.partition == partition && room.complete_from.is_none();
        for room in state.rooms.values_mut().filter(waiting) {
            room.complete_from = Some(offset);
        }
    }

    /// Where to go on in this partition.
    pub(crate) fn next(&self, partition: i32) -> Option<i64> {
        self.state().next.get(&partition).copied()
    }

    /// Says that everything before this offset of the partition was seen.
    pub(crate) fn passed(&self, partition: i32, next: i64) {
        self.state().next.insert(partition, next);
    }

    /// Shows a message to everyone in its room, unless it was shown before. How many got it.
    pub(crate) fn show(&self, partition: i32, placed: Placed) -> usize {
        let mut state = self.state();
        let room = state.room(partition, &placed.message.room);
        let seen = |id: Uuid| room.tail.iter().any(|(shown, _)| shown.message.id == id);
        let is_new = room.complete_from.is_some_and(|from| from <= placed.offset);
        if !is_new || seen(placed.message.id) {
            return 0;
        }
        let frame = placed.frame();
        // In a large room it would cost more to say whom a message reached than to send it.
        let tells = room.sockets.len() <= TOLD_MAX;
        for socket in room.sockets.values() {
            let mark = tells.then(|| (Arc::clone(&room.name), placed.offset));
            socket.mailbox.push(Frame { mark, ..Frame::lasting(frame.clone()) });
        }
        if room.tail.len() == TAIL_MAX
            && let Some((oldest, _)) = room.tail.pop_front()
        {
            room.complete_from = Some(oldest.offset + 1);
        }
        room.tail.push_back((Arc::new(placed), frame));
        room.sockets.len()
    }

    /// Shows what is fleeting to everyone in a room. How many got it.
    pub(crate) fn show_fleeting(&self, room: &str, text: &Utf8Bytes) -> usize {
        let state = self.state();
        let Some(room) = state.rooms.get(room) else { return 0 };
        for socket in room.sockets.values() {
            socket.mailbox.push(Frame::fleeting(text.clone()));
        }
        room.sockets.len()
    }

    /// A page was opened.
    pub(crate) fn open(&self, socket: &Arc<Socket>) {
        self.state().sockets.insert(socket.id, Arc::clone(socket));
    }

    /// A page was closed. The rooms in which its user has no other page here.
    pub(crate) fn close(&self, socket: &Socket) -> Vec<Arc<str>> {
        let mut state = self.state();
        state.sockets.remove(&socket.id);
        let rooms = state.rooms.values_mut().filter_map(|room| room.leave(socket)).collect();
        state.forget_quiet_rooms();
        rooms
    }

    /// Shows a room to a page. Whether it is the first of its user here.
    pub(crate) fn join(&self, partition: i32, room: &str, socket: &Arc<Socket>) -> bool {
        let mut state = self.state();
        let room = state.room(partition, room);
        let first = !room.sockets.values().any(|other| other.user == socket.user);
        room.sockets.insert(socket.id, Arc::clone(socket));
        first
    }

    /// Shows a room no more. Whether its user has no other page with it here.
    pub(crate) fn leave(&self, room: &str, socket: &Socket) -> bool {
        let mut state = self.state();
        state.rooms.get_mut(room).and_then(|room| room.leave(socket)).is_some()
    }

    /// Whether this page shows this room.
    pub(crate) fn is_in(&self, room: &str, socket: &Socket) -> bool {
        self.state().rooms.get(room).is_some_and(|room| room.sockets.contains_key(&socket.id))
    }

    /// Whether a page of this user shows this room here.
    pub(crate) fn has(&self, room: &str, user: Uuid) -> bool {
        let state = self.state();
        let room = state.rooms.get(room);
        room.is_some_and(|room| room.sockets.values().any(|socket| socket.user == user))
    }

    /// The rooms that this page shows.
    pub(crate) fn of(&self, socket: &Socket) -> Vec<Arc<str>> {
        let state = self.state();
        let rooms = state.rooms.values().filter(|room| room.sockets.contains_key(&socket.id));
        rooms.map(|room| Arc::clone(&room.name)).collect()
    }

    /// The rooms that somebody here looks at, and who.
    pub(crate) fn members(&self) -> HashMap<Arc<str>, HashMap<Uuid, String>> {
        let state = self.state();
        let open = state.rooms.values().filter(|room| !room.sockets.is_empty());
        open.map(|room| {
            let members = room.sockets.values().map(|socket| (socket.user, socket.name.clone()));
            (Arc::clone(&room.name), members.collect())
        })
        .collect()
    }

    /// The rooms that somebody here looks at.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let state = self.state();
        let open = state.rooms.values().filter(|room| !room.sockets.is_empty());
        open.map(|room| Arc::clone(&room.name)).collect()
    }

    /// Who looks at this room here.
    pub(crate) fn members_of(&self, room: &str) -> HashMap<Uuid, String> {
        let state = self.state();
        let sockets = state.rooms.get(room).into_iter().flat_map(|room| room.sockets.values());
        sockets.map(|socket| (socket.user, socket.name.clone())).collect()
    }

    /// How many pages this user has open here, and how many all have.
    pub(crate) fn count(&self, user: Uuid) -> (usize, usize) {
        let state = self.state();
        let own = state.sockets.values().filter(|socket| socket.user == user).count();
        (own, state.sockets.len())
    }

    /// Closes all pages of a user whose session ended.
    pub(crate) fn log_out(&self, user: Uuid) {
        for socket in self.state().sockets.values().filter(|socket| socket.user == user) {
            socket.mailbox.close(LOGGED_OUT);
        }
    }

    /// Closes all pages.
    pub(crate) fn close_all(&self, code: u16) {
        for socket in self.state().sockets.values() {
            socket.mailbox.close(code);
        }
    }

    /// The message with this id, if it is among the last ones.
    pub(crate) fn find(&self, room: &str, id: Uuid) -> Option<Arc<Placed>> {
        let state = self.state();
        let tail = &state.rooms.get(room)?.tail;
        let found = tail.iter().rev().find(|(placed, _)| placed.message.id == id);
        found.map(|(placed, _)| Arc::clone(placed))
    }

    /// The last messages of a room behind `offset`, in their order.
    pub(crate) fn after(&self, partition: i32, room: &str, offset: i64) -> Missed {
        let mut state = self.state();
        let room = state.room(partition, room);
        let newer = room.tail.iter().filter(|(placed, _)| placed.offset > offset);
        let newer = newer.map(|(placed, _)| Arc::clone(placed)).collect();
        match room.complete_from {
            Some(from) if from <= offset + 1 => Missed::All(newer),
            from => Missed::From(from.unwrap_or(i64::MAX), newer),
        }
    }

    /// Held for moments only: nothing in here waits, and sending is only putting into a queue.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn room(&mut self, partition: i32, name: &str) -> &mut Room {
        if !self.rooms.contains_key(name) {
            let name: Arc<str> = name.into();
            let complete_from = self.seen_from.get(&partition).copied();
            let room = Room {
                name: Arc::clone(&name),
                sockets: HashMap::new(),
                tail: VecDeque::new(),
                partition,
                complete_from,
            };
            self.rooms.insert(name.clone(), room);
        }
        self.rooms.get_mut(name).expect("it was just made if it was missing")
    }

    fn forget_quiet_rooms(&mut self) {
        if self.rooms.len() <= QUIET_ROOMS_MAX {
            return;
        }
        let before = self.rooms.len();
        self.rooms.retain(|_, room| !room.sockets.is_empty());
        if self.rooms.len() < before {
            // Who looks at a forgotten room again has seen of it what comes from now on.
            self.seen_from = self.next.clone();
        }
    }
}

impl Room {
    /// The room's name, if the page was in it and its user has no other.
    fn leave(&mut self, socket: &Socket) -> Option<Arc<str>> {
        self.sockets.remove(&socket.id)?;
        let other = self.sockets.values().any(|other| other.user == socket.user);
        (!other).then(|| Arc::clone(&self.name))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(user: u128) -> Arc<Socket> {
        let (id, name) = (Uuid::now_v7(), user.to_string());
        Arc::new(Socket { id, user: Uuid::from_u128(user), name, mailbox: Mailbox::default() })
    }

    fn offsets(missed: &[Arc<Placed>]) -> Vec<i64> {
        missed.iter().map(|placed| placed.offset).collect()
    }

    #[tokio::test]
    async fn both_tabs_of_a_user_get_everything_once() {
        let rooms = Rooms::default();
        rooms.begin(0, 0);
        let (one, two) = (socket(1), socket(1));
        assert!(rooms.join(0, "a", &one));
        assert!(!rooms.join(0, "a", &two));
        assert_eq!(rooms.show(0, placed("a", 1)), 2);
        assert_eq!(rooms.show(0, Placed { offset: 2, ..placed("a", 1) }), 0);
        assert_eq!(rooms.show(0, placed("b", 3)), 0);
        for socket in [&one, &two] {
            let frame = socket.mailbox.next().await.unwrap();
            assert_eq!(frame.mark, Some(("a".into(), 1)));
        }
        assert!(!rooms.leave("a", &one));
        assert_eq!(rooms.close(&two), [Arc::<str>::from("a")]);
        assert!(rooms.members().is_empty());
    }

    #[test]
    fn what_was_missed_is_known_as_far_as_the_tail_goes() {
        let rooms = Rooms::default();
        rooms.begin(0, 10);
        assert_eq!(rooms.after(0, "a", 9), Missed::All(vec![]));
        assert_eq!(rooms.after(0, "a", 8), Missed::From(10, vec![]));
        for offset in 10..10 + TAIL_MAX as i64 + 5 {
            rooms.show(0, placed("a", offset));
        }
        let Missed::All(missed) = rooms.after(0, "a", 211) else { panic!("incomplete") };
        assert_eq!(offsets(&missed), [212, 213, 214]);
        let Missed::From(15, missed) = rooms.after(0, "a", 13) else { panic!("complete") };
        assert_eq!(missed.len(), TAIL_MAX);
        assert!(matches!(rooms.after(0, "a", 14), Missed::All(all) if all.len() == TAIL_MAX));
    }

    #[test]
    fn a_room_that_was_joined_before_the_log_was_there_is_shown_what_comes() {
        let rooms = Rooms::default();
        let (early, elsewhere) = (socket(1), socket(2));
        rooms.join(0, "a", &early);
        rooms.join(1, "b", &elsewhere);
        assert_eq!(rooms.after(0, "a", 9), Missed::From(i64::MAX, vec![]));
        rooms.begin(0, 10);
        assert_eq!(rooms.show(0, placed("a", 10)), 1);
        assert_eq!(rooms.show(1, placed("b", 10)), 0, "its partition was not begun");
    }

    #[tokio::test]
    async fn a_session_that_ended_closes_its_pages_only() {
        let rooms = Rooms::default();
        let (one, two) = (socket(1), socket(2));
        rooms.open(&one);
        rooms.open(&two);
        assert_eq!(rooms.count(one.user), (1, 2));
        rooms.log_out(one.user);
        assert_eq!(one.mailbox.next().await.unwrap_err(), LOGGED_OUT);
        rooms.close_all(1012);
        assert_eq!(two.mailbox.next().await.unwrap_err(), 1012);
    }
}
