//! Fetch: reads record batches. Versions 4 to 18.
//!
//! - The batch that holds the offset is given whole, although it may begin before it; clients
//!   pass over the rest.
//! - Limits are soft: the first batch of the answer is given whatever its size.
//! - The answer waits until `min_bytes` are there or `max_wait_ms` is over, but never when there
//!   is an error to tell. This is the only place where a fetch waits.
//! - No sessions yet (KIP-227): each answer says that none was opened, and names every partition.
//! - Whoever says to be a replica is answered as a consumer.

use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::api::fetch::{
    EpochEnd, Partition as Wanted, PartitionAnswer, Request, Response, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{Compression, batches};
use klamm_protocol::wire::{Records, Str, Uuid};
use tokio::time::{Instant, timeout_at};

use crate::partition::{Isolation, Partition, Read, Waiter};
use crate::server::{Call, Reply};

/// The first version whose clients read zstd (KIP-110).
const ZSTD_FROM_VERSION: i16 = 10;

/// A request whose names have been looked up.
struct Plan {
    call: Call,
    topics: Vec<PlannedTopic>,
    isolation: Isolation,
    bytes_min: usize,
    bytes_max: usize,
}

struct PlannedTopic {
    name: Str,
    id: Uuid,
    partitions: Vec<PlannedPartition>,
}

struct PlannedPartition {
    wanted: Wanted,
    target: Result<Arc<Partition>, ErrorCode>,
}

/// An answer, and what decides whether it may be sent already.
struct Look {
    topics: Vec<TopicAnswer>,
    bytes: usize,
    /// An error, or logs that have parted: the client must hear of it at once.
    urgent: bool,
}

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    if request.session_epoch > 0 {
        let error_code = ErrorCode::FETCH_SESSION_ID_NOT_FOUND;
        return Reply::Now(Response { error_code, ..Response::default() });
    }
    let Some(isolation) = Isolation::from_wire(request.isolation_level) else {
        return Reply::Now(refuse_all(call.version, request, ErrorCode::UNKNOWN_SERVER_ERROR));
    };
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait;
    let plan = Plan::new(call, request, isolation);
    let look = plan.look().await;
    if plan.is_enough(&look) || wait.is_zero() {
        return Reply::Now(plan.respond(look));
    }
    Reply::later(plan.wait(deadline))
}

