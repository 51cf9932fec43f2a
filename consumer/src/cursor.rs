//! Where a consumer stands in one partition, and what it has fetched ahead. Pure.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use klamm_client::config::IsolationLevel;
use klamm_protocol::api::fetch::AbortedTransaction;
use klamm_protocol::records::{Batch, BatchError, batches};
use klamm_protocol::wire::Uuid;

use bytes::Bytes;

use crate::assignment::Claim;

/// Where to begin in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// At the first record that is still there.
    Earliest,
    /// At the end: only what comes from now on.
    Latest,
    /// At this offset.
    Offset(i64),
    /// At the first record whose timestamp, in milliseconds since 1970, is this or later; at the
    /// end if there is none.
    Timestamp(i64),
    /// Where the group has committed that it goes on; if it has not, or without a group, where
    /// `auto.offset.reset` says.
    Committed,
}

/// A cursor's terms are those of its tenure, which stands in the bits above: nobody seeks four
/// billion times.
const TENURE_SHIFT: u32 = 32;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Cursor {
    /// Where to begin, until a broker has said which offset that is.
    start: Option<Start>,
    /// The next offset to be delivered.
    deliver: i64,
    /// The leader epoch of the record before it; -1 where unknown.
    epoch: i32,
    /// What the group is known to have committed.
    committed: Option<i64>,
    /// The next offset to be fetched.
    fetch: i64,
    /// The leader epoch of the record before it; -1 where unknown.
    fetch_epoch: i32,
    /// Rises whenever it goes elsewhere, so that what was asked for before is not taken for an
    /// answer.
    term: u64,
    /// The term in which the application last sent it elsewhere: what was given before that no
    /// longer counts.
    sought: u64,
    buffered: VecDeque<Chunk>,
    buffered_bytes: usize,
    /// Somebody waits until less than this is fetched ahead.
    full_at: Option<usize>,
    high_watermark: Option<i64>,
    /// The application wants nothing from here now.
    pub(crate) paused: bool,
    /// An error was delivered that repeating cannot mend; a seek can.
    pub(crate) halted: bool,
    /// It is being given up: nothing more is delivered.
    pub(crate) leaving: bool,
    /// Nothing is asked before.
    pub(crate) retry_at: Option<Instant>,
    /// Whether it stands in the row of those that may have something to deliver.
    pub(crate) has_turn: bool,
    /// The id of the topic, if the group has said it: then only that topic is meant, and none that
    /// is made anew under its name.
    pub(crate) topic_id: Option<Uuid>,
    /// A replica to be read from instead of the leader, and until when.
    pub(crate) replica: Option<(i32, Instant)>,
    /// The stream of its own that reads it, if there is one: then it never has a turn.
    pub(crate) claim: Option<Claim>,
}

/// What a broker is asked for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The offset that a place has.
    Resolve(Start),
    /// Records from this offset on.
    Records(i64),
}

/// One answer's batches of one partition.
#[derive(Debug)]
struct Chunk {
    batches: VecDeque<Batch>,
    /// What follows the batches makes no sense.
    broken: Option<BatchError>,
    /// Aborted transactions that begin behind what was delivered, in the order of their offsets.
    aborted: VecDeque<AbortedTransaction>,
    /// Producers whose present transaction was aborted.
    aborting: HashSet<i64>,
}

/// A batch for the application.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) batch: Batch,
    /// Records before this offset are not wanted.
    pub(crate) from: i64,
    /// The leader epoch of the record before that one; -1 where unknown.
    pub(crate) from_epoch: i32,
    /// The cursor's when it was given.
    pub(crate) term: u64,
}

impl Fetched {
    /// The offset after its last record.
    pub(crate) fn end(&self) -> i64 {
        self.batch.header().last_offset().saturating_add(1)
    }
}

/// The number of the assignment that a term is of.
pub(crate) fn tenure_of(term: u64) -> u64 {
    term >> TENURE_SHIFT
}

