//! A page of a room's history: what the database has, and what it may not have yet.

use std::collections::HashSet;

use crate::message::Placed;
use crate::room::Missed;
use crate::store::Range;

/// What the database has of a room.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Everything of the room's partition before this offset is there.
    pub(crate) written: i64,
    /// The messages that were asked for.
    pub(crate) messages: Vec<Placed>,
}

/// Up to `limit` messages of a room in their order, those that are nearest to the end of the range
/// that was asked for, and whether some are missing that the database does not have yet. What lies
/// on the far side of those is left out: nobody would ask for what is between.
pub(crate) fn page(
    Stored { written, messages: stored }: Stored,
    tail: Missed,
    range: Range,
    limit: usize,
) -> (Vec<Placed>, bool) {
    let (from, tail) = match tail {
        Missed::All(tail) => (0, tail),
        Missed::From(from, tail) => (from, tail),
    };
    let tail = tail.iter().map(|placed| Placed::clone(placed));
    if written >= from {
        return (merged(stored, tail.collect(), range, limit), false);
    }
    // What lies between is neither here nor there.
    let page = match range {
        Range::Before(before) if before <= written => return (stored, false),
        Range::After(after) if after.saturating_add(1) < from => {
            stored.into_iter().filter(|placed| placed.offset < written).collect()
        }
        Range::Before(_) | Range::After(_) => merged(Vec::new(), tail.collect(), range, limit),
    };
    let reaches_across = matches!(range, Range::After(after) if from <= after.saturating_add(1));
    let delayed = page.len() < limit && !reaches_across;
    (page, delayed)
}

/// Both in the order of the log, each message once, and no more than were asked for.
fn merged(mut stored: Vec<Placed>, tail: Vec<Placed>, range: Range, limit: usize) -> Vec<Placed> {
    let wanted = |placed: &Placed| match range {
        Range::Before(offset) => placed.offset < offset,
        Range::After(offset) => placed.offset > offset,
    };
    let full = stored.len() == limit;
    let (oldest, newest) = (
        stored.first().map_or(i64::MAX, |placed| placed.offset),
        stored.last().map_or(i64::MIN, |placed| placed.offset),
    );
    // A page that is full has no gap: only what is newer, or in it, may be added.
    let fits = |placed: &Placed| match range {
        Range::Before(_) => !full || placed.offset > oldest,
        Range::After(_) => !full || placed.offset < newest,
    };
    stored.extend(tail.into_iter().filter(|placed| wanted(placed) && fits(placed)));
    stored.sort_by_key(|placed| placed.offset);
    let mut ids = HashSet::new();
    stored.retain(|placed| ids.insert(placed.message.id));
    match range {
        Range::Before(_) => stored.split_off(stored.len().saturating_sub(limit)),
        Range::After(_) => {
            stored.truncate(limit);
            stored
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::room::placed;

    fn list(offsets: &[i64]) -> Vec<Placed> {
        offsets.iter().map(|&at| placed("a", at)).collect()
    }

    fn offsets(list: &[Placed]) -> Vec<i64> {
        list.iter().map(|placed| placed.offset).collect()
    }

    #[test]
    fn history_and_tail_are_merged_without_gaps_or_doubles() {
        let merged = |stored: &[i64], tail: &[i64], range, limit| {
            offsets(&merged(list(stored), list(tail), range, limit))
        };
        let newest = Range::Before(i64::MAX);
        assert_eq!(merged(&[1, 2], &[2, 3], newest, 10), [1, 2, 3]);
        assert_eq!(merged(&[4, 5, 6], &[5, 6, 7, 8], newest, 3), [6, 7, 8]);
        assert_eq!(merged(&[], &[5, 6], newest, 3), [5, 6]);
        assert_eq!(merged(&[1, 2, 3], &[5, 6], Range::Before(4), 3), [1, 2, 3]);
        assert_eq!(merged(&[2, 3, 4], &[7, 8], Range::After(1), 3), [2, 3, 4]);
        assert_eq!(merged(&[2, 3], &[3, 4, 5], Range::After(1), 3), [2, 3, 4]);
    }

    #[test]
    fn what_the_database_has_not_yet_is_no_hole_in_the_history() {
        // The database has what is before 10, the tail what is from 20 on.
        let page = |stored: &[i64], range, limit| {
            let tail = list(&[20, 25, 30]).into_iter().map(Arc::new).collect();
            let stored = Stored { written: 10, messages: list(stored) };
            let (page, delayed) = page(stored, Missed::From(20, tail), range, limit);
            (offsets(&page), delayed)
        };
        assert_eq!(page(&[8, 9], Range::Before(i64::MAX), 5), (vec![20, 25, 30], true));
        assert_eq!(page(&[8, 9], Range::Before(i64::MAX), 3), (vec![20, 25, 30], false));
        assert_eq!(page(&[8, 9], Range::Before(20), 5), (vec![], true));
        assert_eq!(page(&[8, 9], Range::Before(10), 5), (vec![8, 9], false));
        assert_eq!(page(&[8, 9], Range::After(7), 5), (vec![8, 9], true));
        assert_eq!(page(&[8, 9], Range::After(7), 2), (vec![8, 9], false));
        assert_eq!(page(&[], Range::After(19), 5), (vec![20, 25, 30], false));
        assert_eq!(page(&[], Range::After(i64::MAX), 5), (vec![], false));
    }

    #[test]
    fn a_database_that_has_come_as_far_as_the_tail_misses_nothing() {
        let tail = list(&[20, 25]).into_iter().map(Arc::new).collect();
        let stored = Stored { written: 20, messages: list(&[8, 19]) };
        let (all, delayed) = page(stored, Missed::From(20, tail), Range::Before(i64::MAX), 5);
        assert_eq!((offsets(&all), delayed), (vec![8, 19, 20, 25], false));
    }
}
