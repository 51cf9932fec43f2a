//! Which messages were seen of late, so that one that is sent again is known to be the same.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::message::Placed;

/// For how long a message is known.
const KNOWN_FOR: Duration = Duration::from_secs(600);

/// How many are known at most: about 50 MB.
const KNOWN_MAX: usize = 500_000;

/// Where a message was first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct First {
    room: Arc<str>,
    pub(crate) offset: i64,
    pub(crate) created_at: i64,
}

/// The messages of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    known: HashMap<Uuid, First>,
    order: VecDeque<(Instant, Uuid)>,
}

impl Recent {
    /// Whether this is the first time that this message is seen.
    pub(crate) fn is_first(&mut self, room: &Arc<str>, placed: &Placed, now: Instant) -> bool {
        let (id, offset) = (placed.message.id, placed.offset);
        if let Some(first) = self.find(room, id) {
            return first.offset == offset;
        }
        let created_at = placed.message.created_at;
        self.known.insert(id, First { room: Arc::clone(room), offset, created_at });
        self.order.push_back((now, id));
        while let Some((at, oldest)) = self.order.front()
            && (self.order.len() > KNOWN_MAX || now.saturating_duration_since(*at) > KNOWN_FOR)
        {
            self.known.remove(oldest);
            self.order.pop_front();
        }
        true
    }

    /// Where this message of this room is.
    pub(crate) fn find(&self, room: &str, id: Uuid) -> Option<&First> {
        self.known.get(&id).filter(|first| &*first.room == room)
    }
}

#[cfg(test)]
mod tests {
    use klamm_utils::clock;

    use super::*;
    use crate::room::placed;

    #[test]
    fn a_copy_is_known_however_much_was_said_since_and_forgotten_in_time() {
        let (mut recent, room, now) = (Recent::default(), Arc::<str>::from("a"), clock::now());
        for offset in 0..5_000 {
            assert!(recent.is_first(&room, &placed("a", offset), now));
        }
        let copy = Placed { offset: 9_000, ..placed("a", 0) };
        assert!(!recent.is_first(&room, &copy, now));
        assert_eq!(recent.find("a", copy.message.id).map(|first| first.offset), Some(0));
        assert_eq!(recent.find("b", copy.message.id), None);
        let later = now + KNOWN_FOR + Duration::from_secs(1);
        assert!(recent.is_first(&room, &placed("a", 9_001), later));
        assert_eq!((recent.known.len(), recent.order.len()), (1, 1));
    }
}
