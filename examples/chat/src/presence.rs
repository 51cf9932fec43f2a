//! Who is in which room, at whichever instance.
//!
//! Each instance tells the others who came and went, and every few seconds all it knows: what is
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

/// The users in each room.
pub(crate) type Members = HashMap<String, BTreeMap<Uuid, String>>;

/// Who came to each room, with the name, and who left it.
pub(crate) type Changes = HashMap<String, BTreeMap<Uuid, Option<String>>>;

/// What an instance tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) instance: Uuid,
    pub(crate) server: String,
    pub(crate) news: News,
}

/// What it is about.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum News {
    /// The users in every room that is open there.
    All(Members),
    /// What has changed.
    Changed(Changes),
}

/// What is known of the others.
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    others: HashMap<Uuid, Other>,
    heard_self: Option<Instant>,
}

#[derive(Debug)]
struct Other {
    server: String,
    members: Members,
    heard: Instant,
}

/// A change in a room that was heard of, with the frame that tells it.
pub(crate) type Change = (String, Reply);

impl Presence {
    /// Takes what was told; `own` is the id of this instance.
    pub(crate) fn hear(&self, own: Uuid, told: Told, now: Instant) -> Vec<Change> {
        let mut state = self.state();
        if told.instance == own {
            state.heard_self = Some(now);
            return Vec::new();
        }
        let old = state.others.remove(&told.instance);
        let before = old.map(|old| old.members).unwrap_or_default();
        let (members, changes) = match told.news {
            News::All(members) => {
                let changes = between(&before, &members);
                (members, changes)
            }
            News::Changed(changes) => changed(before, changes),
        };
        let server = told.server;
        let new = changes.into_iter().filter(|(room, user, _)| !state.knows(room, *user));
        let changes = new.map(|(room, user, (name, came))| {
            let (told, server) = (room.clone(), server.clone());
            let reply = match came {
                true => Reply::MemberJoined { room, user, name, server },
                false => Reply::MemberLeft { room, user, name, server, member: true },
            };
            (told, reply)
        });
        let changes = changes.collect();
        if !members.is_empty() {
            state.others.insert(told.instance, Other { server, members, heard: now });
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
            let silent = state.others.iter().filter(|(_, other)| !hears(other.heard));
            silent.map(|(instance, other)| (*instance, other.server.clone())).collect()
        };
        let leave = |(instance, server)| {
            self.hear(own, Told { instance, server, news: News::All(Members::new()) }, now)
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
        let rooms = state.others.values().filter_map(|other| other.members.get(room));
        rooms.flatten().map(|(user, name)| (*user, name.clone())).collect()
    }

    /// How many users are in a room at other instances; who is at two of them counts twice.
    pub(crate) fn count(&self, room: &str) -> usize {
        let state = self.state();
        let rooms = state.others.values().filter_map(|other| other.members.get(room));
        rooms.map(BTreeMap::len).sum()
    }

    /// Nothing in here panics or waits.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn knows(&self, room: &str, user: Uuid) -> bool {
        let mut rooms = self.others.values().filter_map(|other| other.members.get(room));
        rooms.any(|members| members.contains_key(&user))
    }
}

/// A user came to a room or left it: the name, and which of both.
type Step = (String, Uuid, (String, bool));

/// What has changed from one to the other.
fn between(before: &Members, after: &Members) -> Vec<Step> {
    let came = missing(after, before).map(|step| (step, true));
    let left = missing(before, after).map(|step| (step, false));
    let steps = came.chain(left);
    let step = |((room, user, name), came): ((&str, Uuid, &str), bool)| {
        (room.to_owned(), user, (name.to_owned(), came))
    };
    steps.map(step).collect()
}

/// The members after these changes, and those that were some.
fn changed(mut members: Members, changes: Changes) -> (Members, Vec<Step>) {
    let mut steps = Vec::new();
    for (room, users) in changes {
        let known = members.entry(room.clone()).or_default();
        for (user, name) in users {
            let (came, step) = match name {
                Some(name) => (true, known.insert(user, name.clone()).is_none().then_some(name)),
                None => (false, known.remove(&user)),
            };
            steps.extend(step.map(|name| (room.clone(), user, (name, came))));
        }
        if known.is_empty() {
            members.remove(&room);
        }
    }
    (members, steps)
}

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

    fn told_by(instance: u128, news: News) -> Told {
        Told { instance: Uuid::from_u128(instance), server: "Asia".into(), news }
    }

    fn all(instance: u128, users: &[u128]) -> Told {
        let members: BTreeMap<Uuid, String> =
            users.iter().map(|user| (Uuid::from_u128(*user), user.to_string())).collect();
        let rooms = match users {
            [] => HashMap::new(),
            _ => HashMap::from([("a".to_owned(), members)]),
        };
        told_by(instance, News::All(rooms))
    }

    fn change(instance: u128, came: &[u128], left: &[u128]) -> Told {
        let came = came.iter().map(|user| (Uuid::from_u128(*user), Some(user.to_string())));
        let left = left.iter().map(|user| (Uuid::from_u128(*user), None));
        told_by(instance, News::Changed([("a".to_owned(), came.chain(left).collect())].into()))
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
        let hear = |instance, users: &[u128]| told(&presence.hear(own, all(instance, users), now));
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
        presence.hear(own, all(2, &[7]), now);
        let later = now + GONE_AFTER;
        assert_eq!(presence.forget_gone(own, later), []);
        presence.hear(own, all(1, &[]), later);
        assert_eq!(told(&presence.forget_gone(own, later)), ["-7"]);
    }

    #[test]
    fn changes_are_told_once_whether_alone_or_with_everything() {
        let (presence, own, now) = (Presence::default(), Uuid::from_u128(1), clock::now());
        let hear = |news: Told| told(&presence.hear(own, news, now));
        assert_eq!(hear(change(2, &[7, 8], &[])), ["+7", "+8"]);
        assert_eq!(hear(all(2, &[7, 8])), [""; 0]);
        assert_eq!(hear(change(2, &[7, 9], &[8, 6])), ["-8", "+9"]);
        assert_eq!(presence.count("a"), 2);
        // A change was lost: the next time everything is told mends it.
        assert_eq!(hear(all(2, &[9])), ["-7"]);
        assert_eq!(hear(change(2, &[], &[9])), ["-9"]);
        assert_eq!(presence.count("a"), 0);
    }
}
