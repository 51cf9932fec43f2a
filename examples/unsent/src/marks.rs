//! How far a store is with a partition.
//!
//! The mark stands beside what it tells of, and both change at once. It is the id of the topic and
//! the offset behind the last record that was worked into the store; while a store is emptied or
//! filled, a word stands there in place of the offset, and only who knows the word may write.

use common::kv::{Found, Mark, Read, Write};
use uuid::Uuid;

use crate::keys;

/// A partition of one log: a topic that was made anew is another.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    log: String,
}

impl Place {
    pub(crate) fn new(partition: i32, log: &str) -> Self {
        Self { partition, log: log.into() }
    }

    /// Asks for the mark of a store.
    pub(crate) fn read(&self) -> Read {
        Read::Field(keys::MARKS.into(), self.partition.to_string())
    }

    /// The mark of a store that is so far.
    pub(crate) fn at(&self, offset: i64) -> String {
        format!("{}:{offset}", self.log)
    }

    /// A mark of a store that one worker empties or fills. No other has the same.
    pub(crate) fn in_work(&self) -> String {
        format!("{}:in-work-{}", self.log, Uuid::now_v7())
    }

    /// How far a store with this mark is; none if it is in work, or knows another log, or nothing.
    pub(crate) fn offset(&self, held: Option<&str>) -> Option<i64> {
        let (log, offset) = held?.rsplit_once(':')?;
        if log == self.log { offset.parse().ok() } else { None }
    }

    /// The same, of what was found where a mark was asked for.
    pub(crate) fn offset_found(&self, found: Option<&Found>) -> Option<i64> {
        match found {
            Some(Found::Text(held)) => self.offset(held.as_deref()),
            _ => None,
        }
    }

    /// From one mark to another.
    pub(crate) fn mark(&self, expected: Option<String>, value: String) -> Mark {
        Mark { hash: keys::MARKS.into(), field: self.partition.to_string(), expected, value }
    }

    /// Says that all is known up to now.
    pub(crate) fn sign_of_life(&self, now_ms: i64) -> Write {
        Write::SetField(keys::ALIVE.into(), self.partition.to_string(), now_ms.to_string())
    }

    /// Readers go to the other store.
    pub(crate) fn no_sign_of_life(&self) -> Write {
        Write::RemoveField(keys::ALIVE.into(), self.partition.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_for_its_own_log_and_while_nobody_works_on_the_store() {
        let place = Place::new(3, "log");
        assert_eq!(place.offset(Some(&place.at(7))), Some(7));
        assert_eq!(place.offset(Some(&Place::new(3, "other").at(7))), None);
        assert_eq!(place.offset(Some(&place.in_work())), None);
        assert_eq!(place.offset(None), None);
        assert_ne!(place.in_work(), place.in_work());
    }
}
