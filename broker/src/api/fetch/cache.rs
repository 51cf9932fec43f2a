//! The fetch sessions that are open: so many, so large, and which yields to which.
//!
//! A session outlives the connection it was opened on. One that nobody used for two minutes yields
//! to any new one; one that was opened so long ago yields to one that follows more partitions.
//! Until then it stays, and who finds no room is served without a session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use klamm_utils::random::Random;

use super::session::{Session, Size};

/// The id that means no session.
pub(super) const NO_SESSION: i32 = 0;
/// How long a session is safe: from one that is new, and from one that is larger.
const SAFE_FOR: Duration = Duration::from_secs(120);
/// Memory that one session may take.
const SESSION_BYTES_MAX: usize = 32 << 20;
/// Memory that all sessions together may take.
const BYTES_MAX: usize = 256 << 20;

/// The sessions of a broker.
///
/// Guarded by a mutex that is held for a look-up, or to open or close a session; what a session
/// remembers has a mutex of its own.
#[derive(Debug, Default)]
pub(crate) struct FetchSessions {
    state: Mutex<State>,
}

/// What the cache has to tell of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sessions: usize,
    pub(crate) partitions: usize,
    /// Sessions that yielded to others since the start.
    pub(crate) evicted: u64,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<i32, Slot>,
    total: Size,
    evicted: u64,
    random: Random,
}

#[derive(Debug)]
struct Slot {
    session: Arc<Mutex<Session>>,
    size: Size,
    opened: Duration,
    used: Duration,
}

impl FetchSessions {
    /// Keeps a session, if there is room for it among `sessions_max`. Its id, or [`NO_SESSION`].
    pub(super) fn open(&self, session: Session, sessions_max: usize, now: Duration) -> i32 {
        let size = session.size();
        let mut state = self.lock();
        if size.bytes > SESSION_BYTES_MAX || !state.make_room(size, sessions_max, now) {
            return NO_SESSION;
        }
        let id = state.free_id();
        let session = Arc::new(Mutex::new(session));
        state.total = state.total.plus(size);
        state.open.insert(id, Slot { session, size, opened: now, used: now });
        id
    }

    pub(super) fn find(&self, id: i32) -> Option<Arc<Mutex<Session>>> {
        self.lock().open.get(&id).map(|slot| Arc::clone(&slot.session))
    }

    /// Notes that a session is used and how much it holds now. Whether it may go on: one that
    /// has outgrown its bounds is closed.
    pub(super) fn touch(&self, id: i32, size: Size, now: Duration) -> bool {
        let mut state = self.lock();
        let Some(slot) = state.open.get_mut(&id) else { return false };
        let before = std::mem::replace(&mut slot.size, size);
        slot.used = now;
        state.total = state.total.minus(before).plus(size);
        let goes_on = size.bytes <= SESSION_BYTES_MAX && state.total.bytes <= BYTES_MAX;
        if !goes_on {
            state.close(id);
        }
        goes_on
    }

