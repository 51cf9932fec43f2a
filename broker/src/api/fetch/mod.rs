//! Fetch: reads record batches. Versions 4 to 18.
//!
//! - The batch that holds the offset is given whole, although it may begin before it; clients
//!   pass over the rest.
//! - Limits are soft: the first batch of the answer is given whatever its size.
//! - The answer waits until `min_bytes` are there or `max_wait_ms` is over, but never when there
//!   is an error to tell, and never for records that a limit, or the end of a segment, keeps back.
//! - From version 7 on a client may open a session, in which both sides name only what changes
//!   (KIP-227). A broker may refuse to open one; the client then names everything each time.
//! - Whoever says to be a replica is answered as a consumer.
//!
//! ```text
//! handle ─ begin ─ session (what is followed) ─ look (read, wait) ─ conclude (what is news)
//!            └─ cache (which sessions are open)
//! ```

mod cache;
mod look;
mod session;

pub(crate) use cache::FetchSessions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use klamm_protocol::api::fetch::{
    Partition as Wanted, PartitionAnswer, Request, Response, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};
use tokio::time::Instant;

use crate::partition::{Isolation, Partition};
use crate::server::{Call, Reply};
use crate::topics::{Topic, Topics};
use cache::NO_SESSION;
use look::{Look, Plan, Target, refused};
use session::{Ask, Followed, Place, Session, TopicKey};

/// The first version that calls topics by id (KIP-516).
const BY_ID_FROM_VERSION: i16 = 13;
/// Asks for a session to be opened.
const EPOCH_OPEN: i32 = 0;
/// Asks for no session, and for the one that is named to be closed.
const EPOCH_NONE: i32 = -1;

/// What becomes of the session once the answer is known.
enum Ending {
    NoSession,
    Open,
    GoOn(GoOn),
}

struct GoOn {
    id: i32,
    session: Arc<Mutex<Session>>,
    /// What the session's epoch is until its next request comes.
    epoch: i32,
}

/// A fetch under way.
struct Fetch {
    call: Call,
    plan: Plan,
    ending: Ending,
}

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    if request.session_id != NO_SESSION {
        // The requests of a session build on one another: it is the turn of each when those before
        // it on this connection have been answered.
        return Reply::later(async move {
            match Fetch::begin(call, request) {
                Ok(fetch) => fetch.wait().await,
                Err(refusal) => refusal,
            }
        });
    }
    let fetch = match Fetch::begin(call, request) {
        Ok(fetch) => fetch,
        Err(refusal) => return Reply::Now(refusal),
    };
    let look = fetch.plan.look().await;
    if fetch.plan.is_enough(&look) {
        return Reply::Now(fetch.conclude(look));
    }
    drop(look);
    Reply::later(fetch.wait())
}

impl Fetch {
    /// Finds out what is to be read, and for which session.
    fn begin(call: Call, request: Request) -> Result<Self, Response> {
        let refuse = |error_code| Response { error_code, ..Response::default() };
        let Some(isolation) = Isolation::from_wire(request.isolation_level) else {
            return Err(refuse_all(call.version, request, ErrorCode::UNKNOWN_SERVER_ERROR));
        };
        let (targets, ending) = match request.session_epoch {
            EPOCH_OPEN | EPOCH_NONE => named(&call, &request),
            _ => followed(&call, &request).map_err(refuse)?,
        };
        let count = |number: i32| usize::try_from(number).unwrap_or(0);
        let bytes_max = count(request.max_bytes).min(call.node.config().requests.fetch_bytes_max);
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let plan = Plan {
            version: call.version,
            targets,
            isolation,
            bytes_min: count(request.min_bytes).min(bytes_max),
            bytes_max,
            deadline: Instant::now() + wait,
            cold: call.node.cold_reads.clone(),
        };
        Ok(Self { call, plan, ending })
    }

    /// The answer, once there is enough to tell or the time is up.
    async fn wait(self) -> Response {
        let look = self.plan.look_and_wait(self.call.node.tasks.stopping()).await;
        self.conclude(look)
    }

