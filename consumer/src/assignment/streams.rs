//! Partitions that are read by streams of their own, each in the order of its offsets and
//! independent of the others.

use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::Instant;

use klamm_client::config::IsolationLevel;
use klamm_client::{Error, Subject};

use super::{Assignment, InHand, Place};
use crate::cursor::{Cursor, Fetched};

/// A stream's hold on its partition.
#[derive(Debug)]
pub(crate) struct Claim {
    /// What it was given and may be working on.
    pub(crate) in_hand: Option<InHand>,
    /// Where the last batch ends that it was given, and the cursor's term then.
    given: Option<(i64, u64)>,
    waker: Option<Waker>,
    /// When it last asked for more, or was woken to do so; none while it waits.
    asked_at: Option<Instant>,
    failures: VecDeque<Error>,
    /// It was told that nothing more comes.
    has_ended: bool,
    /// After that it has committed what it was given: nobody needs to wait for it any more.
    pub(super) has_let_go: bool,
}

impl Claim {
    fn new(now: Instant) -> Self {
        Self {
            in_hand: None,
            given: None,
            waker: None,
            asked_at: Some(now),
            failures: VecDeque::new(),
            has_ended: false,
            has_let_go: false,
        }
    }

    /// Whom to wake, if it waits.
    pub(crate) fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }
}

impl Assignment {
    /// A partition that has no stream, for one that begins now, and the tenure of both. What the
    /// application was given before counts as worked on.
    pub(crate) fn claim(&mut self, now: Instant) -> Option<(Place, u64)> {
        self.put_down();
        self.application.takes_partitions = true;
        let (place, cursor) = self.cursors.iter_mut().find(|(_, cursor)| is_free(cursor))?;
        cursor.claim = Some(Claim::new(now));
        cursor.has_turn = false;
        let claimed = (place.clone(), cursor.tenure());
        self.turns.retain(|place| *place != claimed.0);
        Some(claimed)
    }