impl Cursor {
    /// A cursor of the assignment that has this number.
    pub(crate) fn new(start: Start, tenure: u64) -> Self {
        let mut cursor = Self {
            start: None,
            deliver: 0,
            epoch: -1,
            committed: None,
            fetch: 0,
            fetch_epoch: -1,
            topic_id: None,
            replica: None,
            term: tenure << TENURE_SHIFT,
            sought: tenure << TENURE_SHIFT,
            buffered: VecDeque::new(),
            buffered_bytes: 0,
            full_at: None,
            high_watermark: None,
            paused: false,
            halted: false,
            leaving: false,
            retry_at: None,
            has_turn: false,
            claim: None,
        };
        cursor.seek(start);
        cursor
    }

    /// Goes elsewhere, for the application wants that. What was fetched is forgotten, what is
    /// asked for will not be believed, and what was given does not count.
    pub(crate) fn seek(&mut self, start: Start) {
        self.go(start);
        self.sought = self.term;
    }

    /// Goes elsewhere, for the log is not as expected. What was given before the new position
    /// still counts.
    pub(crate) fn go(&mut self, start: Start) {
        self.term += 1;
        self.buffered.clear();
        self.buffered_bytes = 0;
        (self.halted, self.retry_at) = (false, None);
        match start {
            Start::Offset(offset) => self.land(offset),
            unresolved => self.start = Some(unresolved),
        }
    }

    /// Delivers nothing more from here, since this makes no sense; unless it does not count.
    pub(crate) fn stop_at(&mut self, fetched: &Fetched) {
        if self.counts(fetched.term, fetched.from) {
            self.seek(Start::Offset(fetched.from));
            self.halted = true;
        }
    }

    /// Whether what was given in this term and begins there still counts: the application has not
    /// gone elsewhere since, and the log was not cut before it.
    pub(crate) fn counts(&self, term: u64, from: i64) -> bool {
        term >= self.sought && self.position().is_none_or(|position| from <= position)
    }

    fn land(&mut self, offset: i64) {
        self.start = None;
        (self.deliver, self.fetch) = (offset, offset);
        (self.epoch, self.fetch_epoch) = (-1, -1);
    }

    /// The next offset to be delivered, once it is known.
    pub(crate) fn position(&self) -> Option<i64> {
        self.start.is_none().then_some(self.deliver)
    }

    /// Where that begins which its stream may be working on, and the leader epoch of the record
    /// before it.
    pub(crate) fn in_hand(&self) -> Option<(i64, i32)> {
        self.claim.as_ref()?.in_hand.as_ref()?.begin(self)
    }

    /// Goes to an offset of which the leader epoch of the record before it is known, or -1: the
    /// broker is to tell if its log has another.
    pub(crate) fn go_to(&mut self, (offset, epoch): (i64, i32)) {
        self.go(Start::Offset(offset));
        (self.epoch, self.fetch_epoch) = (epoch, epoch);
    }

    /// The log of a new leader parts from what was fetched at `end`, of which the record before has
    /// this epoch or an earlier one. Goes on from there if that lies before the position.
    pub(crate) fn truncate(&mut self, end: i64, epoch: i32) {
        let Some(position) = self.position() else { return };
        self.go_to(if end < position { (end, epoch) } else { (position, self.epoch.min(epoch)) });
    }

    /// The leader epoch of the last record that was fetched; -1 where unknown.
    pub(crate) fn fetch_epoch(&self) -> i32 {
        self.fetch_epoch
    }

    /// The leader epoch of the record before the position; -1 where unknown.
    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Whether it waits to be told what the group has committed.
    pub(crate) fn awaits_committed(&self, now: Instant) -> bool {
        self.start == Some(Start::Committed) && !self.halted && !self.is_pausing(now)
    }

    /// What the group is known to have committed.
    pub(crate) fn committed(&self) -> Option<i64> {
        self.committed
    }

