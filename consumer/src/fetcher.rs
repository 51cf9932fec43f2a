//! The tasks that fetch ahead: one that knows which brokers are needed, and one for each of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use klamm_client::config::OffsetReset;
use klamm_client::{Answer, Connection, Error, Metadata, Result, Subject};
use klamm_protocol::api::fetch::{self, Fetch};
use klamm_protocol::api::list_offsets::{self, ListOffsets};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Records, Str, Uuid};
use klamm_utils::backoff::Backoff;
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;

use crate::assignment::{Ask, Assignment, Place};
use crate::cursor::{Cursor, Start, Wanted};
use crate::events::ConsumerEvent;
use crate::refusal::is_unexplained;
use crate::session::{Session, Want};
use crate::shared::Shared;

/// When to look again if nothing is expected.
const IDLE: Duration = Duration::from_secs(60);
/// When to ask again for an offset that has no record to give while something before it lies ready.
const BUFFERED_PAUSE: Duration = Duration::from_secs(1);
/// The first version that names topics by id.
const BY_ID: i16 = 13;
/// The first version that says which record is the last that is known, so that the broker can say
/// whether its log has it.
const LAST_EPOCH_FROM: i16 = 12;

/// Sees to it that every broker that leads a partition is asked, and that leaders are known. Ends
/// when the tasks are stopped.
pub(crate) async fn lead(shared: Arc<Shared>, tasks: TaskGroup) {
    tokio::select! {
        () = tasks.stopping() => {}
        () = keep_fetching(shared, &tasks) => {}
    }
}

async fn keep_fetching(shared: Arc<Shared>, tasks: &TaskGroup) {
    let mut fetchers: HashMap<_, Weak<()>> = HashMap::new();
    let mut searches = Searches::default();
    loop {
        let changed = shared.changed.notified();
        let (metadata, now) = (shared.kafka.metadata(), clock::now());
        let (nodes, unknown) = shared.assignment().sources(&metadata, now);
        fetchers.retain(|_, at_work| at_work.strong_count() > 0);
        for node in nodes {
            fetchers.entry(node).or_insert_with(|| {
                let at_work = Arc::new(());
                let known = Arc::downgrade(&at_work);
                let fetcher = Fetcher {
                    at_work,
                    shared: Arc::clone(&shared),
                    node,
                    connection: None,
                    session: Session::default(),
                    metadata: Arc::clone(&metadata),
                };
                let (shared, stopping) = (Arc::clone(&shared), tasks.stopping());
                tasks.spawn("fetch", async move {
                    tokio::select! {
                        () = stopping => {}
                        () = fetcher.run() => {}
                    }
                    // A partition that came back too late for this one takes another.
                    shared.ring();
                });
                known
            });
        }
        for topic in searches.due(unknown, now) {
            locate(&shared, &topic).await;
            searches.postpone(topic, shared.kafka.retry_backoff());
        }
        // Whoever leads a partition now may be asked already, and sleep. This task hears it, too.
        ring_if_moved(&shared, &metadata);
        let now = clock::now();
        let replica_until = shared.assignment().replica_until(now);
        let wake_at =
            [replica_until, searches.next(), Some(now + IDLE)].into_iter().flatten().min();
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(wake_at.unwrap_or(now).into()) => {}
        }
    }
}

/// Topics of which a leader is not known, each with when it may be asked for again: whatever
/// happens to other partitions makes that no sooner.
#[derive(Default)]
struct Searches {
    topics: BTreeMap<Str, Search>,
}

struct Search {
    not_before: Instant,
    backoff: Backoff,
}

impl Searches {
    /// Those of the topics in question that are to be asked for now.
    fn due(&mut self, unknown: BTreeSet<Str>, now: Instant) -> Vec<Str> {
        self.topics.retain(|topic, _| unknown.contains(topic));
        let may_ask = |topic: &Str| self.topics.get(topic).is_none_or(|it| it.not_before <= now);
        unknown.into_iter().filter(may_ask).collect()
    }

    /// A topic was asked for: it is asked for again after a pause, which is longer each time.
    fn postpone(&mut self, topic: Str, backoff: Backoff) {
        let now = clock::now();
        let search = self.topics.entry(topic).or_insert(Search { not_before: now, backoff });
        search.not_before = now + search.backoff.next_pause();
    }

    /// When the first is to be asked for again.
    fn next(&self) -> Option<Instant> {
        self.topics.values().map(|search| search.not_before).min()
    }
}

