//! What sends: it takes sealed batches, asks for leaders, connections and a producer id where it
//! has none, and hears what became of what it sent.
//!
//! It never waits: what it has sent is answered when it is, and whatever else takes time is a task
//! of its own that reports back. Who has it do its rounds is the [post](post)'s business.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_client::config::Acks;
use klamm_client::{Connection, Error, Subject, Turn};
use klamm_protocol::api::produce::Produce;
use klamm_protocol::records::BatchProducer;
use klamm_protocol::wire::Str;
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

use self::answers::Answers;
use self::identity::Identity;
use self::outlet::Outlet;
use self::place::Place;
use self::report::Report;
use crate::lane::Way;
use crate::partition_queue::PartitionQueue;
use crate::request::{self, BY_ID, Sent};
use crate::shared::{Lingering, Shared};

mod answers;
mod identity;
mod leaders;
mod outcome;
mod outlet;
mod place;
pub(crate) mod post;
mod report;
mod transaction;

/// When to look again if nothing is expected.
const IDLE: Duration = Duration::from_secs(60);

/// See the [module](self).
struct Sender {
    shared: Arc<Shared>,
    tasks: TaskGroup,
    lanes: HashMap<usize, Place>,
    /// The lanes in which something waits.
    active: BTreeSet<usize>,
    /// Batches were filled with several records since the task looked last: more will come.
    fills: bool,
    outlets: HashMap<i32, Outlet>,
    answers: Arc<Answers>,
    /// Those that had no room in the last round.
    congested: Vec<Connection>,
    /// How many connections there have been.
    ways: u64,
    identity: Identity,
    /// A lane needs a new epoch: until it has begun, only what was sent before is sent.
    ends_epoch: bool,
    /// Topics whose partitions and leaders are being asked for.
    locating: HashSet<Str>,
    reporter: mpsc::Sender<Report>,
}

impl Sender {
    fn new(shared: Arc<Shared>, tasks: TaskGroup, reporter: mpsc::Sender<Report>) -> Self {
        let identity = Identity::of(&shared);
        Self {
            shared,
            tasks,
            lanes: HashMap::new(),
            active: BTreeSet::new(),
            fills: false,
            outlets: HashMap::new(),
            answers: Arc::default(),
            congested: Vec::new(),
            ways: 0,
            identity,
            ends_epoch: false,
            locating: HashSet::new(),
            reporter,
        }
    }

    /// Does all that can be done now. Tells when there will be something to do though nothing
    /// happens.
    fn round(&mut self) -> Instant {
        let now = clock::now();
        self.collect(now);
        self.expire(now);
        if let Some(transactions) = self.shared.transactions.clone() {
            self.follow(&transactions);
        } else {
            self.renew_identity(now);
        }
        let ended_epoch = self.ends_epoch;
        self.send(now);
        if self.ends_epoch && !ended_epoch {
            // Another may be begun at once.
            self.shared.wake.notify_one();
        }
        self.next_moment(now)
    }

    /// Gives up whatever is left: nobody is left waiting.
    fn end(&mut self) {
        if let Some(transactions) = &self.shared.transactions
            && self.shared.ledger.unsettled() > 0
        {
            // Whoever commits waits for what is given up here, and must not take it for stored.
            transactions.change(|machine| {
                machine.lose_sequence();
                machine.fail(Error::Abandoned { subject: Subject::Cluster });
            });
        }
        self.shared.end();
        for place in self.lanes.values_mut() {
            for parcel in place.lane.drain() {
                let subject = parcel.sealed.claim.subject();
                self.shared.give_up(parcel, Error::Abandoned { subject });
            }
        }
        self.answers.forget();
        self.outlets.clear();
        self.congested.clear();
    }

    /// Takes over what callers have filled, notes what has lingered long enough, and asks for what
    /// was heard of too long ago.
    fn collect(&mut self, now: Instant) {
        let lingered = now.checked_sub(self.shared.linger());
        let mut news = self.shared.news();
        let ready = std::mem::take(&mut news.ready);
        let stale = std::mem::take(&mut news.stale);
        let mut due = Vec::new();
        while let Some(lingered) = lingered
            && news.lingering.front().is_some_and(|it| it.began <= lingered)
        {
            due.extend(news.lingering.pop_front());
        }
        drop(news);
        for queue in ready {
            let shared = Arc::clone(&self.shared);
            let fills = self.activate(queue).take_sealed(&shared);
            self.fills |= fills;
        }
        for Lingering { began, transaction, queue } in due {
            self.activate(queue).linger_ends(began, transaction);
        }
        stale.into_iter().for_each(|topic| self.locate(topic));
        let lanes = &self.lanes;
        self.active.retain(|id| lanes.get(id).is_some_and(|place| !place.is_idle()));
    }

    fn activate(&mut self, queue: Arc<PartitionQueue>) -> &mut Place {
        self.active.insert(queue.lane);
        let retry = self.shared.settings.retry;
        let lane = self.lanes.entry(queue.lane);
        lane.or_insert_with(|| Place::new(queue, retry.backoff()))
    }