    pub(super) fn close(&self, id: i32) {
        self.lock().close(id);
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        let (sessions, partitions) = (state.open.len(), state.total.partitions);
        Counts { sessions, partitions, evicted: state.evicted }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Evicts until there is room for a session of this size. Whether there is.
    fn make_room(&mut self, size: Size, sessions_max: usize, now: Duration) -> bool {
        while self.open.len() >= sessions_max || self.total.plus(size).bytes > BYTES_MAX {
            let Some(id) = self.evictable(size, now) else { return false };
            self.close(id);
            self.evicted += 1;
        }
        true
    }

    /// The session that was used least recently, if that is long ago; else the smallest one that
    /// was opened long ago, if it is smaller.
    fn evictable(&self, size: Size, now: Duration) -> Option<i32> {
        let is_long_ago = |then: Duration| now.saturating_sub(then) > SAFE_FOR;
        let idle = self.open.iter().filter(|(_, slot)| is_long_ago(slot.used));
        if let Some((id, _)) = idle.min_by_key(|(_, slot)| slot.used) {
            return Some(*id);
        }
        let smaller = self
            .open
            .iter()
            .filter(|(_, slot)| is_long_ago(slot.opened) && slot.size.partitions < size.partitions);
        smaller.min_by_key(|(_, slot)| slot.size.partitions).map(|(id, _)| *id)
    }

    fn close(&mut self, id: i32) {
        if let Some(slot) = self.open.remove(&id) {
            self.total = self.total.minus(slot.size);
        }
    }

    fn free_id(&mut self) -> i32 {
        loop {
            let id = i32::try_from(self.random.below(i32::MAX as u64)).unwrap_or(0) + 1;
            if !self.open.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Size {
    fn plus(self, other: Self) -> Self {
        Self { partitions: self.partitions + other.partitions, bytes: self.bytes + other.bytes }
    }

    fn minus(self, other: Self) -> Self {
        Self { partitions: self.partitions - other.partitions, bytes: self.bytes - other.bytes }
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::api::fetch::{Partition, PartitionAnswer};

    use super::super::session::{Ask, Followed, Place, TopicKey};
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);
    const LATER: Duration = Duration::from_secs(1_000 + 121);

    fn session(name: &str, partitions: i32) -> Session {
        let answer = PartitionAnswer::default();
        let followed = |index| {
            let place = Place { topic: TopicKey::Name(name.into()), index };
            Followed::new(place, Ask::of(&Partition::default()))
        };
        Session::open(false, (0..partitions).map(|index| (followed(index), &answer)))
    }

    fn check_counts(cache: &FetchSessions, sessions: usize, partitions: usize, evicted: u64) {
        assert_eq!(cache.counts(), Counts { sessions, partitions, evicted });
    }

    #[test]
    fn who_finds_no_room_gets_no_session() {
        let cache = FetchSessions::default();
        assert_eq!(cache.open(session("a", 1), 0, NOW), NO_SESSION);
        let id = cache.open(session("a", 3), 1, NOW);
        assert!(id > 0);
        assert_eq!(cache.open(session("b", 9), 1, NOW), NO_SESSION);
        check_counts(&cache, 1, 3, 0);
        cache.close(id);
        check_counts(&cache, 0, 0, 0);
    }

    #[test]
    fn an_idle_session_yields_to_any() {
        let cache = FetchSessions::default();
        let idle = cache.open(session("a", 9), 2, NOW);
        let busy = cache.open(session("b", 9), 2, NOW);
        assert!(cache.touch(busy, session("b", 9).size(), LATER));
        assert!(cache.open(session("c", 1), 2, LATER) > 0);
        assert!(cache.find(idle).is_none());
        assert!(cache.find(busy).is_some());
        check_counts(&cache, 2, 10, 1);
    }

    #[test]
    fn an_old_session_yields_to_a_larger_one() {
        let cache = FetchSessions::default();
        let [small, large] = [2, 5].map(|count| {
            let id = cache.open(session("a", count), 2, NOW);
            assert!(cache.touch(id, session("a", count).size(), LATER));
            id
        });
        assert_eq!(cache.open(session("b", 2), 2, LATER), NO_SESSION);
        assert!(cache.open(session("b", 3), 2, LATER) > 0);
        assert!(cache.find(small).is_none());
        assert!(cache.find(large).is_some());
        check_counts(&cache, 2, 8, 1);
    }

    #[test]
    fn a_session_that_outgrows_its_bounds_is_closed() {
        let cache = FetchSessions::default();
        let id = cache.open(session("a", 1), 9, NOW);
        let grown = Size { partitions: 1 << 20, bytes: SESSION_BYTES_MAX + 1 };
        assert!(!cache.touch(id, grown, NOW));
        assert!(cache.find(id).is_none());
        check_counts(&cache, 0, 0, 0);
        assert_eq!(cache.open(session(&"n".repeat(SESSION_BYTES_MAX), 1), 9, NOW), NO_SESSION);
    }
}