    /// The group has committed this offset.
    pub(crate) fn set_committed(&mut self, offset: i64) {
        self.committed = Some(offset);
    }

    /// What the group has committed may have expired.
    pub(crate) fn doubt_committed(&mut self) {
        self.committed = None;
    }

    /// The offset that the next record of the partition would have, as last heard.
    pub(crate) fn high_watermark(&self) -> Option<i64> {
        self.high_watermark
    }

    /// How many offsets lie before the end of the partition, as last heard.
    pub(crate) fn lag(&self) -> Option<i64> {
        Some((self.high_watermark? - self.position()?).max(0))
    }

    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// The number of the assignment with which the partition came, and came anew if it had been
    /// taken away.
    pub(crate) fn tenure(&self) -> u64 {
        tenure_of(self.term)
    }

    /// What is to be asked now.
    pub(crate) fn wanted(&self, now: Instant) -> Option<Wanted> {
        if self.paused || self.halted || self.leaving || self.is_pausing(now) {
            return None;
        }
        match self.start {
            Some(Start::Committed) => None,
            Some(start) => Some(Wanted::Resolve(start)),
            None => Some(Wanted::Records(self.fetch)),
        }
    }

    fn is_pausing(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| now < at)
    }

    /// Whether so much is fetched ahead that no more should be asked for. Who is told so waits for
    /// room.
    pub(crate) fn is_full(&mut self, bytes: usize) -> bool {
        let is_full = !self.paused && !self.halted && !self.leaving && self.buffered_bytes >= bytes;
        self.full_at = is_full.then_some(bytes);
        is_full
    }

    /// Whether anything is fetched that is not delivered.
    pub(crate) fn has_buffered(&self) -> bool {
        !self.buffered.is_empty()
    }

    /// Whether there is room now for which somebody waits. Told once.
    pub(crate) fn made_room(&mut self) -> bool {
        let buffered = self.buffered_bytes;
        self.full_at.take_if(|bytes| buffered < *bytes).is_some()
    }

    /// A broker has said which offset the start has.
    pub(crate) fn resolved(&mut self, term: u64, offset: i64) {
        if term == self.term {
            self.land(offset);
        }
    }

    /// The offset is not in the log: goes where the policy says that it goes on, and tells whether
    /// it does.
    pub(crate) fn reset(&mut self, start: Option<Start>) -> bool {
        match start {
            Some(start) => self.go(start),
            None => self.halted = true,
        }
        start.is_some()
    }

    /// Takes over an answer. Tells whether there is something to deliver.
    pub(crate) fn arrived(
        &mut self,
        term: u64,
        records: Bytes,
        mut aborted: Vec<AbortedTransaction>,
        high_watermark: i64,
    ) -> bool {
        if term != self.term {
            return false;
        }
        self.high_watermark = Some(high_watermark);
        if records.is_empty() {
            return false;
        }
        let (mut whole, mut broken) = (VecDeque::new(), None);
        for batch in batches(records) {
            match batch {
                Ok(batch) => {
                    let end = batch.header().last_offset().saturating_add(1);
                    // Two brokers may have answered the same: the later answer is not the newer.
                    if end > self.fetch {
                        (self.fetch, self.fetch_epoch) = (end, batch.header().leader_epoch);
                    }
                    self.buffered_bytes += batch.bytes().len();
                    whole.push_back(batch);
                }
                Err(error) => broken = Some(error),
            }
        }
        aborted.sort_by_key(|transaction| transaction.first_offset);
        let aborted = aborted.into();
        self.buffered.push_back(Chunk {
            batches: whole,
            broken,
            aborted,
            aborting: HashSet::new(),
        });
        true
    }

    /// The next batch that the application may see. A stream of its own sees also while the
    /// partition is given up what is fetched already.
    ///
    /// # Errors
    /// What comes next makes no sense; nothing more comes before a seek.
    pub(crate) fn next(
        &mut self,
        isolation: IsolationLevel,
    ) -> Result<Option<Fetched>, BatchError> {
        if self.paused || self.halted || (self.leaving && self.claim.is_none()) {
            return Ok(None);
        }
        while let Some(chunk) = self.buffered.front_mut() {
            let Some(batch) = chunk.batches.pop_front() else {
                let broken = chunk.broken;
                self.buffered.pop_front();
                match broken {
                    None => continue,
                    Some(error) => {
                        self.halted = true;
                        return Err(error);
                    }
                }
            };
            self.buffered_bytes -= batch.bytes().len();
            let hidden = isolation == IsolationLevel::ReadCommitted && chunk.hides(&batch);
            let (from, from_epoch) = (self.deliver, self.epoch);
            let end = batch.header().last_offset().saturating_add(1);
            if end <= from {
                continue;
            }
            (self.deliver, self.epoch) = (end, batch.header().leader_epoch);
            if !hidden && !batch.header().attributes.is_control() {
                return Ok(Some(Fetched { batch, from, from_epoch, term: self.term }));
            }
        }
        Ok(None)
    }
}