/// Asks who leads a topic's partitions. What can never be known is told to the application.
async fn locate(shared: &Shared, topic: &Str) {
    match shared.kafka.topic_heard_after(topic, clock::now()).await {
        Ok(_) => {
            let (_, unknown) = shared.assignment().sources(&shared.kafka.metadata(), clock::now());
            if unknown.contains(topic) {
                tracing::warn!(%topic, "an assigned partition is not there, or has no leader");
            }
        }
        Err(error) if error.is_retriable() => tracing::warn!(%topic, %error, "no leaders"),
        Err(error) => halt(shared, |(name, _)| name == topic, error),
    }
}

/// Tells the tasks if another broker is to be asked for a partition than by these metadata.
fn ring_if_moved(shared: &Shared, before: &Metadata) {
    let metadata = shared.kafka.metadata();
    if shared.assignment().has_moved(before, &metadata, clock::now()) {
        shared.ring();
    }
}

/// Asks for nothing more of these partitions, and tells why.
fn halt(shared: &Shared, concerned: impl Fn(&Place) -> bool, error: Error) {
    let mut assignment = shared.assignment();
    let places: Vec<_> = assignment.places().filter(|place| concerned(place)).cloned().collect();
    assignment.halt(&places, error);
    shared.deliver(assignment);
}

/// Asks one broker, for as long as it leads a partition.
struct Fetcher {
    /// Whoever started it sees by this whether it still works.
    #[expect(dead_code, reason = "it is only to be there")]
    at_work: Arc<()>,
    shared: Arc<Shared>,
    node: i32,
    /// Its own: a fetch waits, and brokers answer in order.
    connection: Option<Connection>,
    session: Session,
    /// By which it last looked what is its own.
    metadata: Arc<Metadata>,
}

impl Fetcher {
    async fn run(mut self) {
        let mut backoff = self.shared.kafka.retry_backoff();
        loop {
            let shared = Arc::clone(&self.shared);
            let (changed, room) = (shared.changed.notified(), shared.room.notified());
            let now = clock::now();
            let metadata = shared.kafka.metadata();
            if !Arc::ptr_eq(&metadata, &self.metadata) {
                // What is no longer its own may be another's who sleeps.
                ring_if_moved(&shared, &self.metadata);
                self.metadata = Arc::clone(&metadata);
            }
            let (asks, is_source, wake_at) = {
                let mut assignment = shared.assignment();
                let full_at = usize::try_from(shared.settings.partition_max_bytes).unwrap_or(0);
                let asks = assignment.asks(self.node, &metadata, full_at.max(1), now);
                let is_source = assignment.sources(&metadata, now).0.contains(&self.node);
                let replica_until = assignment.replica_until(now);
                (asks, is_source, assignment.retry_at(now).into_iter().chain(replica_until).min())
            };
            if !is_source {
                return;
            }
            if asks.is_empty() {
                tokio::select! {
                    () = changed => {}
                    () = room => {}
                    () = tokio::time::sleep_until(wake_at.unwrap_or(now + IDLE).into()) => {}
                }
                continue;
            }
            match self.ask(asks, &metadata).await {
                Ok(()) => {
                    backoff.reset();
                    // The application goes first: to ask again would have it woken by another
                    // thread.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    tracing::warn!(node = self.node, %error, "nothing fetched");
                    shared.metrics.fetch_failed();
                    shared.assignment().leave_replica(self.node);
                    shared.ring();
                    if error.is_fatal() {
                        let is_led = |(topic, index): &Place| {
                            metadata.leader(topic, *index) == Some(self.node)
                        };
                        halt(&shared, is_led, error);
                    }
                    tokio::time::sleep(backoff.next_pause()).await;
                    self.look_for_leaders(&metadata).await;
                }
            }
        }
    }

    /// After a broker has failed, its partitions may have another leader.
    async fn look_for_leaders(&self, metadata: &Metadata) {
        let places: Vec<_> = self.shared.assignment().places().cloned().collect();
        let mut topics: Vec<_> = places
            .into_iter()
            .filter(|(topic, index)| metadata.leader(topic, *index) == Some(self.node))
            .map(|(topic, _)| topic)
            .collect();
        topics.dedup();
        for topic in topics {
            locate(&self.shared, &topic).await;
        }
    }