    /// What is to be sent of what was seen.
    fn conclude(&self, look: Look) -> Response {
        let targets = &self.plan.targets;
        let mut answers: Vec<_> = targets.iter().zip(look.into_answers()).collect();
        count(&answers);
        let mut response = Response::default();
        match &self.ending {
            Ending::NoSession => {}
            Ending::Open => response.session_id = self.open(&answers),
            Ending::GoOn(GoOn { id, session, epoch }) => {
                response.session_id = *id;
                let mut session = lock(session);
                if session.epoch() != *epoch {
                    // Another connection went on with the session meanwhile.
                    response.error_code = ErrorCode::INVALID_FETCH_SESSION_EPOCH;
                    return response;
                }
                answers.retain(|(target, answer)| {
                    target.turn.is_some_and(|turn| session.tell(turn, answer))
                });
            }
        }
        response.topics = by_topic(answers);
        response
    }

    fn open(&self, answers: &[(&Target, PartitionAnswer)]) -> i32 {
        let by_id = self.call.version >= BY_ID_FROM_VERSION;
        let asked = answers.iter().map(|(target, answer)| (target.followed.clone(), answer));
        let node = &self.call.node;
        let sessions_max = node.config().requests.fetch_sessions_max;
        node.fetch_sessions.open(Session::open(by_id, asked), sessions_max, node.clock.elapsed())
    }
}

/// The partitions that a request without a session names, or one that asks for a new session.
/// Either way it closes the session that it names.
fn named(call: &Call, request: &Request) -> (Vec<Target>, Ending) {
    if request.session_id != NO_SESSION {
        call.node.fetch_sessions.close(request.session_id);
    }
    let opens = request.session_epoch == EPOCH_OPEN;
    let by_id = call.version >= BY_ID_FROM_VERSION;
    let mut finder = Finder::new(&call.node.topics);
    let mut targets: Vec<Target> = Vec::new();
    let mut seen = HashMap::new();
    for topic in &request.topics {
        let key = TopicKey::new(by_id, &topic.topic, topic.topic_id);
        // A session is not to hold on to the bytes of a request.
        let key = if opens { key.detached() } else { key };
        for wanted in &topic.partitions {
            let place = Place { topic: key.clone(), index: wanted.partition };
            let mut followed = Followed::new(place, Ask::of(wanted));
            let partition = finder.find(&mut followed);
            let target = Target { followed, turn: None, partition };
            // Of a partition that is named twice, the last counts.
            let at = *seen.entry(target.followed.place.clone()).or_insert(targets.len());
            match targets.get_mut(at) {
                Some(named_before) => *named_before = target,
                None => targets.push(target),
            }
        }
    }
    (targets, if opens { Ending::Open } else { Ending::NoSession })
}

