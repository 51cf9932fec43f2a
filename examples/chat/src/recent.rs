//! Which messages were seen of late, so that one that is sent again is known to be the same.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::message::Placed;

/// For how long a message is known.
const KNOWN_FOR: Duration = Duration::from_secs(600);

/// How many are known at most: about 50 MB.
const KNOWN_MAX: usize = 500_000;

/// Where a message was first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct First {
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
    pub(crate) fn is_first(&mut self, placed: &Placed, now: Instant) -> bool {
        let (id, offset) = (placed.message.id, placed.offset);
        if self.known.contains_key(&id) {
            return false;
        }
        let created_at = placed.message.created_at;
        self.known.insert(id, First { offset, created_at });
        self.order.push_back((now, id));
        while let Some((at, oldest)) = self.order.front()
            && (self.order.len() > KNOWN_MAX || now.saturating_duration_since(*at) > KNOWN_FOR)
        {
            self.known.remove(oldest);
            self.order.pop_front();
        }
        true
    }

    /// Where this message is.
    pub(crate) fn find(&self, id: Uuid) -> Option<First> {
        self.known.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use klamm_utils::clock;

    use super::*;
    use crate::room::placed;

    #[test]
    fn a_copy_is_known_however_much_was_said_since_and_forgotten_in_time() {
        let (mut recent, now) = (Recent::default(), clock::now());
        for offset in 0..5_000 {
            assert!(recent.is_first(&placed("a", offset), now));
        }
        let copy = Placed { offset: 9_000, ..placed("a", 0) };
        assert!(!recent.is_first(&copy, now));
        assert!(!recent.is_first(&placed("a", 0), now), "the same record is not shown twice");
        assert_eq!(recent.find(copy.message.id).map(|first| first.offset), Some(0));
        let later = now + KNOWN_FOR + Duration::from_secs(1);
        assert!(recent.is_first(&placed("a", 9_001), later));
        assert_eq!((recent.known.len(), recent.order.len()), (1, 1));
    }
}
