//! What was given of a partition, and may still be worked on.

use crate::cursor::{Cursor, Fetched, tenure_of};
use crate::position::Reached;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub(crate) struct InHand {
    /// The cursor's when it was given.
    term: u64,
    /// The first offset that may not have been worked on, and the leader epoch of the record
    /// before it.
    from: i64,
    from_epoch: i32,
    /// The leader epoch of the batch.
    epoch: i32,
}

impl InHand {
    pub(crate) fn of(fetched: &Fetched) -> Self {
        let Fetched { batch, term, from, from_epoch } = fetched;
        let epoch = batch.header().leader_epoch;
        Self { term: *term, from: *from, from_epoch: *from_epoch, epoch }
    }

    /// The first offset that may not have been worked on, and the leader epoch of the record before
    /// it; none if the partition now goes on before that, or was sent elsewhere by the application.
    pub(crate) fn begin(&self, cursor: &Cursor) -> Option<(i64, i32)> {
        cursor.counts(self.term, self.from).then_some((self.from, self.from_epoch))
    }

    /// Whether the partition was taken away since it was given, be it for a while.
    pub(crate) fn is_lost(&self, cursor: Option<&Cursor>) -> bool {
        cursor.map(Cursor::tenure) != Some(tenure_of(self.term))
    }

    /// It was worked on up to this offset, which lies within the batch or at its end.
    pub(crate) fn worked_to(&mut self, offset: i64) {
        if offset > self.from {
            (self.from, self.from_epoch) = (offset, self.epoch);
        }
    }