/// The partitions that a session follows, once it has taken the changes that a request brings.
fn followed(call: &Call, request: &Request) -> Result<(Vec<Target>, Ending), ErrorCode> {
    let (node, id) = (&call.node, request.session_id);
    let session = node.fetch_sessions.find(id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
    let mut state = lock(&session);
    let by_id = call.version >= BY_ID_FROM_VERSION;
    state.advance(request.session_epoch, by_id, &request.topics, &request.forgotten_topics)?;
    let (size, epoch) = (state.size(), state.epoch());
    if size.partitions == 0 {
        // Nothing is left to follow: Kafka closes such a session.
        node.fetch_sessions.close(id);
        return Ok((Vec::new(), Ending::NoSession));
    }
    if !node.fetch_sessions.touch(id, size, node.clock.elapsed()) {
        return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    }
    let mut finder = Finder::new(&node.topics);
    let target = |(turn, followed): (_, &mut Followed)| {
        let partition = finder.find(followed);
        Target { followed: followed.clone(), turn: Some(turn), partition }
    };
    let targets = state.followed().map(target).collect();
    drop(state);
    Ok((targets, Ending::GoOn(GoOn { id, session, epoch })))
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks partitions up, and a topic once for all its partitions that follow one another.
struct Finder<'a> {
    topics: &'a Topics,
    last: Option<(TopicKey, Option<Arc<Topic>>)>,
}

impl<'a> Finder<'a> {
    fn new(topics: &'a Topics) -> Self {
        Self { topics, last: None }
    }

    /// The partition, and the name of its topic noted where it was asked for by id.
    fn find(&mut self, followed: &mut Followed) -> Result<Arc<Partition>, ErrorCode> {
        let Place { topic: key, index } = &followed.place;
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let Some(topic) = self.topic(key) else {
            return Err(match (key, &followed.known_as) {
                (TopicKey::Name(_), _) => unknown,
                (TopicKey::Id(_), None) => ErrorCode::UNKNOWN_TOPIC_ID,
                // It was deleted, and may have been made anew.
                (TopicKey::Id(_), Some(name)) => {
                    let namesake = self.topics.by_name(name);
                    let partition = namesake.and_then(|topic| topic.partition(*index));
                    partition.map_or(unknown, |_| ErrorCode::INCONSISTENT_TOPIC_ID)
                }
            });
        };
        let partition = topic.partition(*index);
        if followed.known_as.is_none() && matches!(key, TopicKey::Id(_)) {
            followed.known_as = Some(topic.name.clone());
        }
        partition.ok_or(unknown)
    }

    fn topic(&mut self, key: &TopicKey) -> Option<&Arc<Topic>> {
        if self.last.as_ref().is_none_or(|(last, _)| last != key) {
            let found = match key {
                TopicKey::Name(name) => self.topics.by_name(name),
                TopicKey::Id(id) => self.topics.by_id(*id),
            };
            if let Some(topic) = &found {
                topic.metrics.fetch_requests.inc();
            }
            self.last = Some((key.clone(), found));
        }
        self.last.as_ref().and_then(|(_, topic)| topic.as_ref())
    }
}

/// Counts what is given out of each topic.
fn count(answers: &[(&Target, PartitionAnswer)]) {
    for (target, answer) in answers {
        let Ok(partition) = &target.partition else { continue };
        let metrics = &partition.topic.metrics;
        if !answer.error_code.is_none() {
            metrics.failed_fetch_requests.inc();
        }
        let bytes = look::bytes(answer);
        if bytes > 0 {
            metrics.bytes_out.inc_by(bytes as u64);
        }
    }
}

/// Groups answers by topic, without changing their order.
fn by_topic(answers: Vec<(&Target, PartitionAnswer)>) -> Vec<TopicAnswer> {
    let mut topics: Vec<TopicAnswer> = Vec::new();
    let mut last: Option<&TopicKey> = None;
    for (target, answer) in answers {
        let key = &target.followed.place.topic;
        match topics.last_mut().filter(|_| last == Some(key)) {
            Some(topic) => topic.partitions.push(answer),
            None => topics.push(topic_answer(key, answer)),
        }
        last = Some(key);
    }
    topics
}

fn topic_answer(key: &TopicKey, answer: PartitionAnswer) -> TopicAnswer {
    let (topic, topic_id) = match key {
        TopicKey::Name(name) => (name.clone(), Uuid::ZERO),
        TopicKey::Id(id) => (Str::default(), *id),
    };
    TopicAnswer { topic, topic_id, partitions: vec![answer] }
}

/// One error for the whole request. Where topics have names, each partition says it, too: the
/// oldest versions have no other place for it.
fn refuse_all(version: i16, request: Request, error_code: ErrorCode) -> Response {
    let Request { session_id, mut topics, .. } = request;
    if version >= BY_ID_FROM_VERSION {
        topics.clear();
    }
    let refuse = |wanted: &Wanted| PartitionAnswer {
        partition_index: wanted.partition,
        aborted_transactions: Some(Vec::new()),
        ..refused(error_code)
    };
    let topics = topics.into_iter().map(|topic| TopicAnswer {
        topic: topic.topic,
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(refuse).collect(),
    });
    Response { error_code, session_id, topics: topics.collect(), ..Response::default() }
}
