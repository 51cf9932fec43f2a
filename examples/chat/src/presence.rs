//! Who is in which room, at whichever instance.
//!
//! Each instance tells the others all it knows when that changes, and every few seconds: what is
//! lost once is mended by the next. One that is not heard for long has gone, unless we do not hear
//! ourselves either: then it is the bus that has gone, and what was known is kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::frames::Reply;

/// The channel of the bus.
pub(crate) const CHANNEL: &str = "presence";

/// How often an instance tells of itself without need.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// After how long an instance that is not heard has gone.
const GONE_AFTER: Duration = Duration::from_secs(15);

/// What an instance tells: the users in each room that is open there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) instance: Uuid,
    pub(crate) server: String,
    pub(crate) rooms: HashMap<String, BTreeMap<Uuid, String>>,
}

/// What is known of the others.
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    others: HashMap<Uuid, (Snapshot, Instant)>,
    heard_self: Option<Instant>,
}

/// A change in a room that was heard of, with the frame that tells it.
pub(crate) type Change = (String, Reply);

impl Presence {
    /// Takes what was told; `own` is the id of this instance.
    pub(crate) fn hear(&self, own: Uuid, told: Snapshot, now: Instant) -> Vec<Change> {
        let mut state = self.state();
        if told.instance == own {
            state.heard_self = Some(now);
            return Vec::new();
        }
        let old = state.others.remove(&told.instance).map(|(old, _)| old);
        let empty = HashMap::new();
        let (server, instance) = (told.server.clone(), told.instance);
        let before = old.as_ref().map_or(&empty, |old| &old.rooms);
        let mut changes = Vec::new();
        for (room, user, name) in missing(&told.rooms, before) {
            if !state.knows(room, user) {
                let (room, name, server) = (room.to_owned(), name.to_owned(), server.clone());
                changes.push((room.clone(), Reply::MemberJoined { room, user, name, server }));
            }
        }
        for (room, user, name) in missing(before, &told.rooms) {
            if !state.knows(room, user) {
                let (room, name, server) = (room.to_owned(), name.to_owned(), server.clone());
                changes.push((room.clone(), Reply::MemberLeft { room, user, name, server }));
            }
        }
        if !told.rooms.is_empty() {
            state.others.insert(instance, (told, now));
        }
        changes
    }

    /// Forgets those who were not heard for too long.
    pub(crate) fn forget_gone(&self, own: Uuid, now: Instant) -> Vec<Change> {
        let gone: Vec<(Uuid, String)> = {
            let state = self.state();
            let hears = |at: Instant| now.duration_since(at) < GONE_AFTER;
            let deaf = |at: Instant| now.duration_since(at) >= 2 * EVERY;
            if state.heard_self.is_none_or(deaf) {
                return Vec::new();
            }
            let silent = state.others.iter().filter(|(_, (_, at))| !hears(*at));
            silent.map(|(instance, (told, _))| (*instance, told.server.clone())).collect()
        };
        let leave = |(instance, server)| {
            self.hear(own, Snapshot { instance, server, rooms: HashMap::new() }, now)
        };
        gone.into_iter().flat_map(leave).collect()
    }

    /// Whether another instance has a page of this user with this room.
    pub(crate) fn knows(&self, room: &str, user: Uuid) -> bool {
        self.state().knows(room, user)
    }

    /// The users in a room at other instances.
    pub(crate) fn members(&self, room: &str) -> BTreeMap<Uuid, String> {
        let state = self.state();
        let rooms = state.others.values().filter_map(|(told, _)| told.rooms.get(room));
        rooms.flatten().map(|(user, name)| (*user, name.clone())).collect()
    }

    /// Nothing in here panics or waits.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn knows(&self, room: &str, user: Uuid) -> bool {
        let mut rooms = self.others.values().filter_map(|(told, _)| told.rooms.get(room));
        rooms.any(|members| members.contains_key(&user))
    }
}

type Members = HashMap<String, BTreeMap<Uuid, String>>;

/// Who is in `some` and not in `others`.
fn missing<'a>(
    some: &'a Members,
    others: &'a Members,
) -> impl Iterator<Item = (&'a str, Uuid, &'a str)> {
    some.iter().flat_map(move |(room, members)| {
        let known = others.get(room);
        let new = members.iter();
        let new =
            new.filter(move |(user, _)| !known.is_some_and(|known| known.contains_key(*user)));
        new.map(move |(user, name)| (&**room, *user, &**name))
    })
}

#[cfg(test)]
mod tests {
    use klamm_utils::clock;

    use super::*;

    fn snapshot(instance: u128, users: &[u128]) -> Snapshot {
        let members: BTreeMap<Uuid, String> =
            users.iter().map(|user| (Uuid::from_u128(*user), user.to_string())).collect();
        let rooms = match users {
            [] => HashMap::new(),
            _ => HashMap::from([("a".to_owned(), members)]),
        };
        Snapshot { instance: Uuid::from_u128(instance), server: "Asia".into(), rooms }
    }

    fn told(changes: &[Change]) -> Vec<String> {
        let tell = |(_, reply): &Change| match reply {
            Reply::MemberJoined { name, .. } => format!("+{name}"),
            Reply::MemberLeft { name, .. } => format!("-{name}"),
            other => panic!("{other:?}"),
        };
        changes.iter().map(tell).collect()
    }

    #[test]
    fn who_comes_and_goes_is_told_once() {
        let (presence, own, now) = (Presence::default(), Uuid::from_u128(1), clock::now());
        let hear =
            |instance, users: &[u128]| told(&presence.hear(own, snapshot(instance, users), now));
        assert_eq!(hear(2, &[7, 8]), ["+7", "+8"]);
        assert_eq!(hear(2, &[7, 8]), [""; 0]);
        assert_eq!(hear(3, &[8, 9]), ["+9"]);
        assert_eq!(hear(2, &[7]), [""; 0]);
        assert_eq!(hear(1, &[6]), [""; 0]);
        assert!(presence.knows("a", Uuid::from_u128(8)));
        assert_eq!(presence.members("a").len(), 3);
        assert_eq!(hear(3, &[]), ["-8", "-9"]);
    }

    #[test]
    fn a_dead_instance_is_forgotten_but_not_because_the_bus_is_away() {
        let (presence, own, now) = (Presence::default(), Uuid::from_u128(1), clock::now());
        presence.hear(own, snapshot(2, &[7]), now);
        let later = now + GONE_AFTER;
        assert_eq!(presence.forget_gone(own, later), []);
        presence.hear(own, snapshot(1, &[]), later);
        assert_eq!(told(&presence.forget_gone(own, later)), ["-7"]);
    }
}
