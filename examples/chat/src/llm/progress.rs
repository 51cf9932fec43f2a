//! How far the group is to go on: a question is behind it only when its answer is finished.

use std::collections::{HashMap, VecDeque};

use klamm_consumer::Position;
use uuid::Uuid;

/// A partition by topic and number.
type Place = (String, i32);

/// How far each partition was read, and which questions before that are open.
#[derive(Debug, Default)]
pub(super) struct Progress {
    parts: HashMap<Place, Part>,
}

#[derive(Debug)]
struct Part {
    /// Behind the last batch.
    end: Position,
    /// Questions that were open when they were looked at last, the oldest first.
    open: VecDeque<(Position, Uuid)>,
    committed: Option<i64>,
}

impl Progress {
    /// Notes how far a partition was read, and which questions since then are open: offset and id.
    pub(super) fn read(&mut self, end: Position, open: Vec<(i64, Uuid)>) {
        let place = (end.topic.to_string(), end.partition);
        let new = || Part { end: end.clone(), open: VecDeque::new(), committed: None };
        let part = self.parts.entry(place).or_insert_with(new);
        part.open.extend(open.into_iter().map(|(offset, id)| {
            let mut position = end.clone();
            position.offset = offset;
            (position, id)
        }));
        part.end = end;
    }

    /// Notes that a partition is another worker's.
    pub(super) fn forget(&mut self, topic: &str, partition: i32) {
        self.parts.remove(&(topic.to_owned(), partition));
    }

    /// What is to be committed: the oldest question that `is_open` in each partition, or else how
    /// far it was read.
    pub(super) fn reached(&mut self, is_open: impl Fn(Uuid) -> bool) -> Vec<Position> {
        let reached = self.parts.values_mut().map(|part| {
            while part.open.front().is_some_and(|(_, id)| !is_open(*id)) {
                part.open.pop_front();
            }
            let position = part.open.front().map_or(&part.end, |(position, _)| position);
            (position.clone(), part.committed)
        });
        let news = reached.filter(|(position, committed)| *committed != Some(position.offset));
        news.map(|(position, _)| position).collect()
    }

    /// Notes that this was committed.
    pub(super) fn committed(&mut self, positions: &[Position]) {
        for position in positions {
            let place = (position.topic.to_string(), position.partition);
            if let Some(part) = self.parts.get_mut(&place) {
                part.committed = Some(position.offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_ends_at_the_oldest_open_question() {
        let mut progress = Progress::default();
        let ids: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        let check = |progress: &mut Progress, open: &[Uuid], expected: &[i64]| {
            let reached = progress.reached(|id| open.contains(&id));
            let offsets: Vec<_> = reached.iter().map(|position| position.offset).collect();
            assert_eq!(offsets, expected);
            progress.committed(&reached);
        };
        progress.read(Position::new("t", 0, 8), vec![(4, ids[0]), (6, ids[1])]);
        check(&mut progress, &ids, &[4]);
        check(&mut progress, &ids, &[]);
        // The second was quicker.
        check(&mut progress, &[ids[0]], &[]);
        progress.read(Position::new("t", 0, 10), vec![(9, ids[2])]);
        check(&mut progress, &[ids[2]], &[9]);
        check(&mut progress, &[], &[10]);
        progress.forget("t", 0);
        check(&mut progress, &[], &[]);
    }
}
