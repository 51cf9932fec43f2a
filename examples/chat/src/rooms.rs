//! The rooms that are open at this instance, and the pages that look at them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use common::hub::LOGGED_OUT;
use klamm_utils::clock;
use uuid::Uuid;

use crate::message::Placed;
use crate::recent::{First, Recent};
use crate::room::{Change, Missed, Room, Socket};

/// How many rooms have their last messages kept while nobody looks at them, about.
const QUIET_ROOMS_MAX: usize = 2_000;

/// How much the last messages of all rooms may take.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    /// Which there are. Never waited for while a room is held.
    state: Mutex<State>,
    /// Held to look or add only.
    recent: Mutex<Recent>,
    /// How often a room got its first page or lost its last.
    opened: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<Arc<str>, Arc<Room>>,
    /// How many of them are looked through next for those that may be forgotten.
    looked_through_at: usize,
    sockets: HashMap<Uuid, HashMap<Uuid, Arc<Socket>>>,
    /// Of each partition: from where on everything was seen.
    seen_from: HashMap<i32, i64>,
    /// Of each partition: what comes next.
    next: HashMap<i32, i64>,
    /// How much all messages take.
    bytes: usize,
}

impl Rooms {
    /// From now on messages of this partition come from `offset` on.
    pub(crate) fn begin(&self, partition: i32, offset: i64) {
        let mut state = self.state();
        state.seen_from.insert(partition, offset);
        state.next.insert(partition, offset);
        // Those that somebody looked into before.
        for room in state.rooms.values().filter(|room| room.partition == partition) {
            room.begin(offset);
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

    /// Shows messages of a partition to everyone in their rooms, those that were not shown before.
    /// What comes then begins at `next`; `elsewhere` tells how many look at a room at other
    /// instances. How many frames that were.
    pub(crate) fn show(
        &self,
        partition: i32,
        placed: Vec<Placed>,
        next: i64,
        elsewhere: impl Fn(&str) -> usize,
    ) -> usize {
        let now = clock::now();
        let mut by_room: Vec<(Arc<Room>, Vec<Placed>)> = Vec::new();
        {
            let (mut state, mut recent) = (self.state(), self.recent());
            for placed in placed {
                let known = by_room.iter().position(|(room, _)| *room.name == *placed.message.room);
                let at = known.unwrap_or_else(|| {
                    by_room.push((state.room(partition, &placed.message.room), Vec::new()));
                    by_room.len() - 1
                });
                let (_, new) = &mut by_room[at];
                if recent.is_first(&placed, now) {
                    new.push(placed);
                }
            }
            // Not before: a room that was forgotten just now would begin behind these.
            state.next.insert(partition, next);
        }
        let (mut shown, mut grown, mut shrunk) = (0, 0, 0);
        for (room, new) in by_room {
            let before = room.bytes();
            shown += room.show(new, elsewhere(&room.name));
            shrunk += before;
            grown += room.bytes();
        }
        let mut state = self.state();
        state.bytes = (state.bytes + grown).saturating_sub(shrunk);
        if state.bytes > BYTES_MAX {
            state.make_room();
        }
        shown
    }

    /// Shows what is fleeting to everyone in a room. How many got it.
    pub(crate) fn show_fleeting(&self, room: &str, text: &Utf8Bytes) -> usize {
        self.room(room).map_or(0, |room| room.show_fleeting(text))
    }

    /// A page was opened.
    pub(crate) fn open(&self, socket: &Arc<Socket>) {
        let mut state = self.state();
        state.sockets.entry(socket.user).or_default().insert(socket.id, Arc::clone(socket));
    }

    /// A page was closed. The rooms in which its user has no other page here.
    pub(crate) fn close(&self, socket: &Socket) -> Vec<Arc<str>> {
        {
            let mut state = self.state();
            if let Some(pages) = state.sockets.get_mut(&socket.user) {
                pages.remove(&socket.id);
                if pages.is_empty() {
                    state.sockets.remove(&socket.user);
                }
            }
        }
        let rooms = std::mem::take(&mut *socket.joined());
        let left = rooms.into_values().filter(|room| self.changed(room.leave(socket)));
        left.map(|room| Arc::clone(&room.name)).collect()
    }

    /// Shows a room to a page. Whether it is the first of its user here.
    pub(crate) fn join(&self, partition: i32, room: &str, socket: &Arc<Socket>) -> bool {
        let room = self.state().room(partition, room);
        socket.joined().insert(Arc::clone(&room.name), Arc::clone(&room));
        self.changed(room.join(socket))
    }

    /// Shows a room no more. Whether its user has no other page with it here.
    pub(crate) fn leave(&self, room: &str, socket: &Socket) -> bool {
        let room = socket.joined().remove(room);
        room.is_some_and(|room| self.changed(room.leave(socket)))
    }

    fn changed(&self, change: Change) -> bool {
        if change.of_all {
            self.opened.fetch_add(1, Ordering::Relaxed);
        }
        change.of_user
    }

    /// Grows whenever [`names`](Self::names) changes.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Whether a page of this user shows this room here.
    pub(crate) fn has(&self, room: &str, user: Uuid) -> bool {
        self.room(room).is_some_and(|room| room.has(user))
    }

    /// How many users look at this room here.
    pub(crate) fn count(&self, room: &str) -> usize {
        self.room(room).map_or(0, |room| room.count())
    }

    /// The rooms that somebody here looks at, and who.
    pub(crate) fn members(&self) -> HashMap<Arc<str>, HashMap<Uuid, String>> {
        let open = self.all().into_iter().map(|room| (Arc::clone(&room.name), room.members()));
        open.filter(|(_, members)| !members.is_empty()).collect()
    }

    /// The rooms that somebody here looks at.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let open = self.all().into_iter().filter(|room| room.count() > 0);
        open.map(|room| Arc::clone(&room.name)).collect()
    }

    /// Who looks at this room here.
    pub(crate) fn members_of(&self, room: &str) -> HashMap<Uuid, String> {
        self.room(room).map(|room| room.members()).unwrap_or_default()
    }

    /// Closes the pages of sessions that ended.
    pub(crate) fn log_out(&self, ended: &HashSet<Uuid>) {
        let state = self.state();
        let open = state.sockets.values().flat_map(HashMap::values);
        for socket in open.filter(|socket| ended.contains(&socket.session)) {
            socket.mailbox.close(LOGGED_OUT);
        }
    }

    /// Closes all pages.
    pub(crate) fn close_all(&self, code: u16) {
        for socket in self.state().sockets.values().flat_map(HashMap::values) {
            socket.mailbox.close(code);
        }
    }

    /// Where the message with this id is, if it was seen of late.
    pub(crate) fn find(&self, id: Uuid) -> Option<First> {
        self.recent().find(id)
    }

    /// The last messages of a room behind `offset`, in their order.
    pub(crate) fn after(&self, partition: i32, room: &str, offset: i64) -> Missed {
        let seen_from = {
            let state = self.state();
            match state.rooms.get(room) {
                Some(room) => {
                    let room = Arc::clone(room);
                    drop(state);
                    return room.after(offset);
                }
                None => state.seen_from.get(&partition).copied(),
            }
        };
        // To ask for a room does not make one: there was nothing in it.
        Room::new(room.into(), partition, seen_from).after(offset)
    }

    /// Says that the log has a message of this room, which may not have come from there yet.
    pub(crate) fn stored(&self, room: &str, offset: i64) {
        if let Some(room) = self.room(room) {
            room.stored(offset);
        }
    }

    /// The offset of the last message of a room, if it is known.
    pub(crate) fn head(&self, room: &str) -> Option<i64> {
        self.room(room)?.head()
    }

    fn room(&self, name: &str) -> Option<Arc<Room>> {
        self.state().rooms.get(name).cloned()
    }

    fn all(&self) -> Vec<Arc<Room>> {
        self.state().rooms.values().cloned().collect()
    }

    /// Held for moments only: nothing in here waits.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn room(&mut self, partition: i32, name: &str) -> Arc<Room> {
        if let Some(room) = self.rooms.get(name) {
            return Arc::clone(room);
        }
        if self.rooms.len() >= self.looked_through_at.max(QUIET_ROOMS_MAX) {
            self.forget_quiet_rooms();
            self.looked_through_at = self.rooms.len() + QUIET_ROOMS_MAX;
        }
        let complete_from = self.seen_from.get(&partition).copied();
        let room = Arc::new(Room::new(name.into(), partition, complete_from));
        self.rooms.insert(Arc::clone(&room.name), Arc::clone(&room));
        room
    }

