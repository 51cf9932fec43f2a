//! The batches of one partition in the sender's hands: what may be sent, in which order, under
//! which sequence numbers. Pure: no task, no socket, no clock.
//!
//! A lane sends batches in the order in which they were begun, and several at a time. When one
//! comes back unstored, the lane *settles*: it sends nothing until every batch that is out has come
//! back, and then goes on with the oldest. So sequence numbers are given anew only when nothing is
//! out.
//!
//! Several are out only by one connection, whose requests the broker takes in order; and only
//! where it is sure to know the producer, for it takes any sequence number from one that it does
//! not know: a later batch would be stored though an older one is not, which could then never be.
//!
//! # Invariants
//!
//! - `queue` is in the order in which batches were begun; those with a sequence number stand
//!   before those without.
//! - A batch keeps its sequence number for as long as it may be in the log. Where a later one
//!   could only go on by reusing the number of an ambiguous one, the lane asks for a new epoch.
//! - No more numbered batches are out, or sent since the oldest that is out, than a broker
//!   remembers: one that it calls out of order is not in the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use klamm_client::Error;
use klamm_protocol::records::{Batch, BatchProducer};

use crate::accumulate::Sealed;
use crate::sequence;

/// Numbered batches that a lane may have out: brokers remember the last five of each producer and
/// partition.
pub(crate) const NUMBERED_OUT_MAX: usize = 5;

/// By which connection batches go; no two have the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way(pub(crate) u64);

/// A batch with its history.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) sealed: Sealed,
    /// The sequence number it was sent under, once it was.
    pub(crate) stamp: Option<BatchProducer>,
    /// How often it was sent.
    pub(crate) attempts: usize,
    /// Whether it may be in the log though nobody said so.
    pub(crate) possibly_written: bool,
}

/// What is to be done with a batch that came back unstored.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Send it again, under the same sequence number.
    Again,
    /// Tell its records that they are not stored, and why.
    GiveUp(Error),
    /// It is not in the log, and the broker has lost this producer's place: send it again in a new
    /// epoch.
    NewEpoch,
    /// It is too large: send these in its stead.
    Split(Box<[Batch; 2]>),
}

/// What batches are in order by: see [`Sealed::place`].
type Place = (u64, usize);

/// A batch that was sent.
#[derive(Debug)]
struct Out {
    place: Place,
    is_repeat: bool,
    is_back: bool,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Lane {
    queue: VecDeque<Parcel>,
    /// What was sent since the oldest that is out. The first has not come back.
    out: VecDeque<Out>,
    /// By which what is out has gone.
    way: Way,
    /// Under which producer id a batch was stored last, and as which the batches out were sent.
    known_as: Option<i64>,
    sent_as: Option<i64>,
    /// Nothing is sent until what is out has come back.
    settling: bool,
    /// The lowest sequence number that was given and will not be used, for its batch was given
    /// up and is certainly not in the log.
    hole: Option<i32>,
    /// The producer can go on in this partition only in a new epoch.
    broken: bool,
    /// The sequence number of the next batch that has none.
    next_sequence: i32,
    /// Nothing is sent before.
    pub(crate) retry_at: Option<Instant>,
}

impl Lane {
    /// Takes over a batch.
    pub(crate) fn push(&mut self, sealed: Sealed) {
        let parcel = Parcel { sealed, stamp: None, attempts: 0, possibly_written: false };
        self.queue.push_back(parcel);
    }

    /// Whether a batch could be sent now, if there is one.
    pub(crate) fn may_send(&self, now: Instant) -> bool {
        let pausing = self.retry_at.is_some_and(|at| now < at);
        let is_numbered = self.sent_as.is_some();
        let is_stranger = is_numbered && self.known_as != self.sent_as;
        let is_full = is_numbered && self.out.len() >= NUMBERED_OUT_MAX;
        let is_late = is_numbered && self.next_is_new() && self.is_repeating();
        let waiting = self.is_out() && (self.settling || is_stranger || is_full || is_late);
        !(self.broken || pausing || waiting)
    }

    /// Whether the batch that would be sent next has no number yet.
    fn next_is_new(&self) -> bool {
        self.queue.front().is_none_or(|parcel| parcel.stamp.is_none())
    }