    /// Gives up what has waited too long.
    fn expire(&mut self, now: Instant) {
        let after = self.shared.settings.delivery_timeout;
        let Some(moment) = now.checked_sub(after) else { return };
        for id in &self.active {
            let Some(place) = self.lanes.get_mut(id) else { continue };
            let last = place.trouble.clone();
            place.give_up_until(moment, &self.shared, |parcel| Error::DeliveryTimeout {
                subject: parcel.sealed.claim.subject(),
                after,
                possibly_written: parcel.possibly_written,
                last: last.clone(),
            });
            self.ends_epoch |= place.lane.is_broken();
        }
    }

    /// Notes what keeps these partitions from being sent to. What will not pass fails at once what
    /// waits there.
    fn blame(&mut self, error: Error, is_kept: impl Fn(&PartitionQueue) -> bool) {
        let trouble = Arc::new(error);
        let mut keeps_any = false;
        for id in &self.active {
            let Some(place) = self.lanes.get_mut(id).filter(|place| is_kept(&place.queue)) else {
                continue;
            };
            keeps_any = true;
            place.trouble = Some(Arc::clone(&trouble));
            if trouble.is_fatal() {
                place.give_up_until(clock::now(), &self.shared, |_| Error::clone(&trouble));
                self.ends_epoch |= place.lane.is_broken();
            }
        }
        if keeps_any {
            self.shared.set_trouble(Some(trouble));
        }
    }

    /// Sends all that can be sent now.
    fn send(&mut self, now: Instant) {
        self.congested.clear();
        let Some(producer) = self.producer() else { return };
        let led = self.by_leader(now);
        self.include();
        for (node, mut lanes) in led {
            while !lanes.is_empty() {
                let Some((way, connection)) = self.free_connection(node, now) else { break };
                let Some(turn) = connection.try_turn() else {
                    self.congested.push(connection);
                    break;
                };
                let sent = self.pack(&mut lanes, way, producer, now);
                if sent.is_empty() {
                    break;
                }
                self.submit(node, &connection, turn, sent);
            }
        }
    }

    /// Takes one batch of each lane, as far as they fit into one request. Lanes that have no more,
    /// or wait for what went another way, leave the list; the others go behind those that had no
    /// turn.
    fn pack(
        &mut self,
        lanes: &mut Vec<usize>,
        way: Way,
        producer: BatchProducer,
        now: Instant,
    ) -> Vec<Sent> {
        let (mut sent, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
        let places = &self.lanes;
        lanes.retain(|id| places.get(id).is_some_and(|place| place.lane.goes_by(way)));
        for id in lanes.iter() {
            let Some(place) = self.lanes.get_mut(id) else { continue };
            place.fill(&self.shared);
            let size = place.lane.next_size();
            if !sent.is_empty() && bytes + size > self.shared.settings.request_bytes_max {
                break;
            }
            looked_at += 1;
            if let Some(parcel) = place.lane.take(now, way, producer, self.ends_epoch) {
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

    fn submit(&mut self, node: i32, connection: &Connection, turn: Turn<'_>, sent: Vec<Sent>) {
        let shared = &self.shared;
        let metadata = shared.kafka.metadata();
        let at_most = if request::have_ids(&sent, &metadata) { BY_ID } else { BY_ID - 1 };
        let (transactional_id, at_most) = shared.part_of_transaction(at_most);
        let acks = shared.settings.acks;
        let again = sent.iter().filter(|sent| sent.parcel.attempts > 1).count();
        let timeout_ms = shared.settings.request_timeout.as_millis();
        let timeout_ms = i32::try_from(timeout_ms).unwrap_or(i32::MAX);
        let request = request::request(&sent, transactional_id, &metadata, acks, timeout_ms);
        let version = match connection.version::<Produce>(at_most) {
            Ok(version) => version,
            Err(error) => return self.fail_all(sent, &error),
        };
        let submitted = match acks {
            Acks::None => turn.submit_unanswered::<Produce>(version, &request).map(answers::none),
            Acks::Leader | Acks::All => turn.submit(version, &request).map(answers::one),
        };
        match submitted {
            Ok(coming) => {
                shared.metrics.requested(again as u64);
                self.answers.expect(node, metadata, sent, coming);
            }
            Err(error) => self.fail_all(sent, &error),
        }
    }

    /// Hears what has come since.
    fn hear(&mut self, reports: Vec<Report>) {
        self.answers.take().into_iter().for_each(|answered| self.answered(answered));
        reports.into_iter().for_each(|report| self.learn(report));
    }

    fn learn(&mut self, report: Report) {
        match report {
            Report::Connected(node, connected) => self.connected(node, connected),
            Report::Located(topic, located) => self.located(&topic, located),
            Report::Identified(identified) => self.identified(identified),
        }
    }

    /// When there is something to do though nothing happens.
    fn next_moment(&self, now: Instant) -> Instant {
        let settings = &self.shared.settings;
        let lingered = self.shared.news().lingering.front().map(|it| it.began);
        let lingered = lingered.map(|began| began + settings.shape.linger);
        let places = self.active.iter().filter_map(|id| self.lanes.get(id));
        let lanes = places.flat_map(|place| {
            let expires = place.oldest().map(|began| began + settings.delivery_timeout);
            [place.lane.retry_at, expires]
        });
        let outlets = self.outlets.values().map(|outlet| outlet.retry_at);
        let identity = self.identity.not_before();
        let moments = lanes.chain(outlets).chain([lingered, identity]).flatten();
        // What is past was looked at in this round, and waits for a report.
        moments.filter(|moment| *moment > now).min().unwrap_or(now + IDLE)
    }
}
