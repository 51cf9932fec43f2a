//! The partitions of one consumer. Pure: no task, no socket, no clock.

mod in_hand;
mod streams;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::task::Waker;
use std::time::{Duration, Instant};

use klamm_client::config::IsolationLevel;
use klamm_client::group_offsets::TopicIds;
use klamm_client::{Error, Metadata, Partition, Subject};
use klamm_protocol::wire::Str;

use crate::cursor::{Cursor, Fetched, Start, Wanted, tenure_of};
use crate::events::EventSender;
use crate::position::{Position, Reached};

use in_hand::InHand;
pub(crate) use streams::Claim;

/// A partition by topic and number.
pub(crate) type Place = (Str, i32);

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Assignment {
    cursors: BTreeMap<Place, Cursor>,
    /// Partitions that may have something to deliver, each once, in the order of their turns.
    turns: VecDeque<Place>,
    failures: VecDeque<Error>,
    /// Told again and again once all other failures are told: nothing more will come.
    fatal: Option<Error>,
    /// Whoever waits for something to deliver.
    waker: Option<Waker>,
    /// That one waits for a partition to read by a stream of its own, and for no batch.
    wants_partition: bool,
    /// Streams of partitions that have something to hear.
    woken: Vec<(Place, Waker)>,
    /// Streams whose partitions were taken away before they had let go of them, each until it is
    /// dropped.
    bereft: BTreeSet<(Place, u64)>,
    /// A partition was full, and is not any more: more can be asked for.
    made_room: bool,
    /// How often partitions were assigned.
    assigned: u64,
    application: Application,
    pub(crate) events: EventSender,
}

/// What the application is doing.
#[derive(Debug, Default)]
struct Application {
    /// What it was given and may be working on, and the partition of that.
    in_hand: Option<(Place, InHand)>,
    /// It waits for the next batch.
    is_polling: bool,
    /// When it last did.
    polled_at: Option<Instant>,
    /// It reads partitions by streams of their own.
    takes_partitions: bool,
    /// It has waited since it was told that it was late.
    has_come_back: bool,
    /// It has closed the consumer, and committed what it could.
    has_closed: bool,
}

/// One thing to ask of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) place: Place,
    pub(crate) wanted: Wanted,
    pub(crate) term: u64,
    pub(crate) leader_epoch: i32,
    /// The leader epoch of the last record that is known; -1 where unknown.
    pub(crate) last_epoch: i32,
}

impl Assignment {
    /// Replaces the partitions.
    pub(crate) fn assign(
        &mut self,
        places: impl IntoIterator<Item = (Str, i32, Start)>,
        now: Instant,
    ) {
        self.remove_all();
        self.turns.clear();
        self.failures.clear();
        self.add(places, now);
    }

    /// Adds partitions to those that there are.
    pub(crate) fn add(
        &mut self,
        places: impl IntoIterator<Item = (Str, i32, Start)>,
        now: Instant,
    ) {
        self.may_ask_from(now);
        self.assigned += 1;
        let tenure = self.assigned;
        let cursor = |(topic, partition, start)| ((topic, partition), Cursor::new(start, tenure));
        self.cursors.extend(places.into_iter().map(cursor));
    }

    /// Delivers nothing more from partitions that are being given up.
    pub(crate) fn hold(&mut self, places: &[Place]) {
        for place in places {
            if let Some(cursor) = self.cursors.get_mut(place) {
                cursor.leaving = true;
                let waker = cursor.claim.as_mut().and_then(Claim::take_waker);
                self.woken.extend(waker.map(|waker| (place.clone(), waker)));
            }
        }
    }

    /// Takes partitions away.
    pub(crate) fn remove(&mut self, places: &[Place]) {
        for place in places {
            let Some(cursor) = self.cursors.remove(place) else { continue };
            let tenure = cursor.tenure();
            let Some(mut claim) = cursor.claim else { continue };
            self.woken.extend(claim.take_waker().map(|waker| (place.clone(), waker)));
            if !claim.has_let_go {
                self.bereft.insert((place.clone(), tenure));
            }
        }
        self.turns.retain(|place| self.cursors.contains_key(place));
    }

