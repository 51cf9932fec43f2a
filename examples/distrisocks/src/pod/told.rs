//! What senders were told already. Two pods tell of a message, each from an outbox of its own, so
//! that a step may come behind the next one.

use uuid::Uuid;

use super::recent::Recent;
use crate::status::Status;

/// Messages that are remembered.
const REMEMBERED: usize = 10_000;

/// How far the latest messages are, as far as senders know.
#[derive(Debug)]
pub(super) struct Told(Recent<Uuid, Status>);

impl Default for Told {
    fn default() -> Self {
        Self(Recent::new(REMEMBERED))
    }
}

impl Told {
    /// Whether this was not told yet, and is no step back.
    pub(super) fn is_news(&mut self, message_id: Uuid, status: Status) -> bool {
        let known = self.0.get(&message_id).copied().unwrap_or(Status::None);
        let after = known.after(status);
        if after == known {
            return false;
        }
        self.0.put(message_id, after);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Events of several messages, from two outboxes, in any order and several times.
        #[test]
        fn senders_are_told_each_step_once_and_none_back(
            events in proptest::collection::vec((0..4_u128, 1..3_i16), 0..40),
        ) {
            let (mut told, mut heard) = (Told::default(), HashMap::<u128, Vec<Status>>::new());
            for (id, rank) in &events {
                let status = Status::of_rank(*rank);
                if told.is_news(Uuid::from_u128(*id), status) {
                    heard.entry(*id).or_default().push(status);
                }
            }
            for (id, heard) in heard {
                prop_assert!(heard.is_sorted_by(|one, next| one < next));
                let last = events.iter().filter(|(of, _)| *of == id).map(|(_, rank)| *rank).max();
                prop_assert_eq!(heard.last().copied().map(Status::rank), last);
            }
        }
    }
}