impl Plan {
    fn new(call: Call, request: Request, isolation: Isolation) -> Self {
        let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0);
        let topics = request.topics.into_iter().map(|topic| {
            let by_id = call.version >= 13;
            let (found, unknown) = if by_id {
                (call.node.topics.by_id(topic.topic_id), ErrorCode::UNKNOWN_TOPIC_ID)
            } else {
                let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                (call.node.topics.by_name(&topic.topic), unknown)
            };
            if let Some(topic) = &found {
                topic.metrics.fetch_requests.inc();
            }
            let partitions = topic.partitions.into_iter().map(|wanted| {
                let target = found.as_ref().ok_or(unknown).and_then(|topic| {
                    let partition = topic.partition(wanted.partition);
                    partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                });
                PlannedPartition { wanted, target }
            });
            PlannedTopic { name: topic.topic, id: topic.topic_id, partitions: partitions.collect() }
        });
        Self {
            topics: topics.collect(),
            isolation,
            bytes_min: usize::try_from(request.min_bytes).unwrap_or(0),
            bytes_max: bytes_max.min(call.node.config().requests.fetch_bytes_max),
            call,
        }
    }

    fn is_enough(&self, look: &Look) -> bool {
        look.urgent || look.bytes >= self.bytes_min || self.topics.is_empty()
    }

    /// Looks again whenever something changed, until there is enough or the time is up.
    async fn wait(self, deadline: Instant) -> Response {
        let targets = self.topics.iter().flat_map(|topic| &topic.partitions);
        let targets = targets.filter_map(|planned| planned.target.clone().ok()).collect();
        let waiter = Waiter::register(targets);
        loop {
            let look = self.look().await;
            if self.is_enough(&look) || timeout_at(deadline, waiter.woken()).await.is_err() {
                return self.respond(look);
            }
        }
    }

    /// Reads what is there now, in the order of the request.
    async fn look(&self) -> Look {
        let mut look =
            Look { topics: Vec::with_capacity(self.topics.len()), bytes: 0, urgent: false };
        for topic in &self.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for planned in &topic.partitions {
                let answer = match &planned.target {
                    Ok(partition) => self.read(partition, &planned.wanted, look.bytes).await,
                    Err(error_code) => Ok(unasked(&planned.wanted, *error_code)),
                };
                let answer = answer.unwrap_or_else(refuse);
                look.bytes += answer.records.as_ref().map_or(0, Records::len);
                look.urgent |=
                    !answer.error_code.is_none() || answer.diverging_epoch != EpochEnd::default();
                let partition_index = planned.wanted.partition;
                partitions.push(PartitionAnswer { partition_index, ..answer });
            }
            let (topic, topic_id) = (topic.name.clone(), topic.id);
            look.topics.push(TopicAnswer { topic, topic_id, partitions });
        }
        look
    }

    async fn read(
        &self,
        partition: &Arc<Partition>,
        wanted: &Wanted,
        bytes_so_far: usize,
    ) -> Result<PartitionAnswer, ErrorCode> {
        partition.check_leader_epoch(wanted.current_leader_epoch)?;
        if let Some((epoch, end_offset)) =
            partition.divergence(wanted.last_fetched_epoch, wanted.fetch_offset)?
        {
            let diverging_epoch = EpochEnd { epoch, end_offset };
            return Ok(PartitionAnswer { diverging_epoch, ..self.offsets(partition) });
        }
        if wanted.partition_max_bytes < 0 {
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        let room = self.bytes_max.saturating_sub(bytes_so_far);
        let partition_max = usize::try_from(wanted.partition_max_bytes).unwrap_or(0);
        let read = Read {
            offset: wanted.fetch_offset,
            bytes_max: partition_max.min(room),
            // The first batch of all is given whatever its size, so that every client gets on.
            at_least_one: bytes_so_far == 0,
            isolation: self.isolation,
        };
        let records = partition.read(read).await?;
        if self.call.version < ZSTD_FROM_VERSION && holds_zstd(&records) {
            return Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
        }
        Ok(PartitionAnswer { records: Some(records), ..self.offsets(partition) })
    }

    fn respond(&self, look: Look) -> Response {
        for (planned, answer) in self.topics.iter().zip(&look.topics) {
            let records = answer.partitions.iter().filter_map(|answer| answer.records.as_ref());
            let bytes: usize = records.map(Records::len).sum();
            let mut targets = planned.partitions.iter().filter_map(|it| it.target.as_ref().ok());
            if let Some(partition) = targets.next() {
                let metrics = &partition.topic.metrics;
                metrics.bytes_out.inc_by(bytes as u64);
                if answer.partitions.iter().any(|answer| !answer.error_code.is_none()) {
                    metrics.failed_fetch_requests.inc();
                }
            }
        }
        Response { topics: look.topics, ..Response::default() }
    }

    fn offsets(&self, partition: &Partition) -> PartitionAnswer {
        let offsets = partition.offsets();
        PartitionAnswer {
            high_watermark: offsets.high_watermark.get(),
            last_stable_offset: offsets.stable.get(),
            log_start_offset: offsets.start.get(),
            aborted_transactions: (self.isolation == Isolation::ReadCommitted).then(Vec::new),
            records: Some(Records::default()),
            ..PartitionAnswer::default()
        }
    }
}

fn refuse(error_code: ErrorCode) -> PartitionAnswer {
    let records = Some(Records::default());
    PartitionAnswer { error_code, high_watermark: -1, records, ..PartitionAnswer::default() }
}

/// One error for the whole request. Where topics have names, each partition says it, too: the
/// oldest versions have no other place for it.
fn refuse_all(version: i16, request: Request, error_code: ErrorCode) -> Response {
    if version >= 13 {
        return Response { error_code, ..Response::default() };
    }
    let topics = request.topics.into_iter().map(|topic| TopicAnswer {
        topic: topic.topic,
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|wanted| unasked(wanted, error_code)).collect(),
    });
    Response { error_code, topics: topics.collect(), ..Response::default() }
}

/// An error that was found before the log was asked: Kafka then lists no aborted transactions.
fn unasked(wanted: &Wanted, error_code: ErrorCode) -> PartitionAnswer {
    PartitionAnswer {
        partition_index: wanted.partition,
        aborted_transactions: Some(Vec::new()),
        ..refuse(error_code)
    }
}

fn holds_zstd(records: &Records) -> bool {
    let mut batches = batches(records.clone().into_bytes()).flatten();
    batches.any(|batch| batch.header().attributes.compression() == Ok(Compression::Zstd))
}