    /// Takes all partitions away.
    pub(crate) fn remove_all(&mut self) {
        let places: Vec<_> = self.cursors.keys().cloned().collect();
        self.remove(&places);
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

    /// What is to be asked of the broker `node` now. While one of its partitions is full, nothing:
    /// a request that waits for the others would keep that one waiting when it is emptied. Streams
    /// are independent: one whose partition is full keeps no other from being asked for, and those
    /// that are not full are asked for whatever else is.
    pub(crate) fn asks(
        &mut self,
        node: i32,
        metadata: &Metadata,
        full_at: usize,
        now: Instant,
    ) -> Vec<Ask> {
        let (mut asks, mut only_streams) = (Vec::new(), false);
        for (place, cursor) in &mut self.cursors {
            let partition = metadata.topic(&place.0).and_then(|topic| topic.partition(place.1));
            let is_source = |partition: &&Partition| {
                source(cursor, partition.leader, metadata, now) == Some(node)
            };
            let Some(partition) = partition.filter(is_source) else { continue };
            if cursor.is_full(full_at) {
                only_streams |= cursor.claim.is_none();
                continue;
            }
            if let Some(wanted) = cursor.wanted(now) {
                asks.push(Ask {
                    place: place.clone(),
                    wanted,
                    term: cursor.term(),
                    leader_epoch: partition.leader_epoch,
                    last_epoch: cursor.fetch_epoch(),
                });
            }
        }
        if only_streams {
            asks.retain(|ask| self.has_claim(&ask.place));
        }
        asks
    }

    /// The brokers that are to be asked for partitions, and topics of which a leader is not known.
    pub(crate) fn sources(
        &self,
        metadata: &Metadata,
        now: Instant,
    ) -> (BTreeSet<i32>, BTreeSet<Str>) {
        let (mut nodes, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        for (place, cursor) in &self.cursors {
            match source(cursor, metadata.leader(&place.0, place.1), metadata, now) {
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

    /// Whether another broker is to be asked for a partition by these metadata than by those before.
    pub(crate) fn has_moved(&self, before: &Metadata, metadata: &Metadata, now: Instant) -> bool {
        self.cursors.iter().any(|((topic, partition), cursor)| {
            let source_by =
                |known: &Metadata| source(cursor, known.leader(topic, *partition), known, now);
            source_by(before) != source_by(metadata)
        })
    }

    /// A broker has failed: whatever is read from it as from a replica that lies nearer, is read
    /// from the leader again.
    pub(crate) fn leave_replica(&mut self, node: i32) {
        for cursor in self.cursors.values_mut() {
            cursor.replica.take_if(|(replica, _)| *replica == node);
        }
    }

    /// When the first partition is to be read from its leader again.
    pub(crate) fn replica_until(&self, now: Instant) -> Option<Instant> {
        let replicas = self.cursors.values().filter_map(|cursor| cursor.replica);
        replicas.map(|(_, until)| until).filter(|until| *until > now).min()
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
        let Some(cursor) = self.cursors.get_mut(place) else { return };
        if let Some(claim) = &mut cursor.claim {
            self.woken.extend(claim.take_waker().map(|waker| (place.clone(), waker)));
        } else if !std::mem::replace(&mut cursor.has_turn, true) {
            self.turns.push_back(place.clone());
        }
    }

    /// Tells the application of a failure.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failures.push_back(error);
    }

    /// Tells the application, now and whenever it asks again, that nothing more will come.
    pub(crate) fn end(&mut self, error: Error) {
        self.fatal = Some(error);
    }

    /// Tells the application that it was late, and waits for it to come back.
    pub(crate) fn fail_late(&mut self, error: Error) {
        self.application.has_come_back = false;
        self.fail(error);
    }

    /// The next thing to deliver: a batch, or a failure. Partitions take turns. Who asks has
    /// worked on what it was given before.
    pub(crate) fn next(
        &mut self,
        isolation: IsolationLevel,
    ) -> Option<Result<(Place, Fetched), Error>> {
        self.application.in_hand = None;
        self.application.takes_partitions &= self.has_claims();
        let next = self.take_next(isolation);
        if let Some(Ok((place, fetched))) = &next {
            self.application.in_hand = Some((place.clone(), InHand::of(fetched)));
        }
        next
    }

    fn take_next(&mut self, isolation: IsolationLevel) -> Option<Result<(Place, Fetched), Error>> {
        if let Some(error) = self.failures.pop_front() {
            return Some(Err(error));
        }
        while let Some(place) = self.turns.pop_front() {
            let Some(cursor) = self.cursors.get_mut(&place) else { continue };
            cursor.has_turn = false;
            let next = cursor.next(isolation);
            self.made_room |= cursor.made_room();
            match next {
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
        self.fatal.clone().map(Err)
    }

    /// Whether there is room now that there was not before. Told once.
    pub(crate) fn take_made_room(&mut self) -> bool {
        std::mem::take(&mut self.made_room)
    }

    /// Whom to wake when there is something to deliver.
    pub(crate) fn wait(&mut self, waker: &Waker) {
        self.wants_partition = false;
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }

    /// Whoever waits, if there is something to deliver, and the streams that have something to
    /// hear: from now on they are expected to ask.
    pub(crate) fn take_wakers(&mut self, now: Instant) -> (Option<Waker>, Vec<Waker>) {
        let is_idle = self.failures.is_empty()
            && self.fatal.is_none()
            && if self.wants_partition { !self.has_unclaimed() } else { self.turns.is_empty() };
        let waker = if is_idle { None } else { self.waker.take() };
        let mut streams = Vec::with_capacity(self.woken.len());
        for (place, waker) in std::mem::take(&mut self.woken) {
            self.expect_stream(&place, now);
            streams.push(waker);
        }
        (waker, streams)
    }

    /// The application waits for the next batch.
    pub(crate) fn polls(&mut self) {
        self.application.is_polling = true;
        self.application.has_come_back = true;
    }

    /// The application waits no longer: it got something, or gave up waiting.
    pub(crate) fn polled(&mut self, now: Instant) {
        self.application.is_polling = false;
        self.application.polled_at = Some(now);
    }

    /// Whether the application waits for the next batch.
    pub(crate) fn is_polling(&self) -> bool {
        self.application.is_polling
    }

    /// How long ago the application last asked for more; none while it is asking.
    pub(crate) fn idle(&self, now: Instant) -> Option<Duration> {
        let Application { is_polling, polled_at, .. } = self.application;
        polled_at.filter(|_| !is_polling).map(|at| now.saturating_duration_since(at))
    }

    /// How many offsets each partition has before its end, as last heard.
    pub(crate) fn lags(&self) -> Vec<(Place, Option<i64>)> {
        self.cursors.iter().map(|(place, cursor)| (place.clone(), cursor.lag())).collect()
    }

    /// Whether the application has waited for a batch, if only for a moment, since it was told
    /// that it was late.
    pub(crate) fn has_come_back(&self) -> bool {
        self.application.has_come_back
    }

    /// When the application will have taken longer than `interval` to ask for more; none while it
    /// is asking. So for each stream of a partition. Who reads by streams has nothing else to ask
    /// for while each partition has one, nor while there is none.
    pub(crate) fn late_at(&self, interval: Duration) -> Option<Instant> {
        let asked_at = match self.application {
            Application { is_polling: true, .. } => None,
            Application { polled_at, .. } => polled_at.filter(|_| !self.has_all_it_takes()),
        };
        let asked_at = asked_at.into_iter().chain(self.streams_asked_at()).min();
        asked_at.map(|at| at + interval)
    }

    /// Whether the application may be working on a batch of one of these partitions, or reads one
    /// of them by a stream that has not let go of it.
    pub(crate) fn is_in_hand(&self, places: &[Place]) -> bool {
        let in_hand = self.application.in_hand.as_ref();
        in_hand.is_some_and(|(place, _)| places.contains(place))
            || places.iter().any(|place| self.has_stream(place))
    }

    /// The application has worked on what it has in hand up to this offset.
    pub(crate) fn worked_to(&mut self, offset: i64) {
        if let Some((_, in_hand)) = &mut self.application.in_hand {
            in_hand.worked_to(offset);
        }
    }

    /// Up to which offset that counts which the application has in hand; none if nothing does, for
    /// its partition was taken or sent elsewhere.
    pub(crate) fn in_hand_to(&self) -> Option<i64> {
        let (place, in_hand) = self.application.in_hand.as_ref()?;
        let cursor = self.cursors.get(place)?;
        in_hand.begin(cursor)?;
        // While it is not known where the partition goes on, nothing says that the log was cut.
        Some(cursor.position().unwrap_or(i64::MAX))
    }

    /// Whether the partition of which the application has something in hand was taken away since,
    /// or that of a stream that is still there.
    pub(crate) fn has_lost_what_is_in_hand(&self) -> bool {
        let in_hand = self.application.in_hand.as_ref();
        in_hand.is_some_and(|(place, in_hand)| in_hand.is_lost(self.cursors.get(place)))
            || !self.bereft.is_empty()
    }

    /// The application has worked on all that it was given.
    pub(crate) fn put_down(&mut self) {
        self.application.in_hand = None;
    }

    /// The application has closed the consumer, and committed what it could.
    pub(crate) fn close(&mut self) {
        self.application.has_closed = true;
    }

    /// Whether the application has closed the consumer, so that nothing is left to commit.
    pub(crate) fn has_closed(&self) -> bool {
        self.application.has_closed
    }

    /// How far the application has worked, in partitions where that is known and not committed.
    pub(crate) fn uncommitted(&self) -> Vec<Reached> {
        let of = |(place, cursor): (&Place, &Cursor)| {
            let position = self.worked(place, cursor)?;
            let is_news = cursor.committed() != Some(position.offset);
            is_news.then(|| Reached { position, term: Some(cursor.term()) })
        };
        self.cursors.iter().filter_map(of).collect()
    }

    /// What the group has committed may have expired: it is to be committed again.
    pub(crate) fn doubt_committed(&mut self) {
        self.cursors.values_mut().for_each(Cursor::doubt_committed);
    }

    /// What the application says that it has reached, in the assignment that there is now unless
    /// it was delivered in another.
    pub(crate) fn reached(&self, positions: impl IntoIterator<Item = Position>) -> Vec<Reached> {
        let of = |position: Position| {
            let cursor = self.cursors.get(&(position.topic.clone(), position.partition));
            let is_of = |cursor: &&Cursor| position.tenure.is_none_or(|it| it == cursor.tenure());
            let term = cursor.filter(is_of).map(Cursor::term);
            Reached { position, term }
        };
        positions.into_iter().map(of).collect()
    }

    /// Whether the partition was not taken away since this was reached, not even for a while.
    pub(crate) fn still_has(&self, reached: &Reached) -> bool {
        let tenure = self.cursors.get(&reached.place()).map(Cursor::tenure);
        tenure.is_some() && tenure == reached.term.map(tenure_of)
    }

    /// The group has committed this: so far the application has worked.
    pub(crate) fn note_committed(&mut self, reached: &Reached) {
        if !self.still_has(reached) {
            return;
        }
        let place = reached.place();
        let Some(cursor) = self.cursors.get_mut(&place) else { return };
        cursor.set_committed(reached.position.offset);
        if let Some((_, in_hand)) = self.application.in_hand.as_mut().filter(|it| it.0 == place) {
            in_hand.committed(reached, cursor);
        }
        if let Some(mut in_hand) = cursor.claim.as_ref().and_then(|claim| claim.in_hand) {
            in_hand.committed(reached, cursor);
            cursor.claim.as_mut().into_iter().for_each(|claim| claim.in_hand = Some(in_hand));
        }
    }

    /// The ids of the topics of these partitions, as far as the group has said them.
    pub(crate) fn topic_ids<'a>(&self, places: impl IntoIterator<Item = &'a Place>) -> TopicIds {
        let id = |place: &Place| Some((place.0.clone(), self.cursors.get(place)?.topic_id?));
        places.into_iter().filter_map(id).collect()
    }

    /// Where delivery goes on, in partitions where that is known and that have no stream of their
    /// own.
    pub(crate) fn delivered(&self) -> Vec<Position> {
        let of = |((topic, partition), cursor): (&Place, &Cursor)| {
            if cursor.claim.is_some() {
                return None;
            }
            let position = Position::new(topic.clone(), *partition, cursor.position()?);
            Some(position.with_epoch(cursor.epoch()))
        };
        self.cursors.iter().filter_map(of).collect()
    }

    fn worked(&self, place: &Place, cursor: &Cursor) -> Option<Position> {
        let in_hand = self.application.in_hand.as_ref().filter(|in_hand| in_hand.0 == *place);
        let in_hand = in_hand.and_then(|(_, in_hand)| in_hand.begin(cursor));
        let (offset, epoch) = match in_hand.or_else(|| cursor.in_hand()) {
            Some(begin) => begin,
            None => (cursor.position()?, cursor.epoch()),
        };
        Some(Position::new(place.0.clone(), place.1, offset).with_epoch(epoch))
    }

    /// The partitions that wait to be told what the group has committed, with their terms.
    pub(crate) fn await_committed(&self, now: Instant) -> Vec<(Place, u64)> {
        let waiting = self.cursors.iter().filter(|(_, cursor)| cursor.awaits_committed(now));
        waiting.map(|(place, cursor)| (place.clone(), cursor.term())).collect()
    }
}

/// The broker to ask for a partition. Only its leader knows where a place is; records may come from
/// a replica.
fn source(cursor: &Cursor, leader: Option<i32>, metadata: &Metadata, now: Instant) -> Option<i32> {
    match cursor.replica {
        Some((node, until))
            if now < until
                && cursor.position().is_some()
                && metadata.brokers.contains_key(&node) =>
        {
            Some(node)
        }
        _ => leader,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Poll;

    use bytes::Bytes;
    use klamm_client::Broker;
    use klamm_protocol::records::{BatchBuilder, BatchOptions};
    use klamm_utils::clock;

    use super::*;

    const ISOLATION: IsolationLevel = IsolationLevel::ReadUncommitted;

    #[test]
    fn records_come_from_a_replica_as_long_as_that_was_said() {
        let mut metadata = Metadata::default();
        let near = Broker { id: 2, address: Arc::from("near:9092"), rack: None };
        metadata.brokers.insert(near.id, near);
        let now = clock::now();
        let until = now + Duration::from_secs(300);
        let check = |start, replica, now, expected| {
            let mut cursor = Cursor::new(start, 0);
            cursor.replica = replica;
            assert_eq!(source(&cursor, Some(1), &metadata, now), Some(expected), "{replica:?}");
        };
        check(Start::Offset(0), None, now, 1);
        check(Start::Offset(0), Some((2, until)), now, 2);
        check(Start::Offset(0), Some((2, until)), until, 1);
        // One that nobody knows any more, and a place that only the leader knows.
        check(Start::Offset(0), Some((3, until)), now, 1);
        check(Start::Earliest, Some((2, until)), now, 1);

        let mut assignment = Assignment::default();
        assignment.add([("t".into(), 0, Start::Offset(0))], now);
        let place = ("t".into(), 0);
        assignment.cursor_mut(&place).unwrap().replica = Some((2, until));
        assignment.leave_replica(1);
        assert_eq!(assignment.replica_until(now), Some(until));
        assignment.leave_replica(2);
        assert_eq!(assignment.replica_until(now), None);
    }

    /// Three batches of one record.
    fn records() -> (Bytes, usize) {
        let batch = |offset| {
            let mut builder = BatchBuilder::new(BatchOptions::default());
            builder.push(0, None, Some(b"v"), &[]).unwrap();
            builder.build(offset).unwrap().bytes().to_vec()
        };
        let size = batch(0).len();
        ((0..3).flat_map(batch).collect::<Vec<_>>().into(), size)
    }

    #[test]
    fn room_is_told_of_when_there_is_some_whoever_takes() {
        let (now, place) = (clock::now(), ("t".into(), 0));
        let (records, size) = records();
        for by_stream in [false, true] {
            let mut assignment = Assignment::default();
            assignment.add([("t".into(), 0, Start::Offset(0))], now);
            let tenure = by_stream.then(|| assignment.claim(now).unwrap().1);
            let cursor = assignment.cursor_mut(&place).unwrap();
            cursor.arrived(cursor.term(), records.clone(), Vec::new(), 3);
            assignment.ready(&place);
            let mut told = Vec::new();
            for _ in 0..3 {
                // As long as there are two, nothing more is asked for.
                let is_full = assignment.cursor_mut(&place).unwrap().is_full(2 * size);
                match tenure {
                    None => drop(assignment.next(ISOLATION).unwrap().unwrap()),
                    Some(tenure) => {
                        let asker = (Waker::noop(), now);
                        let next = assignment.next_of((&place, tenure), ISOLATION, asker);
                        assert!(matches!(next, Poll::Ready(Some(Ok(_)))));
                    }
                }
                told.push((is_full, assignment.take_made_room()));
            }
            assert_eq!(told, [(true, false), (true, true), (false, false)], "{by_stream}");
        }
    }
}
