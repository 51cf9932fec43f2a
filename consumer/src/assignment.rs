//! The partitions of one consumer. Pure: no task, no socket, no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::task::Waker;
use std::time::Instant;

use klamm_client::config::IsolationLevel;
use klamm_client::{Error, Metadata, Subject};
use klamm_protocol::wire::Str;

use crate::cursor::{Cursor, Fetched, Start, Wanted};

/// A partition by topic and number.
pub(crate) type Place = (Str, i32);

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Assignment {
    cursors: BTreeMap<Place, Cursor>,
    /// Partitions that may have something to deliver, each once, in the order of their turns.
    turns: VecDeque<Place>,
    failures: VecDeque<Error>,
    /// Whoever waits for something to deliver.
    waker: Option<Waker>,
    /// How often partitions were assigned.
    assigned: u64,
}

/// One thing to ask of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) place: Place,
    pub(crate) wanted: Wanted,
    pub(crate) term: u64,
    pub(crate) leader_epoch: i32,
}

impl Assignment {
    /// Replaces the partitions.
    pub(crate) fn assign(&mut self, places: impl IntoIterator<Item = (Str, i32, Start)>) {
        self.assigned += 1;
        // Above the terms of all that were before: nobody seeks four billion times.
        let term = self.assigned << 32;
        let cursor = |(topic, partition, start)| ((topic, partition), Cursor::new(start, term));
        self.cursors = places.into_iter().map(cursor).collect();
        self.turns.clear();
        self.failures.clear();
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.cursors.keys()
    }

    pub(crate) fn cursor(&self, place: &Place) -> Option<&Cursor> {
        self.cursors.get(place)
    }

    /// A cursor to be moved.
    pub(crate) fn cursor_mut(&mut self, place: &Place) -> Option<&mut Cursor> {
        self.cursors.get_mut(place)
    }

    /// What is to be asked of the broker `node` now. Nothing while one of its partitions is full:
    /// a request that waits for the others would keep that one waiting when it is emptied.
    pub(crate) fn asks(
        &self,
        node: i32,
        metadata: &Metadata,
        full_at: usize,
        now: Instant,
    ) -> Vec<Ask> {
        let mut asks = Vec::new();
        for (place, cursor) in &self.cursors {
            let partition = metadata.topic(&place.0).and_then(|topic| topic.partition(place.1));
            let Some(partition) = partition.filter(|partition| partition.leader == Some(node))
            else {
                continue;
            };
            if cursor.is_full(full_at) {
                return Vec::new();
            }
            if let Some(wanted) = cursor.wanted(now) {
                let (term, leader_epoch) = (cursor.term(), partition.leader_epoch);
                asks.push(Ask { place: place.clone(), wanted, term, leader_epoch });
            }
        }
        asks
    }

    /// The brokers that lead partitions of which something is wanted, and topics of which a leader
    /// is not known.
    pub(crate) fn leaders(&self, metadata: &Metadata) -> (BTreeSet<i32>, BTreeSet<Str>) {
        let (mut nodes, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        for (place, cursor) in &self.cursors {
            match metadata.leader(&place.0, place.1) {
                _ if cursor.halted => {}
                Some(node) => {
                    nodes.insert(node);
                }
                None => {
                    unknown.insert(place.0.clone());
                }
            }
        }
        (nodes, unknown)
    }

    /// When the first pause of a partition is over.
    pub(crate) fn retry_at(&self, now: Instant) -> Option<Instant> {
        let pauses = self.cursors.values().filter_map(|cursor| cursor.retry_at);
        pauses.filter(|at| *at > now).min()
    }

    /// The cursor that an answer is for, unless it has been moved or replaced since.
    pub(crate) fn answered(&mut self, place: &Place, term: u64) -> Option<&mut Cursor> {
        self.cursors.get_mut(place).filter(|cursor| cursor.term() == term)
    }

    /// Gives a partition its turn, for it has something to deliver.
    pub(crate) fn ready(&mut self, place: &Place) {
        if let Some(cursor) = self.cursors.get_mut(place)
            && !std::mem::replace(&mut cursor.has_turn, true)
        {
            self.turns.push_back(place.clone());
        }
    }

    /// Tells the application of a failure.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failures.push_back(error);
    }

    /// The next thing to deliver: a batch, or a failure. Partitions take turns.
    pub(crate) fn next(
        &mut self,
        isolation: IsolationLevel,
    ) -> Option<Result<(Place, Fetched), Error>> {
        if let Some(error) = self.failures.pop_front() {
            return Some(Err(error));
        }
        while let Some(place) = self.turns.pop_front() {
            let Some(cursor) = self.cursors.get_mut(&place) else { continue };
            cursor.has_turn = false;
            match cursor.next(isolation) {
                Ok(None) => {}
                Ok(Some(fetched)) => {
                    cursor.has_turn = true;
                    self.turns.push_back(place.clone());
                    return Some(Ok((place, fetched)));
                }
                Err(source) => {
                    let subject = Subject::Partition(place.0, place.1);
                    return Some(Err(Error::Batch { subject, source }));
                }
            }
        }
        None
    }

    /// Whom to wake when there is something to deliver.
    pub(crate) fn wait(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }

    /// Whoever waits, if there is something to deliver.
    pub(crate) fn take_waker(&mut self) -> Option<Waker> {
        if self.turns.is_empty() && self.failures.is_empty() { None } else { self.waker.take() }
    }
}