    /// Whether a batch is out that was sent before. As long as it is, nothing new is sent: the
    /// broker might store that and forget the older one.
    fn is_repeating(&self) -> bool {
        self.out.iter().any(|out| out.is_repeat && !out.is_back)
    }

    /// Whether a batch could be sent by this connection beside those that are out.
    pub(crate) fn goes_by(&self, way: Way) -> bool {
        !self.is_out() || self.way == way
    }

    /// Whether no batch waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether nothing is waiting and nothing is out.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.is_out()
    }

    /// Whether anything is out.
    pub(crate) fn is_out(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether it can go on only in a new epoch.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether a batch waits that may be in the log, and that the present epoch alone can send
    /// again without doubling it.
    pub(crate) fn needs_this_epoch(&self) -> bool {
        !self.broken && self.queue.iter().any(|parcel| parcel.possibly_written)
    }

    /// When the oldest batch that waits was begun.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.queue.front().map(|parcel| parcel.sealed.began)
    }

    /// The transaction of the batch that would be sent next.
    pub(crate) fn next_transaction(&self) -> Option<u64> {
        self.queue.front().map(|parcel| parcel.sealed.transaction)
    }

    /// The size of the batch that would be sent next.
    pub(crate) fn next_size(&self) -> usize {
        self.queue.front().map_or(0, |parcel| parcel.sealed.batch.bytes().len())
    }