    /// Forgets what nobody looks at. What is being shown now is held by who shows it.
    fn forget_quiet_rooms(&mut self) {
        let before = self.rooms.len();
        self.rooms.retain(|_, room| Arc::strong_count(room) > 1);
        if self.rooms.len() < before {
            // Who looks at a forgotten room again has seen of it what comes from now on.
            self.seen_from = self.next.clone();
            self.bytes = self.rooms.values().map(|room| room.bytes()).sum();
        }
    }

    /// Forgets enough messages, those of quiet rooms first.
    fn make_room(&mut self) {
        self.forget_quiet_rooms();
        if self.bytes > BYTES_MAX / 2 {
            self.rooms.values().for_each(|room| room.halve());
        }
        self.bytes = self.rooms.values().map(|room| room.bytes()).sum();
    }
}

#[cfg(test)]
mod tests {
    use common::hub::{Frame, Mailbox};

    use super::*;
    use crate::room::{Mark, TAIL_MAX, TOLD_MAX, placed};

    fn socket(user: u128) -> Arc<Socket> {
        Arc::new(Socket::new(Uuid::from_u128(user), Uuid::now_v7(), user.to_string()))
    }

    fn show(rooms: &Rooms, partition: i32, placed: Placed) -> usize {
        let next = placed.offset + 1;
        rooms.show(partition, vec![placed], next, |_| 0)
    }