    async fn ask(&mut self, asks: Vec<Ask>, metadata: &Metadata) -> Result<()> {
        let connection = match self.connection.take().filter(Connection::is_alive) {
            Some(connection) => connection,
            None => self.shared.kafka.connect_to(self.node).await?,
        };
        self.connection = Some(connection.clone());
        let is_start = |ask: &Ask| matches!(ask.wanted, Wanted::Resolve(_));
        let (starts, records): (Vec<_>, Vec<_>) = asks.into_iter().partition(is_start);
        let mut stale = Vec::new();
        if !starts.is_empty() {
            self.resolve(&connection, starts, &mut stale).await?;
        } else if !records.is_empty() {
            self.fetch(&connection, records, metadata, &mut stale).await?;
        }
        stale.dedup();
        for topic in stale {
            locate(&self.shared, &topic).await;
        }
        Ok(())
    }

    /// Asks which offsets places have.
    async fn resolve(
        &self,
        connection: &Connection,
        asks: Vec<Ask>,
        stale: &mut Vec<Str>,
    ) -> Result<()> {
        let ends = self.ends(connection, &asks).await?;
        let asked = asks.iter().map(|ask| (ask, timestamp(ask.wanted)));
        let Answer { body, origin } = self.list_offsets(connection, asked).await?;
        let mut terms: HashMap<_, _> =
            asks.into_iter().map(|ask| (ask.place.clone(), ask)).collect();
        let mut assignment = self.shared.assignment();
        for topic in body.topics {
            for partition in topic.partitions {
                let place = (topic.name.clone(), partition.partition_index);
                let Some(ask) = terms.remove(&place) else { continue };
                let subject = Subject::Partition(place.0.clone(), place.1);
                if let Err(error) = origin.check(partition.error_code, None, subject) {
                    self.refused(&mut assignment, &ask, error, stale);
                } else if let Some(cursor) = assignment.answered(&place, ask.term) {
                    match (partition.offset, ends.get(&place)) {
                        // No record is that young: what has come since the end was asked for is.
                        (-1, Some(end)) => cursor.resolved(ask.term, *end),
                        // The end was refused: both are asked for again.
                        (-1, None) => self.pause(cursor),
                        (offset, _) => cursor.resolved(ask.term, offset),
                    }
                }
            }
        }
        for ask in terms.into_values() {
            let subject = Subject::Partition(ask.place.0.clone(), ask.place.1);
            self.refused(&mut assignment, &ask, origin.unanswered(subject), stale);
        }
        self.shared.deliver(assignment);
        // Only now a replica may be asked, by whom that is not known yet.
        self.shared.ring();
        Ok(())
    }

    /// The ends of partitions of which a time is to be asked for: who finds none that young goes on
    /// there. Asked for afterwards, they would lie behind what was written meanwhile.
    async fn ends(&self, connection: &Connection, asks: &[Ask]) -> Result<HashMap<Place, i64>> {
        let is_time = |ask: &&Ask| matches!(ask.wanted, Wanted::Resolve(Start::Timestamp(_)));
        let latest = timestamp(Wanted::Resolve(Start::Latest));
        let asked: Vec<_> = asks.iter().filter(is_time).map(|ask| (ask, latest)).collect();
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let mut ends = HashMap::new();
        for topic in self.list_offsets(connection, asked).await?.body.topics {
            for found in topic.partitions.into_iter().filter(|found| found.offset >= 0) {
                ends.insert((topic.name.clone(), found.partition_index), found.offset);
            }
        }
        Ok(ends)
    }

    /// Asks which offsets these have at these timestamps.
    async fn list_offsets(
        &self,
        connection: &Connection,
        asked: impl IntoIterator<Item = (&Ask, i64)>,
    ) -> Result<Answer<list_offsets::Response>> {
        let mut topics = BTreeMap::<Str, Vec<_>>::new();
        for (Ask { place, leader_epoch, .. }, timestamp) in asked {
            topics.entry(place.0.clone()).or_default().push(list_offsets::Partition {
                partition_index: place.1,
                current_leader_epoch: *leader_epoch,
                timestamp,
            });
        }
        let topic = |(name, partitions)| list_offsets::Topic { name, partitions };
        let request = list_offsets::Request {
            replica_id: -1,
            isolation_level: self.shared.settings.isolation_level(),
            topics: topics.into_iter().map(topic).collect(),
            timeout_ms: self.shared.settings.max_wait_ms,
        };
        connection.call::<ListOffsets>(&request).await
    }