    /// Takes the next batch to send it by `way`, as the next of `producer`'s if it is idempotent.
    /// `only_old` gives only what was sent in this epoch before.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        way: Way,
        producer: BatchProducer,
        only_old: bool,
    ) -> Option<Parcel> {
        let may_send = self.may_send(now) && self.goes_by(way);
        if !may_send || (only_old && self.queue.front()?.stamp.is_none()) {
            return None;
        }
        let mut parcel = self.queue.pop_front()?;
        if producer.id >= 0 && parcel.stamp.is_none() {
            parcel.stamp = Some(BatchProducer { base_sequence: self.next_sequence, ..producer });
            let count = parcel.sealed.batch.header().record_count;
            self.next_sequence = sequence::after(self.next_sequence, count);
        }
        parcel.attempts += 1;
        self.sent_as = parcel.stamp.map(|stamp| stamp.id);
        self.way = way;
        let (place, is_repeat) = (parcel.sealed.place(), parcel.attempts > 1);
        self.out.push_back(Out { place, is_repeat, is_back: false });
        self.settling = false;
        self.retry_at = None;
        Some(parcel)
    }

    /// A batch that was out is stored.
    pub(crate) fn stored(&mut self, parcel: &Parcel) {
        self.known_as = parcel.stamp.map(|stamp| stamp.id);
        self.came_back(parcel);
        self.settle();
    }

    /// Whether a batch that comes back has an older one that came back before it, or is still out,
    /// so that its own failure may only follow from that.
    pub(crate) fn follows_another(&self, parcel: &Parcel) -> bool {
        let place = parcel.sealed.place();
        self.settling || self.out.front().is_some_and(|oldest| oldest.place < place)
    }

    /// A batch that was out came back unstored.
    pub(crate) fn returned(&mut self, parcel: Parcel, verdict: Verdict) {
        self.came_back(&parcel);
        self.settling = true;
        match verdict {
            Verdict::Again => self.put_back(parcel),
            Verdict::NewEpoch => {
                self.broken = true;
                self.put_back(Parcel { stamp: None, possibly_written: false, ..parcel });
            }
            Verdict::GiveUp(error) => {
                self.forsake(&parcel);
                parcel.give_up(error);
            }
            Verdict::Split(halves) => self.put_back_split(parcel, *halves),
        }
        self.settle();
    }

    /// Takes out the batches that began at `moment` or before and are not out.
    pub(crate) fn expire(&mut self, moment: Instant) -> Vec<Parcel> {
        self.take_out(|parcel| parcel.sealed.began <= moment)
    }

    /// Takes out the batches of transactions up to this one that are not out.
    pub(crate) fn expel(&mut self, transaction: u64) -> Vec<Parcel> {
        self.take_out(|parcel| parcel.sealed.transaction <= transaction)
    }

    /// Takes out batches, of which the oldest is one if any is.
    fn take_out(&mut self, is_one: impl Fn(&Parcel) -> bool) -> Vec<Parcel> {
        if !self.queue.front().is_some_and(&is_one) {
            return Vec::new();
        }
        let (taken, kept): (Vec<_>, Vec<_>) = self.queue.drain(..).partition(is_one);
        self.queue = kept.into();
        for parcel in &taken {
            self.forsake(parcel);
        }
        self.settle();
        taken
    }

    /// Takes out everything that is not out.
    pub(crate) fn drain(&mut self) -> VecDeque<Parcel> {
        std::mem::take(&mut self.queue)
    }

    /// Goes on in a new epoch, whose sequence numbers start at 0. Nothing may be out. Gives back
    /// what may be in the log already, for a new epoch could not tell that it is there.
    pub(crate) fn begin_epoch(&mut self) -> Vec<Parcel> {
        debug_assert!(!self.is_out(), "an epoch begins when nothing is out");
        let (lost, mut kept): (Vec<_>, Vec<_>) =
            self.queue.drain(..).partition(|parcel| parcel.possibly_written);
        kept.iter_mut().for_each(|parcel| parcel.stamp = None);
        self.queue = kept.into();
        self.next_sequence = 0;
        (self.broken, self.settling, self.hole) = (false, false, None);
        lost
    }

    /// Notes what it means for the sequence that this batch will not be sent again.
    fn forsake(&mut self, parcel: &Parcel) {
        let Some(stamp) = parcel.stamp else { return };
        if parcel.possibly_written {
            self.broken = true;
            return;
        }
        self.settling = true;
        let earlier = |hole: i32| {
            if sequence::is_before(stamp.base_sequence, hole) { stamp.base_sequence } else { hole }
        };
        self.hole = Some(self.hole.map_or(stamp.base_sequence, earlier));
    }

    /// Once nothing is out, closes the hole: what was sent after it was refused, and is numbered
    /// anew.
    fn settle(&mut self) {
        if !self.settling || self.is_out() {
            return;
        }
        let Some(hole) = self.hole.take() else { return };
        let follows = |parcel: &Parcel| {
            parcel.stamp.is_some_and(|stamp| !sequence::is_before(stamp.base_sequence, hole))
        };
        if self.queue.iter().any(|parcel| follows(parcel) && parcel.possibly_written) {
            self.broken = true;
            return;
        }
        self.next_sequence = hole;
        for parcel in self.queue.iter_mut().filter(|parcel| follows(parcel)) {
            parcel.stamp = None;
        }
    }

    fn came_back(&mut self, parcel: &Parcel) {
        let place = parcel.sealed.place();
        let back = self.out.iter_mut().filter(|out| out.place == place);
        back.for_each(|out| out.is_back = true);
        while self.out.pop_front_if(|out| out.is_back).is_some() {}
    }

    fn put_back(&mut self, parcel: Parcel) {
        let place = parcel.sealed.place();
        let index = self.queue.partition_point(|other| other.sealed.place() < place);
        self.queue.insert(index, parcel);
    }

    /// The halves share the records and the sequence numbers of the whole.
    fn put_back_split(&mut self, whole: Parcel, [first, second]: [Batch; 2]) {
        let Parcel { sealed: Sealed { began, transaction, claim, hold, .. }, stamp, .. } = whole;
        let count = first.header().record_count;
        let second_stamp = stamp.map(|stamp| BatchProducer {
            base_sequence: sequence::after(stamp.base_sequence, count),
            ..stamp
        });
        let second_claim = claim.split_off(usize::try_from(count).unwrap_or(0));
        let second_hold = Arc::clone(&hold);
        for (batch, claim, hold, stamp) in
            [(first, claim, hold, stamp), (second, second_claim, second_hold, second_stamp)]
        {
            let sealed = Sealed { batch, began, transaction, claim, hold };
            self.put_back(Parcel { sealed, stamp, attempts: 0, possibly_written: false });
        }
    }
}

impl Parcel {
    /// Notes what an error says about where the batch may be.
    pub(crate) fn learn(&mut self, error: &Error) {
        self.possibly_written |= error.possibly_written();
    }

    /// How many records it has.
    pub(crate) fn records(&self) -> u64 {
        self.sealed.records()
    }

    /// Tells its records that they are not stored, or may not be.
    pub(crate) fn give_up(self, error: Error) {
        let doubtful = self.possibly_written && !error.possibly_written();
        let error = if doubtful { Error::Doubtful { last: Arc::new(error) } } else { error };
        self.sealed.claim.settle(Err(error));
    }
}
