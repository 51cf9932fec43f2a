//! The one task that sends: it takes sealed batches, asks for leaders, connections and a producer
//! id where it has none, and hears what became of what it sent.
//!
//! It never waits for one broker: whatever takes time is a task of its own that reports back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_client::config::Acks;
use klamm_client::{Connection, Error, Result, Topic};
use klamm_protocol::api::init_producer_id::{self, InitProducerId};
use klamm_protocol::api::produce::{self, Produce};
use klamm_protocol::records::BatchProducer;
use klamm_protocol::wire::Str;
use klamm_utils::backoff::Backoff;
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

use crate::judge::judge;
use crate::lane::{Lane, Verdict};
use crate::receipt::Stored;
use crate::request::{self, BY_ID, Sent};
use crate::shared::{PartitionQueue, Shared};
use crate::transaction::pause_after;

mod transaction;

/// Reports that may wait for the sender; further reporters wait.
const REPORTS: usize = 64;
/// When to look again if nothing is expected.
const IDLE: Duration = Duration::from_secs(60);

/// See the [module](self).
pub(crate) struct Sender {
    shared: Arc<Shared>,
    tasks: TaskGroup,
    lanes: HashMap<usize, Place>,
    /// The lanes in which something waits.
    active: BTreeSet<usize>,
    outlets: HashMap<i32, Outlet>,
    identity: Identity,
    /// A lane needs a new epoch: until it has begun, only what was sent before is sent.
    ends_epoch: bool,
    /// Topics whose leaders are being asked for.
    locating: HashSet<Str>,
    reporter: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
}

/// A partition and its lane.
struct Place {
    queue: Arc<PartitionQueue>,
    lane: Lane,
    backoff: Backoff,
    /// The open batch has lingered long enough if it began then or before. It stays open until it
    /// can be sent: so batches grow while the broker is busy.
    due: Option<Instant>,
}

/// The way to one broker.
struct Outlet {
    connection: Option<Connection>,
    connecting: bool,
    in_flight: usize,
    retry_at: Option<Instant>,
    backoff: Backoff,
}

/// Under which id batches are sent.
enum Identity {
    /// None: the producer is not idempotent.
    Anonymous,
    /// None yet. Not asked for before this moment.
    Unknown(Option<Instant>),
    /// It is being asked for.
    Asking,
    /// This one; its sequence number means nothing.
    Known(BatchProducer),
}

