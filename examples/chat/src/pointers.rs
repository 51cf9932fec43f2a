//! How far members have got in rooms: gathered, and told and written a few times a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::frames::Reply;
use crate::instance::{DATABASE_WITHIN, Instance};
use crate::store;

/// How often it is told and written.
const EVERY: Duration = Duration::from_millis(250);

/// In large rooms, only every so many times.
const SELDOM: u64 = 4;

/// How many rooms are told of at the same time.
const TOLD_AT_ONCE: usize = 32;

/// Up to how many rooms wait for a database that is away; the next read in a room moves it again.
const ROOMS_MAX: usize = 10_000;

/// How far each user is in each room.
pub(crate) type Far = HashMap<Arc<str>, HashMap<Uuid, i64>>;

/// The same, until somebody takes it.
#[derive(Debug, Default)]
pub(crate) struct Pointers(Mutex<Far>);

impl Pointers {
    /// Moves a pointer forward.
    pub(crate) fn note(&self, room: Arc<str>, user: Uuid, offset: i64) {
        self.note_all(user, [(room, offset)]);
    }

    /// Moves pointers of one user forward.
    pub(crate) fn note_all(&self, user: Uuid, marks: impl IntoIterator<Item = (Arc<str>, i64)>) {
        let mut far = self.far();
        for (room, offset) in marks {
            let pointer = far.entry(room).or_default().entry(user).or_insert(offset);
            *pointer = offset.max(*pointer);
        }
    }

    /// Takes those of the rooms that are meant.
    fn take(&self, meant: impl Fn(&str) -> bool) -> Far {
        self.far().extract_if(|room, _| meant(room)).collect()
    }

    /// Gives back what could not be done.
    fn give_back(&self, far: Far) {
        if self.far().len() < ROOMS_MAX {
            for (room, users) in far {
                for (user, offset) in users {
                    self.note(Arc::clone(&room), user, offset);
                }
            }
        }
    }

    /// Held to note or take only.
    fn far(&self) -> MutexGuard<'_, Far> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the others what was read and what has reached screens: a frame for each room.
pub(crate) async fn tell(instance: Arc<Instance>) {
    let mut ticks = ticks();
    for tick in 0_u64.. {
        ticks.tick().await;
        let meant = |room: &str| tick % SELDOM == 0 || !instance.is_large(room);
        let text = |room: &Arc<str>| room.to_string();
        let delivered = instance.delivered.take(meant).into_iter();
        let delivered =
            delivered.map(|(room, users)| Reply::Delivered { room: text(&room), users });
        let read = instance.reads.take(meant).into_iter();
        let read = read.map(|(room, users)| Reply::Read { room: text(&room), users });
        let told =
            stream::iter(delivered.chain(read)).for_each_concurrent(TOLD_AT_ONCE, async |reply| {
                if let Reply::Delivered { room, .. } | Reply::Read { room, .. } = &reply {
                    instance.tell(room, &reply).await;
                }
            });
        told.await;
    }
}

/// Writes what was read. Without the database it waits; the newest counts.
pub(crate) async fn write(instance: Arc<Instance>) {
    let mut ticks = ticks();
    loop {
        ticks.tick().await;
        let far = instance.unwritten.take(|_| true);
        if far.is_empty() {
            continue;
        }
        let written = store::read_all(&instance.database, &far);
        match tokio::time::timeout(DATABASE_WITHIN, written).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => tracing::debug!(%error, "read pointers stay behind"),
            Err(_) => tracing::debug!("read pointers stay behind: no answer"),
        }
        instance.unwritten.give_back(far);
    }
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_move_forward_and_are_taken_once() {
        let (pointers, user) = (Pointers::default(), Uuid::nil());
        for offset in [3, 5, 4] {
            pointers.note("a".into(), user, offset);
        }
        pointers.note("b".into(), user, 1);
        let taken = pointers.take(|room| room == "a");
        assert_eq!(taken, Far::from([("a".into(), HashMap::from([(user, 5)]))]));
        pointers.note("a".into(), user, 7);
        pointers.give_back(taken);
        assert_eq!(pointers.take(|room| room == "a")["a"][&user], 7);
        assert_eq!(pointers.take(|_| true).len(), 1);
    }
}