    /// What the application is to hear before it gets a partition.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failures.pop_front().or_else(|| self.fatal.clone())
    }

    /// Whom to wake when there is a partition without a stream.
    pub(crate) fn wait_for_partition(&mut self, waker: &Waker) {
        self.wait(waker);
        self.wants_partition = true;
        self.application.takes_partitions = true;
    }

    pub(super) fn has_unclaimed(&self) -> bool {
        self.cursors.values().any(is_free)
    }

    /// Whether a partition has a stream.
    pub(super) fn has_claim(&self, place: &Place) -> bool {
        self.cursors.get(place).is_some_and(|cursor| cursor.claim.is_some())
    }

    /// Whether any partition has a stream. Asked only of who takes partitions.
    pub(super) fn has_claims(&self) -> bool {
        self.application.takes_partitions
            && self.cursors.values().any(|cursor| cursor.claim.is_some())
    }

    /// Whether the application reads by streams, and each partition that stays has its own.
    pub(super) fn has_all_it_takes(&self) -> bool {
        self.application.takes_partitions && !self.has_unclaimed()
    }

    /// There may be something to ask for from now on: who had nothing to ask for was not late
    /// before.
    pub(super) fn may_ask_from(&mut self, now: Instant) {
        if self.has_all_it_takes() {
            self.application.polled_at = Some(now);
        }
    }

    /// A stream that waited is woken: from now on it is expected to ask.
    pub(super) fn expect_stream(&mut self, place: &Place, now: Instant) {
        let claim = self.cursors.get_mut(place).and_then(|cursor| cursor.claim.as_mut());
        if let Some(claim) = claim {
            claim.asked_at.get_or_insert(now);
        }
    }

    /// When those streams last asked that do not wait.
    pub(super) fn streams_asked_at(&self) -> impl Iterator<Item = Instant> {
        let asked_at = |claim: &Claim| claim.asked_at.filter(|_| !claim.has_ended);
        self.cursors.values().filter_map(move |cursor| cursor.claim.as_ref().and_then(asked_at))
    }

    /// Whether a stream reads the partition that has not let go of it.
    pub(super) fn has_stream(&self, place: &Place) -> bool {
        let claim = self.cursors.get(place).and_then(|cursor| cursor.claim.as_ref());
        claim.is_some_and(|claim| !claim.has_let_go)
    }

    /// The cursor of a stream, unless its partition was taken away since.
    pub(crate) fn claimed(&mut self, place: &Place, tenure: u64) -> Option<&mut Cursor> {
        let cursor = self.cursors.get_mut(place)?;
        (cursor.tenure() == tenure && cursor.claim.is_some()).then_some(cursor)
    }

    /// What a stream gets: a batch, or a failure; nothing more when its partition is given up and
    /// all is delivered that was fetched, or when the partition is gone. Who asks has worked on
    /// what it was given before.
    pub(crate) fn next_of(
        &mut self,
        (place, tenure): (&Place, u64),
        isolation: IsolationLevel,
        (waker, now): (&Waker, Instant),
    ) -> Poll<Option<Result<Fetched, Error>>> {
        let open = |cursor: &&mut Cursor| cursor.claim.as_ref().is_some_and(|it| !it.has_ended);
        let Some(cursor) = self.claimed(place, tenure).filter(open) else {
            return Poll::Ready(None);
        };
        let next = cursor.next(isolation);
        let (made_room, leaving) = (cursor.made_room(), cursor.leaving);
        self.made_room |= made_room;
        let claim = self.claimed(place, tenure).and_then(|cursor| cursor.claim.as_mut());
        let Some(claim) = claim else { return Poll::Ready(None) };
        claim.in_hand = None;
        claim.asked_at = Some(now);
        match next {
            Ok(Some(fetched)) => {
                claim.in_hand = Some(InHand::of(&fetched));
                claim.given = Some((fetched.end(), fetched.term));
                Poll::Ready(Some(Ok(fetched)))
            }
            Err(source) => {
                let subject = Subject::Partition(place.0.clone(), place.1);
                Poll::Ready(Some(Err(Error::Batch { subject, source })))
            }
            Ok(None) => match claim.failures.pop_front() {
                Some(error) => Poll::Ready(Some(Err(error))),
                None if leaving => {
                    claim.has_ended = true;
                    Poll::Ready(None)
                }
                None => {
                    claim.asked_at = None;
                    claim.waker = Some(waker.clone());
                    Poll::Pending
                }
            },
        }
    }

    /// A stream that waited for the next batch waits no longer.
    pub(crate) fn stops_asking(&mut self, place: &Place, tenure: u64, now: Instant) {
        let claim = self.claimed(place, tenure).and_then(|cursor| cursor.claim.as_mut());
        if let Some(claim) = claim.filter(|claim| claim.asked_at.is_none()) {
            claim.asked_at = Some(now);
        }
    }

    /// A stream has committed up to this offset: if that was all that it was given, nothing is in
    /// hand, and if it has ended, it has let go.
    pub(crate) fn stream_committed(&mut self, place: &Place, tenure: u64, offset: i64) {
        let Some(cursor) = self.claimed(place, tenure) else { return };
        let position = cursor.position().unwrap_or(i64::MAX);
        let given = cursor.claim.as_ref().and_then(|claim| claim.given);
        let given = given.filter(|(_, term)| cursor.counts(*term, i64::MIN));
        let is_all = given.is_none_or(|(end, _)| end.min(position) <= offset);
        if let Some(claim) = cursor.claim.as_mut().filter(|_| is_all) {
            claim.in_hand = None;
            claim.has_let_go = claim.has_ended;
        }
    }

    /// A stream has nothing to commit: if it has ended, it has let go.
    pub(crate) fn stream_let_go(&mut self, place: &Place, tenure: u64) {
        let claim = self.claimed(place, tenure).and_then(|cursor| cursor.claim.as_mut());
        if let Some(claim) = claim {
            claim.has_let_go = claim.has_ended;
        }
    }

    /// A stream is gone: what it had in hand comes again, to whoever reads the partition next.
    pub(crate) fn release(&mut self, place: &Place, tenure: u64, now: Instant) {
        self.may_ask_from(now);
        self.bereft.remove(&(place.clone(), tenure));
        let Some(cursor) = self.claimed(place, tenure) else { return };
        if let Some(from) = cursor.in_hand() {
            cursor.go_to(from);
        }
        let claim = cursor.claim.take();
        self.failures.extend(claim.into_iter().flat_map(|claim| claim.failures));
        self.ready(place);
    }

    /// The consumer ends: streams end with what is fetched already. Tells which there are.
    pub(crate) fn end_streams(&mut self) -> Vec<Place> {
        let claimed = self.cursors.iter().filter(|(_, cursor)| cursor.claim.is_some());
        let places: Vec<_> = claimed.map(|(place, _)| place.clone()).collect();
        self.hold(&places);
        places
    }

    /// Asks for nothing more of these partitions, and tells why.
    pub(crate) fn halt(&mut self, places: &[Place], error: Error) {
        for place in places {
            if let Some(cursor) = self.cursors.get_mut(place) {
                cursor.halted = true;
            }
        }
        self.fail_at(places, error);
    }

    /// Tells of a failure of these partitions: each stream for itself, and the application once.
    fn fail_at(&mut self, places: &[Place], error: Error) {
        let mut is_everybodys = false;
        for place in places {
            match self.cursors.get_mut(place).and_then(|cursor| cursor.claim.as_mut()) {
                Some(claim) => {
                    claim.failures.push_back(error.clone());
                    self.woken.extend(claim.take_waker().map(|waker| (place.clone(), waker)));
                }
                None => is_everybodys = true,
            }
        }
        if is_everybodys {
            self.fail(error);
        }
    }
}