/// What a task tells the sender.
enum Report {
    Connected(i32, Result<Connection>),
    Located(Str, Result<Arc<Topic>>),
    Identified(Result<BatchProducer>),
    Answered(i32, Vec<Sent>, Result<produce::Response>),
}

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>, tasks: TaskGroup) -> Self {
        let (reporter, reports) = mpsc::channel(REPORTS);
        let identity = Identity::of(&shared);
        Self {
            shared,
            tasks,
            lanes: HashMap::new(),
            active: BTreeSet::new(),
            outlets: HashMap::new(),
            identity,
            ends_epoch: false,
            locating: HashSet::new(),
            reporter,
            reports,
        }
    }

    /// Sends until the producer is closed and everything is settled, or until the tasks are
    /// stopped: then what is left is given up.
    pub(crate) async fn run(mut self) {
        loop {
            let now = clock::now();
            self.collect(now);
            self.expire(now);
            if let Some(transactions) = self.shared.transactions.clone() {
                self.follow(&transactions);
            } else {
                self.renew_identity(now);
            }
            self.send(now).await;
            if self.shared.is_closed() && self.is_done() {
                return;
            }
            let wake_at = self.next_moment(now);
            let shared = Arc::clone(&self.shared);
            tokio::select! {
                () = self.tasks.stopping() => return,
                Some(report) = self.reports.recv() => self.hear(report),
                () = shared.wake.notified() => {}
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
            while let Ok(report) = self.reports.try_recv() {
                self.hear(report);
            }
        }
    }

    /// Takes over what callers have filled, and notes what has lingered long enough.
    fn collect(&mut self, now: Instant) {
        let lingered = now.checked_sub(self.shared.settings.shape.linger);
        let mut news = self.shared.news();
        let ready = std::mem::take(&mut news.ready);
        let mut due = Vec::new();
        while let Some(lingered) = lingered
            && news.lingering.front().is_some_and(|(began, _)| *began <= lingered)
        {
            due.extend(news.lingering.pop_front());
        }
        drop(news);
        for queue in ready {
            self.activate(queue).take_sealed();
        }
        for (began, queue) in due {
            self.activate(queue).due = Some(began);
        }
        let lanes = &self.lanes;
        self.active.retain(|id| lanes.get(id).is_some_and(|place| !place.is_idle()));
    }

    fn activate(&mut self, queue: Arc<PartitionQueue>) -> &mut Place {
        self.active.insert(queue.lane);
        self.lanes.entry(queue.lane).or_insert_with(|| Place {
            queue,
            lane: Lane::default(),
            backoff: self.shared.kafka.retry_backoff(),
            due: None,
        })
    }

    /// Gives up what has waited too long.
    fn expire(&mut self, now: Instant) {
        let after = self.shared.settings.delivery_timeout;
        let Some(moment) = now.checked_sub(after) else { return };
        for id in &self.active {
            let Some(place) = self.lanes.get_mut(id) else { continue };
            if place.due.is_some_and(|began| began <= moment) {
                place.fill();
            }
            for parcel in place.lane.expire(moment) {
                let subject = parcel.sealed.claim.subject();
                let possibly_written = parcel.possibly_written;
                let error = Error::DeliveryTimeout { subject, after, possibly_written };
                let error = self.shared.lose(error, possibly_written);
                parcel.give_up(error);
            }
            self.ends_epoch |= place.lane.is_broken();
        }
    }

    /// Asks for an id where there is none, and begins a new epoch where one is needed and nothing
    /// is left that only the old one can finish.
    fn renew_identity(&mut self, now: Instant) {
        match self.identity {
            Identity::Unknown(not_before)
                if !self.active.is_empty() && not_before.is_none_or(|at| at <= now) =>
            {
                self.identify();
            }
            Identity::Known(producer) if self.ends_epoch => {
                let busy = |place: &Place| place.lane.is_out() || place.lane.needs_this_epoch();
                if self.lanes.values().any(busy) {
                    return;
                }
                self.ends_epoch = false;
                for place in self.lanes.values_mut() {
                    for parcel in place.lane.begin_epoch() {
                        let subject = parcel.sealed.claim.subject();
                        parcel.give_up(Error::Abandoned { subject });
                    }
                }
                match producer.epoch.checked_add(1) {
                    Some(epoch) => {
                        self.identity = Identity::Known(BatchProducer { epoch, ..producer })
                    }
                    None => self.identify(),
                }
            }
            _ => {}
        }
    }

    /// Sends all that can be sent now.
    async fn send(&mut self, now: Instant) {
        let Some(producer) = self.producer() else { return };
        let led = self.by_leader(now);
        self.include();
        for (node, mut lanes) in led {
            while !lanes.is_empty() {
                let Some(connection) = self.free_connection(node, now) else { break };
                let sent = self.pack(&mut lanes, producer, now);
                if sent.is_empty() {
                    break;
                }
                self.submit(node, connection, sent).await;
            }
        }
    }

    /// The lanes that can send, by the brokers that lead their partitions; leaders that are not
    /// known are asked for.
    fn by_leader(&mut self, now: Instant) -> BTreeMap<i32, Vec<usize>> {
        let metadata = self.shared.kafka.metadata();
        let (mut led, mut leaderless) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
        for id in &self.active {
            let Some(place) = self.lanes.get_mut(id).filter(|place| place.is_ready(now)) else {
                continue;
            };
            let PartitionQueue { topic, partition, .. } = &*place.queue;
            match metadata.leader(topic, *partition) {
                Some(_) if !self.shared.admits(topic, *partition) => {}
                Some(node) => led.entry(node).or_default().push(*id),
                None => {
                    place.lane.retry_at = Some(now + place.backoff.next_pause());
                    leaderless.insert(place.queue.topic.clone());
                }
            }
        }
        for topic in leaderless {
            self.locate(topic);
        }
        led
    }

    /// The connection to a broker if one more request may be sent on it; opens it if there is
    /// none.
    fn free_connection(&mut self, node: i32, now: Instant) -> Option<Connection> {
        let shared = &self.shared;
        let outlet = self.outlets.entry(node).or_insert_with(|| Outlet {
            connection: None,
            connecting: false,
            in_flight: 0,
            retry_at: None,
            backoff: shared.kafka.retry_backoff(),
        });
        outlet.connection.take_if(|connection| !connection.is_alive());
        let may_try = outlet.retry_at.is_none_or(|at| at <= now);
        if outlet.connection.is_none() && !outlet.connecting && may_try {
            outlet.connecting = true;
            let kafka = shared.kafka.clone();
            let connect = async move { Report::Connected(node, kafka.connect_to(node).await) };
            report(&self.tasks, &self.reporter, "connect", connect);
        }
        if outlet.in_flight >= self.shared.settings.in_flight {
            return None;
        }
        outlet.connection.clone()
    }

    /// Takes one batch of each lane, as far as they fit into one request. Lanes that have no more
    /// leave the list; the others go behind those that had no turn.
    fn pack(&mut self, lanes: &mut Vec<usize>, producer: BatchProducer, now: Instant) -> Vec<Sent> {
        let (mut sent, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
        for id in lanes.iter() {
            let Some(place) = self.lanes.get_mut(id) else { continue };
            place.fill();
            let size = place.lane.next_size();
            if !sent.is_empty() && bytes + size > self.shared.settings.request_bytes_max {
                break;
            }
            looked_at += 1;
            if let Some(parcel) = place.lane.take(now, producer, self.ends_epoch) {
                bytes += size;
                let (topic, partition) = (place.queue.topic.clone(), place.queue.partition);
                sent.push(Sent { lane: *id, topic, partition, parcel });
            }
        }
        lanes.rotate_left(looked_at);
        let places = &self.lanes;
        lanes.retain(|id| places.get(id).is_some_and(|place| place.is_ready(now)));
        sent
    }

    async fn submit(&mut self, node: i32, connection: Connection, sent: Vec<Sent>) {
        let shared = &self.shared;
        let metadata = shared.kafka.metadata();
        let at_most = if request::have_ids(&sent, &metadata) { BY_ID } else { BY_ID - 1 };
        let (transactional_id, at_most) = shared.part_of_transaction(at_most);
        let acks = shared.settings.acks;
        let timeout_ms = shared.settings.request_timeout.as_millis();
        let timeout_ms = i32::try_from(timeout_ms).unwrap_or(i32::MAX);
        let request = request::request(&sent, transactional_id, &metadata, acks, timeout_ms);
        let version = match connection.version::<Produce>(at_most) {
            Ok(version) => version,
            Err(error) => return self.fail_all(sent, &error),
        };
        if acks == Acks::None {
            match connection.submit_unanswered::<Produce>(version, &request).await {
                Ok(()) => self.settle_unanswered(sent),
                Err(error) => self.fail_all(sent, &error),
            }
            return;
        }
        match connection.submit::<Produce>(version, &request).await {
            Ok(pending) => {
                let answer = async move { Report::Answered(node, sent, pending.answer().await) };
                report(&self.tasks, &self.reporter, "answer", answer);
                if let Some(outlet) = self.outlets.get_mut(&node) {
                    outlet.in_flight += 1;
                }
            }
            Err(error) => self.fail_all(sent, &error),
        }
    }

    fn hear(&mut self, report: Report) {
        match report {
            Report::Connected(node, connected) => self.connected(node, connected),
            Report::Located(topic, located) => self.located(&topic, located),
            Report::Identified(identified) => self.identified(identified),
            Report::Answered(node, sent, answer) => {
                if let Some(outlet) = self.outlets.get_mut(&node) {
                    outlet.in_flight -= 1;
                }
                match answer {
                    Ok(answer) => {
                        let metadata = self.shared.kafka.metadata();
                        let outcomes = request::outcomes(answer, &sent, &metadata);
                        for (sent, outcome) in sent.into_iter().zip(outcomes) {
                            match outcome {
                                Ok(stored) => self.stored(sent, stored),
                                Err(error) => self.failed(sent, &error),
                            }
                        }
                    }
                    Err(error) => self.fail_all(sent, &error),
                }
            }
        }
    }

    fn connected(&mut self, node: i32, connected: Result<Connection>) {
        let Some(outlet) = self.outlets.get_mut(&node) else { return };
        outlet.connecting = false;
        match connected {
            Ok(connection) => {
                outlet.connection = Some(connection);
                outlet.retry_at = None;
                outlet.backoff.reset();
            }
            Err(error) => {
                tracing::warn!(node, %error, "no connection");
                outlet.retry_at = Some(clock::now() + outlet.backoff.next_pause());
                // Its partitions may have another leader by now.
                let metadata = self.shared.kafka.metadata();
                let places = self.active.iter().filter_map(|id| self.lanes.get(id));
                let led = places.filter(|place| {
                    metadata.leader(&place.queue.topic, place.queue.partition) == Some(node)
                });
                let topics: BTreeSet<_> = led.map(|place| place.queue.topic.clone()).collect();
                topics.into_iter().for_each(|topic| self.locate(topic));
            }
        }
    }

    fn located(&mut self, topic: &Str, located: Result<Arc<Topic>>) {
        self.locating.remove(topic);
        match located {
            Ok(topic) => {
                self.shared.learn(&topic);
            }
            Err(error) => tracing::warn!(%topic, %error, "no leaders"),
        }
    }

    fn identified(&mut self, identified: Result<BatchProducer>) {
        match identified {
            Ok(producer) => self.identity = Identity::Known(producer),
            Err(error) if error.is_retriable() => {
                tracing::warn!(%error, "no producer id");
                let pause = self.shared.kafka.retry_backoff().next_pause();
                self.identity = Identity::Unknown(Some(clock::now() + pause));
            }
            Err(error) => {
                self.identity = Identity::Unknown(None);
                for place in self.lanes.values_mut() {
                    for parcel in place.lane.drain() {
                        parcel.give_up(error.clone());
                    }
                }
            }
        }
    }

    fn stored(&mut self, sent: Sent, stored: Stored) {
        let Some(place) = self.lanes.get_mut(&sent.lane) else { return };
        place.backoff.reset();
        place.lane.stored();
        sent.parcel.sealed.claim.settle(Ok(stored));
    }

    fn settle_unanswered(&mut self, sent: Vec<Sent>) {
        for sent in sent {
            self.stored(sent, Stored { base_offset: None, append_time: None });
        }
    }

    fn fail_all(&mut self, sent: Vec<Sent>, error: &Error) {
        for sent in sent {
            self.failed(sent, error);
        }
    }

    fn failed(&mut self, sent: Sent, error: &Error) {
        let now = clock::now();
        let settings = &self.shared.settings;
        let Some(place) = self.lanes.get_mut(&sent.lane) else { return };
        let Sent { mut parcel, topic, partition, .. } = sent;
        parcel.learn(error);
        let verdict = judge(error, &parcel, place.lane.follows_a_failure(), settings, now);
        let verdict = self.shared.verdict_for_transaction(verdict, &parcel, error);
        tracing::debug!(%topic, partition, %error, ?verdict, "batch not stored");
        if matches!(verdict, Verdict::Again) {
            place.lane.retry_at = Some(now + pause_after(error, &mut place.backoff));
        }
        place.lane.returned(parcel, verdict);
        self.ends_epoch |= place.lane.is_broken();
        self.active.insert(place.queue.lane);
        if error.is_stale_metadata() {
            self.locate(topic);
        }
    }

    /// Asks who leads a topic's partitions, unless that is being asked.
    fn locate(&mut self, topic: Str) {
        if !self.locating.insert(topic.clone()) {
            return;
        }
        let (kafka, now) = (self.shared.kafka.clone(), clock::now());
        let locate = async move {
            let located = kafka.topic_heard_after(&topic, now).await;
            Report::Located(topic, located)
        };
        report(&self.tasks, &self.reporter, "locate", locate);
    }

    /// Asks for a producer id.
    fn identify(&mut self) {
        self.identity = Identity::Asking;
        let kafka = self.shared.kafka.clone();
        let identify = async move { Report::Identified(identify(&kafka).await) };
        report(&self.tasks, &self.reporter, "identify", identify);
    }

    /// Whose batches are sent, if that is known.
    fn producer(&self) -> Option<BatchProducer> {
        match self.identity {
            Identity::Anonymous => Some(BatchProducer::NONE),
            Identity::Known(producer) => Some(producer),
            Identity::Unknown(_) | Identity::Asking => None,
        }
    }

    /// When there is something to do though nothing happens.
    fn next_moment(&self, now: Instant) -> Instant {
        let settings = &self.shared.settings;
        let lingered = self.shared.news().lingering.front().map(|(began, _)| *began);
        let lingered = lingered.map(|began| began + settings.shape.linger);
        let places = self.active.iter().filter_map(|id| self.lanes.get(id));
        let lanes = places.flat_map(|place| {
            let expires = place.lane.oldest().map(|began| began + settings.delivery_timeout);
            [place.lane.retry_at, expires]
        });
        let outlets = self.outlets.values().map(|outlet| outlet.retry_at);
        let identity = match self.identity {
            Identity::Unknown(not_before) => not_before,
            _ => None,
        };
        let moments = lanes.chain(outlets).chain([lingered, identity]).flatten();
        // What is past was looked at in this round, and waits for a report.
        moments.filter(|moment| *moment > now).min().unwrap_or(now + IDLE)
    }
}

impl Place {
    /// Whether there is a batch that could be sent now.
    fn is_ready(&self, now: Instant) -> bool {
        let has_batch = !self.lane.is_empty() || self.due.is_some();
        has_batch && self.lane.may_send(now)
    }

    fn is_idle(&self) -> bool {
        self.lane.is_idle() && self.due.is_none()
    }

    /// Seals the open batch if it is due and nothing else waits to be sent.
    fn fill(&mut self) {
        if self.lane.is_empty()
            && let Some(began) = self.due.take()
        {
            self.queue.lock().seal_if_began_by(began);
            self.take_sealed();
        }
    }

    fn take_sealed(&mut self) {
        let sealed = self.queue.lock().take_sealed();
        sealed.into_iter().for_each(|sealed| self.lane.push(sealed));
    }
}

/// Does `work` beside the sender and reports what came of it. It is dropped, and with it the
/// batches that it holds are given up, when the tasks are stopped.
fn report(
    tasks: &TaskGroup,
    reporter: &mpsc::Sender<Report>,
    name: &'static str,
    work: impl Future<Output = Report> + Send + 'static,
) {
    let (reporter, stopping) = (reporter.clone(), tasks.stopping());
    tasks.spawn(name, async move {
        tokio::select! {
            () = stopping => {}
            // Nobody hears it when the sender has ended.
            report = work => drop(reporter.send(report).await),
        }
    });
}

async fn identify(kafka: &klamm_client::Kafka) -> Result<BatchProducer> {
    let request = init_producer_id::Request {
        transaction_timeout_ms: i32::MAX,
        ..init_producer_id::Request::default()
    };
    let answer = kafka.any_broker().await?.call::<InitProducerId>(&request).await?;
    Error::check(answer.error_code, None, klamm_client::Subject::Cluster)?;
    let (id, epoch) = (answer.producer_id, answer.producer_epoch);
    Ok(BatchProducer { id, epoch, base_sequence: 0 })
}
