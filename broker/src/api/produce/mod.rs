//! Produce: appends record batches. Versions 3 to 13; told as 0 to 13.
//!
//! - Each partition is judged, stored and answered alone; a refusal never touches its siblings.
//! - All batches of a request are enqueued before anything is waited for: their order against the
//!   next request is fixed then.
//! - `acks=0` gets no answer. If something failed the connection ends: nothing else can tell the
//!   client.
//! - `acks=1` is answered when the batches are written, `acks=-1` when they are committed as the
//!   topic's `durability` says.
//! - The topics in which the broker keeps its own records take none from clients.
//! - A batch that begins a transaction is taken once the transaction's coordinator agrees: see
//!   [`transaction`].
//! - A partition that is named twice takes both batches and is answered twice.

mod transaction;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::api::produce::{
    PartitionAnswer, RecordError, Request, Response, Topic, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Records, Str};
use tokio::time::{Instant, timeout_at};

use crate::partition::{Appended, Commit, Partition, Rejection, Verification, validate};
use crate::server::{Call, Reply};
use crate::topics::{self, is_internal};
use transaction::Verified;

/// How many copies must hold a batch before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acks {
    None,
    Leader,
    All,
}

impl Acks {
    fn from_wire(acks: i16) -> Option<Self> {
        match acks {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// The answers, and what must come true before they may be sent.
struct Pending {
    topics: Vec<TopicAnswer>,
    commits: Vec<PendingCommit>,
}

/// A commit that has not come true yet, and which topic and partition of the answer it is for.
struct PendingCommit {
    topic: usize,
    partition: usize,
    commit: Commit,
}

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let acks = Acks::from_wire(request.acks);
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let verified = transaction::verify(&call, &request).await;
    let topics = Vec::with_capacity(request.topics.len());
    let mut pending = Pending { topics, commits: Vec::new() };
    for topic in request.topics {
        produce_topic(&call, acks, &verified, topic, &mut pending);
    }
    match acks {
        Some(Acks::None) => {
            let mut all = pending.topics.iter().flat_map(|topic| &topic.partitions);
            if all.any(|answer| !answer.error_code.is_none()) {
                return Reply::HangUp("a batch sent with acks=0 was refused");
            }
            Reply::Silent
        }
        Some(Acks::All) if !pending.commits.is_empty() => {
            Reply::later(when_committed(pending, Instant::now() + timeout))
        }
        _ => Reply::Now(respond(pending.topics)),
    }
}

fn produce_topic(
    call: &Call,
    acks: Option<Acks>,
    verified: &Verified,
    topic: Topic,
    pending: &mut Pending,
) {
    let by_id = is_by_id(call);
    let found = find_topic(call, &topic);
    let unknown =
        if by_id { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
    if let Some(topic) = &found {
        topic.metrics.produce_requests.inc();
    }
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for partition in topic.partitions {
        let target = found.as_ref().and_then(|topic| topic.partition(partition.index));
        let missing = if found.is_none() { unknown } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
        let outcome = match (acks, &target) {
            (None, _) => {
                let message = "acks is none of 0, 1 and -1";
                Err(Rejection::new(ErrorCode::INVALID_REQUIRED_ACKS, message))
            }
            (Some(_), None) => Err(Rejection::new(missing, missing.meaning())),
            (Some(_), Some(target)) if is_internal(&target.topic.name) => {
                let code = ErrorCode::INVALID_TOPIC_EXCEPTION;
                let message = format!("Cannot append to internal topic {}", target.topic.name);
                Err(Rejection::new(code, message))
            }
            (Some(acks), Some(target)) => {
                let records = partition.records.map(Records::into_bytes);
                let verified = verified.get(target, records.as_deref());
                verified.and_then(|verification| append(call, acks, target, records, verification))
            }
        };
        if let (Err(_), Some(topic)) = (&outcome, &found) {
            topic.metrics.failed_produce_requests.inc();
        }
        let log_start = target.map_or(-1, |target| target.offsets().start.get());
        let (answer, commit) = answer(call.version, partition.index, log_start, outcome);
        if let Some(commit) = commit {
            let (topic, partition) = (pending.topics.len(), partitions.len());
            pending.commits.push(PendingCommit { topic, partition, commit });
        }
        partitions.push(answer);
    }
    // The name in the request would hold the memory that the request was read into.
    let name = found.map_or(topic.name, |topic| topic.name.clone());
    pending.topics.push(TopicAnswer { name, topic_id: topic.topic_id, partitions });
}

fn is_by_id(call: &Call) -> bool {
    call.version >= 13
}

fn find_topic(call: &Call, topic: &Topic) -> Option<Arc<topics::Topic>> {
    match is_by_id(call) {
        true => call.node.topics.by_id(topic.topic_id),
        false => call.node.topics.by_name(&topic.name),
    }
}

fn append(
    call: &Call,
    acks: Acks,
    partition: &Arc<Partition>,
    records: Option<Bytes>,
    verification: Option<Verification>,
) -> Result<Appended, Rejection> {
    let config = partition.topic.config();
    if acks == Acks::All && config.insync_replicas_min > 1 {
        let message = "min.insync.replicas asks for more replicas than one broker has";
        return Err(Rejection::new(ErrorCode::NOT_ENOUGH_REPLICAS, message));
    }
    let now_ms = call.node.clock.now_ms();
    let batch = validate(records, call.version, &config, now_ms)?;
    partition.append(batch, verification, now_ms)
}

fn answer(
    version: i16,
    index: i32,
    log_start: i64,
    outcome: Result<Appended, Rejection>,
) -> (PartitionAnswer, Option<Commit>) {
    match outcome {
        Ok(appended) => {
            let answer = PartitionAnswer {
                index,
                base_offset: appended.base_offset,
                log_append_time_ms: appended.append_time_ms.unwrap_or(-1),
                log_start_offset: log_start,
                ..PartitionAnswer::default()
            };
            let commit = appended.commit;
            (answer, (!commit.is_done()).then_some(commit))
        }
        Err(rejection) => {
            let log_start_offset = if rejection.by_log { log_start } else { -1 };
            let refusal = refuse(version, index, rejection);
            (PartitionAnswer { log_start_offset, ..refusal }, None)
        }
    }
}

fn refuse(version: i16, index: i32, rejection: Rejection) -> PartitionAnswer {
    let error_code = match rejection.code {
        // Older clients do not know the code, and must look for another leader (KIP-112).
        ErrorCode::KAFKA_STORAGE_ERROR if version <= 4 => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        code => code,
    };
    let bad_record = |record: crate::partition::RejectedRecord| RecordError {
        batch_index: record.index,
        error_message: Some(Str::from_static(record.message)),
    };
    PartitionAnswer {
        index,
        error_code,
        base_offset: -1,
        record_errors: rejection.records.into_iter().map(bad_record).collect(),
        error_message: Some(rejection.message.into()),
        ..PartitionAnswer::default()
    }
}

async fn when_committed(pending: Pending, deadline: Instant) -> Response {
    let Pending { mut topics, commits } = pending;
    for PendingCommit { topic, partition, commit } in commits {
        let Err(error_code) = settle(commit, deadline).await else { continue };
        let topic = topics.get_mut(topic);
        if let Some(answer) = topic.and_then(|topic| topic.partitions.get_mut(partition)) {
            *answer = PartitionAnswer {
                index: answer.index,
                error_code,
                base_offset: -1,
                error_message: Some(Str::from_static(error_code.meaning())),
                ..PartitionAnswer::default()
            };
        }
    }
    respond(topics)
}

async fn settle(commit: Commit, deadline: Instant) -> Result<(), ErrorCode> {
    timeout_at(deadline, commit).await.unwrap_or(Err(ErrorCode::REQUEST_TIMED_OUT))
}

fn respond(topics: Vec<TopicAnswer>) -> Response {
    Response { topics, ..Response::default() }
}