impl Chunk {
    /// Whether a batch belongs to a transaction that was aborted. Batches must be shown in order.
    fn hides(&mut self, batch: &Batch) -> bool {
        let header = batch.header();
        while let Some(begun) =
            self.aborted.pop_front_if(|begun| begun.first_offset <= header.last_offset())
        {
            self.aborting.insert(begun.producer_id);
        }
        if header.attributes.is_control() {
            // The marker of this producer: whatever it says, its transaction is over.
            self.aborting.remove(&header.producer_id);
            return true;
        }
        header.attributes.is_transactional() && self.aborting.contains(&header.producer_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_protocol::records::{BatchBuilder, BatchOptions, BatchProducer};

    /// A batch of `count` records from `base` on.
    fn batch(base: i64, count: usize, producer: i64, control: bool) -> Bytes {
        let transactional = producer >= 0;
        let options = BatchOptions { transactional, control, ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options);
        for _ in 0..count {
            builder.push(0, Some(&[0, 0, 0, 0]), Some(b"v"), &[]).unwrap();
        }
        builder.set_producer(BatchProducer { id: producer, epoch: 0, base_sequence: 0 });
        builder.build(base).unwrap().bytes().clone()
    }

    fn seen(cursor: &mut Cursor, isolation: IsolationLevel) -> Vec<(i64, i64)> {
        let mut seen = Vec::new();
        while let Ok(Some(fetched)) = cursor.next(isolation) {
            seen.push((fetched.batch.header().base_offset, fetched.from));
        }
        seen
    }

    #[test]
    fn a_batch_that_contains_the_offset_is_delivered_from_there() {
        let mut cursor = Cursor::new(Start::Offset(12), 0);
        let records = [batch(10, 5, -1, false), batch(15, 2, -1, false)].concat();
        assert!(cursor.arrived(cursor.term(), records.into(), Vec::new(), 17));
        let committed = IsolationLevel::ReadCommitted;
        assert_eq!(seen(&mut cursor, committed), [(10, 12), (15, 15)]);
        assert_eq!((cursor.position(), cursor.high_watermark()), (Some(17), Some(17)));
        assert_eq!(cursor.wanted(klamm_utils::clock::now()), Some(Wanted::Records(17)));
    }

    #[test]
    fn what_was_asked_before_a_seek_is_not_believed() {
        let mut cursor = Cursor::new(Start::Earliest, 0);
        let old = cursor.term();
        assert_eq!(cursor.position(), None);
        cursor.seek(Start::Offset(3));
        cursor.resolved(old, 99);
        assert!(!cursor.arrived(old, batch(50, 1, -1, false), Vec::new(), 51));
        assert_eq!(cursor.position(), Some(3));
    }

    #[test]
    fn who_waits_for_room_is_told_once_and_not_before_there_is_some() {
        let mut cursor = Cursor::new(Start::Offset(0), 0);
        let records = [batch(0, 1, -1, false), batch(1, 1, -1, false), batch(2, 1, -1, false)];
        let all = records.concat().len();
        cursor.arrived(cursor.term(), records.concat().into(), Vec::new(), 3);
        assert!(!cursor.made_room(), "nobody waits");
        assert!(cursor.is_full(all - records[0].len()));
        let mut told = Vec::new();
        while let Ok(Some(_)) = cursor.next(IsolationLevel::ReadUncommitted) {
            told.push(cursor.made_room());
        }
        assert_eq!(told, [false, true, false]);
    }

    #[test]
    fn an_older_answer_that_comes_later_changes_no_epoch() {
        let of_epoch = |base, epoch: i32| {
            let mut batch = batch(base, 5, -1, false).to_vec();
            batch[12..16].copy_from_slice(&epoch.to_be_bytes());
            batch
        };
        let mut cursor = Cursor::new(Start::Offset(0), 0);
        let newer = Bytes::from([of_epoch(0, 4), of_epoch(5, 5)].concat());
        cursor.arrived(cursor.term(), newer, Vec::new(), 10);
        cursor.arrived(cursor.term(), of_epoch(0, 4).into(), Vec::new(), 10);
        assert_eq!(cursor.fetch_epoch(), 5);
        assert_eq!(seen(&mut cursor, IsolationLevel::ReadUncommitted), [(0, 0), (5, 5)]);
        assert_eq!((cursor.position(), cursor.epoch()), (Some(10), 5));
    }

    #[test]
    fn aborted_transactions_are_hidden_from_those_who_ask_for_that() {
        // Producer 7 aborts at 4 and commits at 8; producer 8 commits.
        let records = [
            batch(0, 2, 7, false),
            batch(2, 2, 8, false),
            batch(4, 1, 7, true),
            batch(5, 1, 8, true),
            batch(6, 2, 7, false),
            batch(8, 1, 7, true),
        ]
        .concat();
        let aborted = vec![AbortedTransaction { producer_id: 7, first_offset: 0 }];
        for (isolation, expected) in [
            (IsolationLevel::ReadCommitted, vec![(2, 2), (6, 6)]),
            (IsolationLevel::ReadUncommitted, vec![(0, 0), (2, 2), (6, 6)]),
        ] {
            let mut cursor = Cursor::new(Start::Offset(0), 0);
            let records = Bytes::from(records.clone());
            cursor.arrived(cursor.term(), records, aborted.clone(), 9);
            assert_eq!(seen(&mut cursor, isolation), expected);
            assert_eq!(cursor.position(), Some(9), "markers are passed over");
        }
    }

    #[test]
    fn nonsense_is_told_after_what_makes_sense() {
        let mut cursor = Cursor::new(Start::Offset(0), 0);
        let mut broken = batch(1, 1, -1, false).to_vec();
        broken[16] = 1;
        let records = [batch(0, 1, -1, false), broken.into()].concat();
        cursor.arrived(cursor.term(), records.into(), Vec::new(), 2);
        let isolation = IsolationLevel::ReadUncommitted;
        assert!(matches!(cursor.next(isolation), Ok(Some(_))));
        assert!(matches!(cursor.next(isolation), Err(BatchError::Magic(1))));
        assert!(matches!(cursor.next(isolation), Ok(None)));
        assert_eq!(cursor.wanted(klamm_utils::clock::now()), None);
        cursor.seek(Start::Latest);
        assert!(cursor.wanted(klamm_utils::clock::now()).is_some());
    }

    #[test]
    fn a_policy_decides_where_to_go_on() {
        let mut cursor = Cursor::new(Start::Offset(5), 0);
        assert!(cursor.reset(Some(Start::Earliest)));
        let now = klamm_utils::clock::now();
        assert_eq!(cursor.wanted(now), Some(Wanted::Resolve(Start::Earliest)));
        assert!(!cursor.reset(None));
        assert_eq!(cursor.wanted(now), None);
    }
}