fn is_free(cursor: &Cursor) -> bool {
    cursor.claim.is_none() && !cursor.leaving
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use klamm_protocol::records::{BatchBuilder, BatchOptions};
    use klamm_utils::clock;

    use super::*;
    use crate::cursor::Start;

    const INTERVAL: Duration = Duration::from_secs(300);
    const ISOLATION: IsolationLevel = IsolationLevel::ReadUncommitted;

    fn place(partition: i32) -> Place {
        ("t".into(), partition)
    }

    /// Of an application that reads its only partition by a stream, which waits since `now`.
    fn waiting(now: Instant) -> (Assignment, u64) {
        let mut assignment = Assignment::default();
        assignment.add([("t".into(), 0, Start::Offset(0))], now);
        let (_, tenure) = assignment.claim(now).unwrap();
        assignment.polled(now);
        wait(&mut assignment, tenure, now);
        assert_eq!(assignment.late_at(INTERVAL), None, "there is nothing to ask for");
        (assignment, tenure)
    }

    fn wait(assignment: &mut Assignment, tenure: u64, now: Instant) {
        let next = assignment.next_of((&place(0), tenure), ISOLATION, (Waker::noop(), now));
        assert!(next.is_pending(), "{next:?}");
    }

    #[test]
    fn who_reads_by_streams_has_the_whole_interval_for_what_comes() {
        let (now, later) = (clock::now(), clock::now() + INTERVAL * 12);
        let changes: [fn(&mut Assignment, u64, Instant); 3] = [
            // Another partition comes.
            |assignment, _, later| assignment.add([("t".into(), 1, Start::Latest)], later),
            // The stream is dropped.
            |assignment, tenure, later| assignment.release(&place(0), tenure, later),
            // Everything goes, and comes again, in an eager rebalance.
            |assignment, tenure, later| {
                assignment.hold(&[place(0)]);
                assignment.release(&place(0), tenure, later);
                assert_eq!(assignment.late_at(INTERVAL), None, "it is given up");
                assignment.remove_all();
                assert_eq!(assignment.late_at(INTERVAL), None, "there is none");
                assignment.add([("t".into(), 0, Start::Latest)], later);
            },
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let (mut assignment, tenure) = waiting(now);
            change(&mut assignment, tenure, later);
            assert_eq!(assignment.late_at(INTERVAL), Some(later + INTERVAL), "change {number}");
        }
    }

    #[test]
    fn who_reads_by_batches_again_has_those_to_ask_for() {
        let (mut assignment, tenure) = waiting(clock::now());
        assignment.release(&place(0), tenure, clock::now());
        let now = clock::now();
        assert!(assignment.next(ISOLATION).is_none());
        assignment.polled(now);
        assignment.remove_all();
        assert_eq!(assignment.late_at(INTERVAL), Some(now + INTERVAL));
    }

    #[test]
    fn a_stream_that_is_woken_is_expected_to_ask() {
        let (now, later) = (clock::now(), clock::now() + INTERVAL * 12);
        let (mut assignment, tenure) = waiting(now);
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder.push(0, None, Some(b"v"), &[]).unwrap();
        let records = Bytes::from(builder.build(0).unwrap().bytes().to_vec());
        let cursor = assignment.claimed(&place(0), tenure).unwrap();
        assert!(cursor.arrived(cursor.term(), records, Vec::new(), 1));
        assignment.ready(&place(0));
        assert_eq!(assignment.take_wakers(later).1.len(), 1);
        assert_eq!(assignment.late_at(INTERVAL), Some(later + INTERVAL));
    }
}