    /// What was committed counts as worked on, as far as it was given.
    pub(crate) fn committed(&mut self, reached: &Reached, cursor: &Cursor) {
        let is_later = reached.term.is_some_and(|term| term >= self.term);
        if is_later && self.begin(cursor).is_some() {
            let offset = reached.position.offset;
            self.worked_to(cursor.position().map_or(offset, |position| offset.min(position)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Poll, Waker};

    use bytes::Bytes;
    use klamm_client::config::IsolationLevel;
    use klamm_protocol::records::{BatchBuilder, BatchOptions};
    use klamm_utils::clock;

    use crate::assignment::{Assignment, Place};
    use crate::cursor::{Cursor, Start};

    const ISOLATION: IsolationLevel = IsolationLevel::ReadUncommitted;

    fn place() -> Place {
        ("t".into(), 0)
    }

    /// Ten records from `base` on.
    fn batch(base: i64, leader_epoch: i32) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for _ in 0..10 {
            builder.push(0, None, Some(b"v"), &[]).unwrap();
        }
        let mut batch = builder.build(base).unwrap().bytes().to_vec();
        batch[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
        batch
    }

    /// Of one partition, with a batch of epoch 4 and one of epoch 5.
    fn assignment() -> Assignment {
        let mut assignment = Assignment::default();
        assignment.add([("t".into(), 0, Start::Offset(0))], clock::now());
        let cursor = cursor(&mut assignment);
        let records = Bytes::from([batch(0, 4), batch(10, 5)].concat());
        assert!(cursor.arrived(cursor.term(), records, Vec::new(), 20));
        assignment.ready(&place());
        assignment
    }

    fn cursor(assignment: &mut Assignment) -> &mut Cursor {
        assignment.cursor_mut(&place()).unwrap()
    }

    fn next(assignment: &mut Assignment) -> i64 {
        let (_, fetched) = assignment.next(ISOLATION).unwrap().unwrap();
        fetched.from
    }

    fn next_of(assignment: &mut Assignment, tenure: u64) -> i64 {
        let asking = (Waker::noop(), clock::now());
        match assignment.next_of((&place(), tenure), ISOLATION, asking) {
            Poll::Ready(Some(Ok(fetched))) => fetched.from,
            other => panic!("{other:?}"),
        }
    }

    fn uncommitted(assignment: &Assignment) -> Option<(i64, Option<i32>)> {
        let uncommitted = assignment.uncommitted();
        let position = &uncommitted.first()?.position;
        Some((position.offset, position.leader_epoch))
    }

    fn commit(assignment: &mut Assignment, offset: i64) {
        let (topic, partition) = place();
        let position = crate::Position::new(topic, partition, offset);
        let reached = assignment.reached([position]).remove(0);
        assignment.note_committed(&reached);
    }

    #[test]
    fn a_position_within_a_batch_has_the_epoch_of_that_batch() {
        let mut assignment = assignment();
        assert_eq!([next(&mut assignment), next(&mut assignment)], [0, 10]);
        assert_eq!(uncommitted(&assignment), Some((10, Some(4))), "before it");
        assignment.worked_to(15);
        assert_eq!(uncommitted(&assignment), Some((15, Some(5))), "within it");
    }

    #[test]
    fn a_commit_is_not_undone_by_one_of_what_is_in_hand() {
        let mut assignment = assignment();
        next(&mut assignment);
        commit(&mut assignment, 4);
        assert_eq!(uncommitted(&assignment), None);
        commit(&mut assignment, 10);
        assert_eq!(uncommitted(&assignment), None);
        next(&mut assignment);
        assert_eq!(uncommitted(&assignment), None, "it begins where was committed");
        // What was never given is not worked on, though it was committed.
        commit(&mut assignment, 50);
        assert_eq!(uncommitted(&assignment), Some((20, Some(5))));
    }

    /// It was not: a consumer without a membership that heard nothing of a partition for a week lost
    /// its place there.
    #[test]
    fn what_may_have_expired_is_committed_again() {
        let mut assignment = assignment();
        next(&mut assignment);
        commit(&mut assignment, 4);
        assert_eq!(uncommitted(&assignment), None);
        assignment.doubt_committed();
        assert_eq!(uncommitted(&assignment), Some((4, Some(4))));
        commit(&mut assignment, 4);
        assert_eq!(uncommitted(&assignment), None);
    }

    #[test]
    fn a_dropped_stream_goes_on_after_what_it_has_committed() {
        let mut assignment = assignment();
        let (_, tenure) = assignment.claim(clock::now()).unwrap();
        assert_eq!(next_of(&mut assignment, tenure), 0);
        commit(&mut assignment, 4);
        assert_eq!(uncommitted(&assignment), None);
        assignment.release(&place(), tenure, clock::now());
        assert_eq!(cursor(&mut assignment).position(), Some(4));
    }

    #[test]
    fn a_log_that_was_cut_leaves_in_hand_what_lies_before() {
        let check = |given, end, in_hand_to, worked, position| {
            let mut assignment = assignment();
            for _ in 0..given {
                next(&mut assignment);
            }
            cursor(&mut assignment).truncate(end, 4);
            assert_eq!(assignment.in_hand_to(), in_hand_to, "{given} given, cut at {end}");
            assert_eq!(uncommitted(&assignment), Some(worked), "{given} given, cut at {end}");
            let cursor = cursor(&mut assignment);
            assert_eq!(cursor.position(), Some(position), "{given} given, cut at {end}");
        };
        check(0, 15, None, (0, None), 0);
        check(1, 15, Some(10), (0, None), 10);
        check(1, 5, Some(5), (0, None), 5);
        check(2, 15, Some(15), (10, Some(4)), 15);
        check(2, 5, None, (5, Some(4)), 5);
    }

    #[test]
    fn what_a_stream_has_in_hand_comes_again_though_the_log_was_cut() {
        let mut assignment = assignment();
        let (_, tenure) = assignment.claim(clock::now()).unwrap();
        assert_eq!(next_of(&mut assignment, tenure), 0);
        cursor(&mut assignment).truncate(15, 5);
        assert_eq!(uncommitted(&assignment), Some((0, None)), "it is being worked on");
        assignment.release(&place(), tenure, clock::now());
        assert_eq!(cursor(&mut assignment).position(), Some(0));
    }

    #[test]
    fn only_the_application_lets_what_is_in_hand_count_no_more() {
        let mut assignment = assignment();
        next(&mut assignment);
        assert!(cursor(&mut assignment).reset(Some(Start::Latest)));
        assert_eq!(assignment.in_hand_to(), Some(i64::MAX));
        assert_eq!(uncommitted(&assignment), Some((0, None)));
        cursor(&mut assignment).seek(Start::Latest);
        assert_eq!((assignment.in_hand_to(), uncommitted(&assignment)), (None, None));
    }

    #[test]
    fn a_stream_has_let_go_when_all_that_it_was_given_is_committed() {
        let mut assignment = assignment();
        let (_, tenure) = assignment.claim(clock::now()).unwrap();
        assert_eq!(next_of(&mut assignment, tenure), 0);
        // A batch follows that the stream never sees.
        assert!(cursor(&mut assignment).next(ISOLATION).unwrap().is_some());
        assignment.hold(&[place()]);
        let asking = (Waker::noop(), clock::now());
        let ended = assignment.next_of((&place(), tenure), ISOLATION, asking);
        assert!(matches!(ended, Poll::Ready(None)));
        assignment.stream_committed(&place(), tenure, 9);
        assert!(assignment.is_in_hand(&[place()]), "a record is left");
        assignment.stream_committed(&place(), tenure, 10);
        assert!(!assignment.is_in_hand(&[place()]));
    }
}