    /// Asks for records.
    async fn fetch(
        &mut self,
        connection: &Connection,
        asks: Vec<Ask>,
        metadata: &Metadata,
        stale: &mut Vec<Str>,
    ) -> Result<()> {
        let id = |name: &Str| metadata.topic(name).map_or(Uuid::ZERO, |topic| topic.id);
        let have_ids = asks.iter().all(|ask| !id(&ask.place.0).is_zero());
        let version = connection.version::<Fetch>(if have_ids { i16::MAX } else { BY_ID - 1 })?;
        let id_or_name = |name: &Str| if have_ids { id(name) } else { Uuid::ZERO };
        let request = self.fetch_request(&asks, version, id_or_name);
        let begun = clock::now();
        let Answer { body, origin } =
            connection.submit::<Fetch>(version, &request).await?.answer().await?;
        self.shared.metrics.fetched(clock::now().saturating_duration_since(begun));
        if self.session.heard(request.session_epoch, &body) {
            tracing::debug!(error = %body.error_code, "a fetch session has ended");
            return Ok(());
        }
        origin.check(body.error_code, None, Subject::Broker(self.node))?;
        let names: HashMap<_, _> =
            asks.iter().map(|ask| (id(&ask.place.0), ask.place.0.clone())).collect();
        let mut terms: HashMap<_, _> =
            asks.into_iter().map(|ask| (ask.place.clone(), ask)).collect();
        let mut assignment = self.shared.assignment();
        for topic in body.topics {
            let by_id = names.get(&topic.topic_id).filter(|_| version >= BY_ID);
            let name = by_id.cloned().unwrap_or(topic.topic);
            for partition in topic.partitions {
                let place: Place = (name.clone(), partition.partition_index);
                let Some(ask) = terms.remove(&place) else { continue };
                let subject = Subject::Partition(place.0.clone(), place.1);
                if let Err(error) = origin.check(partition.error_code, None, subject) {
                    self.refused(&mut assignment, &ask, error, stale);
                    continue;
                }
                self.session.tell(&place, partition.high_watermark);
                if partition.diverging_epoch.end_offset >= 0 {
                    self.truncated(&mut assignment, &ask, &partition.diverging_epoch);
                    continue;
                }
                let near = partition.preferred_read_replica;
                self.heed_replica(&mut assignment, (&ask, metadata), near, stale);
                let records = partition.records.map(Records::into_bytes).unwrap_or_default();
                let aborted = partition.aborted_transactions.unwrap_or_default();
                arrived(&mut assignment, &ask, records, aborted, partition.high_watermark);
            }
        }
        for ask in terms.values() {
            if let Some(high_watermark) = self.session.high_watermark(&ask.place) {
                arrived(&mut assignment, ask, Bytes::new(), Vec::new(), high_watermark);
            }
        }
        self.shared.deliver(assignment);
        Ok(())
    }

    fn fetch_request(
        &mut self,
        asks: &[Ask],
        version: i16,
        id: impl Fn(&Str) -> Uuid,
    ) -> fetch::Request {
        let settings = &self.shared.settings;
        let mut wanted = BTreeMap::new();
        for Ask { place, wanted: what, leader_epoch, last_epoch, .. } in asks {
            let Wanted::Records(fetch_offset) = *what else { continue };
            let last_fetched_epoch = if version >= LAST_EPOCH_FROM { *last_epoch } else { -1 };
            let partition = fetch::Partition {
                partition: place.1,
                current_leader_epoch: *leader_epoch,
                fetch_offset,
                last_fetched_epoch,
                partition_max_bytes: settings.partition_max_bytes,
                ..fetch::Partition::default()
            };
            wanted.insert(place.clone(), Want { topic_id: id(&place.0), partition });
        }
        fetch::Request {
            max_wait_ms: settings.max_wait_ms,
            min_bytes: settings.min_bytes,
            max_bytes: settings.max_bytes,
            isolation_level: settings.isolation_level(),
            rack_id: settings.rack.clone(),
            ..self.session.request(wanted)
        }
    }

    /// The log ends, for what the consumer knows of it, before what it has fetched: that was lost
    /// when another broker became the leader (KIP-320). Only the leader is believed: a follower may
    /// be behind.
    fn truncated(&self, assignment: &mut Assignment, ask: &Ask, parted: &fetch::EpochEnd) {
        let Some(cursor) = assignment.answered(&ask.place, ask.term) else { return };
        if self.leaves_replica(cursor) {
            return;
        }
        let fetch::EpochEnd { epoch, end_offset: end } = *parted;
        let offset = cursor.position().unwrap_or(end);
        if offset <= end {
            // What was delivered is there: it is fetched anew from there.
            cursor.truncate(end, epoch);
            self.shared.note_move();
            return;
        }
        let subject = Subject::Partition(ask.place.0.clone(), ask.place.1);
        let error = Error::Truncated { subject, offset, end };
        if self.shared.settings.reset == OffsetReset::None {
            assignment.halt(std::slice::from_ref(&ask.place), error);
            return;
        }
        tracing::warn!(%error, "moved");
        cursor.truncate(end, epoch);
        self.shared.note_move();
        let place = ask.place.clone();
        assignment.events.tell(ConsumerEvent::Truncated { place, offset, end });
    }