    async fn all(mailbox: &Mailbox<Mark>) -> Result<Vec<Frame<Mark>>, u16> {
        let mut frames = Vec::new();
        mailbox.take(&mut frames, usize::MAX).await?;
        Ok(frames)
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
        assert_eq!(show(&rooms, 0, placed("a", 1)), 2);
        assert_eq!(show(&rooms, 0, Placed { offset: 2, ..placed("a", 1) }), 0);
        assert_eq!(show(&rooms, 0, placed("b", 3)), 0);
        for socket in [&one, &two] {
            let frames = all(&socket.mailbox).await.unwrap();
            assert_eq!((frames.len(), &frames[0].mark), (1, &Some(("a".into(), 1))));
        }
        assert!(!rooms.leave("a", &one));
        assert_eq!(rooms.close(&two), [Arc::<str>::from("a")]);
        assert!(rooms.members().is_empty());
    }

    #[tokio::test]
    async fn whom_it_reached_is_told_by_the_number_of_members_everywhere() {
        let rooms = Rooms::default();
        rooms.begin(0, 0);
        let one = socket(1);
        rooms.join(0, "a", &one);
        for (offset, elsewhere) in [(0, TOLD_MAX - 1), (1, TOLD_MAX)] {
            rooms.show(0, vec![placed("a", offset)], offset + 1, |_| elsewhere);
        }
        let marks: Vec<_> =
            all(&one.mailbox).await.unwrap().into_iter().map(|frame| frame.mark).collect();
        assert_eq!(marks, [Some(("a".into(), 0)), None]);
    }

    #[test]
    fn what_was_missed_is_known_as_far_as_the_tail_goes() {
        let rooms = Rooms::default();
        rooms.begin(0, 10);
        assert_eq!(rooms.after(0, "a", 9), Missed::All(vec![]));
        assert_eq!(rooms.after(0, "a", 8), Missed::From(10, vec![]));
        assert_eq!(rooms.after(0, "a", i64::MAX), Missed::All(vec![]));
        for offset in 10..10 + TAIL_MAX as i64 + 5 {
            show(&rooms, 0, placed("a", offset));
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
        assert_eq!(show(&rooms, 0, placed("a", 10)), 1);
        assert_eq!(show(&rooms, 1, placed("b", 10)), 0, "its partition was not begun");
    }

    #[test]
    fn to_ask_for_a_room_makes_none() {
        let rooms = Rooms::default();
        rooms.begin(0, 10);
        rooms.after(0, "a", 9);
        rooms.head("a");
        rooms.members_of("a");
        assert!(rooms.all().is_empty());
    }

    #[test]
    fn a_room_that_was_forgotten_does_not_say_that_it_knows_what_was_said_before() {
        let rooms = Rooms::default();
        rooms.begin(0, 100);
        let looks = socket(1);
        rooms.join(0, "looked at", &looks);
        show(&rooms, 0, placed("looked at", 100));
        show(&rooms, 0, placed("quiet", 101));
        for number in 0..QUIET_ROOMS_MAX {
            rooms.state().room(0, &format!("room {number}"));
        }
        assert_eq!(rooms.after(0, "quiet", 100), Missed::From(102, vec![]));
        assert!(matches!(rooms.after(0, "looked at", 99), Missed::All(all) if all.len() == 1));
    }

    #[test]
    fn what_is_kept_is_bounded_by_its_size() {
        let rooms = Rooms::default();
        rooms.begin(0, 0);
        let looks = socket(1);
        let long = |room: &str, offset| {
            let mut placed = placed(room, offset);
            placed.message.content = "語".repeat(4_000);
            placed
        };
        let mut offset = 0;
        for room in 0..200 {
            let name = format!("room {room}");
            if room % 2 == 0 {
                rooms.join(0, &name, &looks);
            }
            for _ in 0..TAIL_MAX {
                show(&rooms, 0, long(&name, offset));
                offset += 1;
            }
            let held: usize = rooms.all().iter().map(|room| room.bytes()).sum();
            assert_eq!(rooms.state().bytes, held);
            assert!(held <= BYTES_MAX, "{held}");
        }
        let Missed::From(from, kept) = rooms.after(0, "room 198", 0) else { panic!("complete") };
        assert_eq!(kept.first().map(|oldest| oldest.offset), Some(from));
    }

    #[tokio::test]
    async fn a_session_that_ended_closes_its_pages_only() {
        let rooms = Rooms::default();
        let (one, two) = (socket(1), socket(1));
        rooms.open(&one);
        rooms.open(&two);
        rooms.log_out(&[one.session].into());
        assert_eq!(all(&one.mailbox).await.unwrap_err(), LOGGED_OUT);
        rooms.close_all(1012);
        assert_eq!(all(&two.mailbox).await.unwrap_err(), 1012);
    }
}