    /// A leader may name a replica that lies nearer, to be read from instead (KIP-392).
    fn heed_replica(
        &self,
        assignment: &mut Assignment,
        (ask, metadata): (&Ask, &Metadata),
        node: i32,
        stale: &mut Vec<Str>,
    ) {
        let cursor = assignment.answered(&ask.place, ask.term).filter(|_| node >= 0);
        let Some(cursor) = cursor else { return };
        if metadata.brokers.contains_key(&node) {
            let until = clock::now() + self.shared.settings.replica_max_age;
            cursor.replica = (node != self.node).then_some((node, until));
            self.shared.ring();
        } else {
            // It has joined since: the metadata must say where it is.
            self.pause(cursor);
            stale.push(ask.place.0.clone());
        }
    }

    /// Goes back to the leader, after a while, if this broker was asked as a replica.
    fn leaves_replica(&self, cursor: &mut Cursor) -> bool {
        let is_replica = cursor.replica.take_if(|(node, _)| *node == self.node).is_some();
        if is_replica {
            self.pause(cursor);
            self.shared.ring();
        }
        is_replica
    }

    /// Asks nothing of a partition for a while.
    fn pause(&self, cursor: &mut Cursor) {
        cursor.retry_at = Some(clock::now() + self.shared.kafka.retry_backoff().next_pause());
    }

    /// A broker gives nothing of a partition.
    fn refused(&self, assignment: &mut Assignment, ask: &Ask, error: Error, stale: &mut Vec<Str>) {
        let Some(cursor) = assignment.answered(&ask.place, ask.term) else { return };
        if self.leaves_replica(cursor) {
            // A follower may be behind, or be none any more: the leader knows.
            tracing::debug!(%error, "back to the leader");
            if error.is_stale_metadata() {
                stale.push(ask.place.0.clone());
            }
        } else if is_about_records(&error) && cursor.has_buffered() {
            // First what is fetched already, which may take long.
            tracing::debug!(%error, "asked again later");
            cursor.retry_at = Some(clock::now() + BUFFERED_PAUSE);
        } else if error.code() == Some(ErrorCode::OFFSET_OUT_OF_RANGE)
            && cursor.reset(self.shared.settings.reset_start())
        {
            self.shared.note_move();
            tracing::warn!(%error, policy = ?self.shared.settings.reset, "moved");
        } else if is_unexplained(&error) {
            tracing::warn!(%error, "asked again later");
            self.pause(cursor);
        } else if may_pass(&error) {
            tracing::debug!(%error, "asked again later");
            self.pause(cursor);
            if error.is_stale_metadata() {
                stale.push(ask.place.0.clone());
            }
        } else {
            assignment.halt(std::slice::from_ref(&ask.place), error);
        }
    }
}

/// Whether it is the offset, or what lies there, for which a broker gives nothing.
fn is_about_records(error: &Error) -> bool {
    matches!(error.code(), Some(ErrorCode::OFFSET_OUT_OF_RANGE | ErrorCode::CORRUPT_MESSAGE))
}

/// Whether the same may succeed later. A batch that is damaged in the log stays so, whatever its
/// code says to a producer, whose next try is undamaged.
fn may_pass(error: &Error) -> bool {
    let is_damage = error.code() == Some(ErrorCode::CORRUPT_MESSAGE);
    !is_damage && (error.is_stale_metadata() || error.is_retriable())
}

fn arrived(
    assignment: &mut Assignment,
    ask: &Ask,
    records: Bytes,
    aborted: Vec<fetch::AbortedTransaction>,
    high_watermark: i64,
) {
    let Some(cursor) = assignment.answered(&ask.place, ask.term) else { return };
    if cursor.arrived(ask.term, records, aborted, high_watermark) {
        assignment.ready(&ask.place);
    }
}

/// How ListOffsets says a place.
fn timestamp(wanted: Wanted) -> i64 {
    match wanted {
        Wanted::Resolve(Start::Earliest) => -2,
        Wanted::Resolve(Start::Timestamp(ms)) => ms.max(0),
        Wanted::Resolve(Start::Latest | Start::Offset(_) | Start::Committed)
        | Wanted::Records(_) => -1,
    }
}
