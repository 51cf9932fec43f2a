//! DescribeProducers: lists the producers that write to partitions. Version 0.
//!
//! Producers that have been silent are forgotten, and not told. A partition that is named twice is
//! answered once.

use std::collections::HashSet;

use klamm_protocol::api::describe_producers::{
    PartitionAnswer, Producer, Request, Response, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;

use crate::partition::ActiveProducer;
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let mut seen = HashSet::new();
    let topics = request.topics.into_iter().map(|topic| {
        let found = call.node.topics.by_name(&topic.name);
        let indexes = topic.partition_indexes.into_iter();
        let indexes = indexes.filter(|index| seen.insert((topic.name.clone(), *index)));
        let partitions = indexes.map(|partition_index| {
            let partition = found.as_ref().and_then(|topic| topic.partition(partition_index));
            match partition {
                None => PartitionAnswer {
                    partition_index,
                    error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    ..PartitionAnswer::default()
                },
                Some(partition) => {
                    let producers = partition.active_producers().into_iter().map(answer);
                    let active_producers = producers.collect();
                    PartitionAnswer {
                        partition_index,
                        active_producers,
                        ..PartitionAnswer::default()
                    }
                }
            }
        });
        let partitions = partitions.collect();
        TopicAnswer { name: topic.name, partitions }
    });
    Reply::Now(Response { topics: topics.collect(), ..Response::default() })
}

fn answer(active: ActiveProducer) -> Producer {
    Producer {
        producer_id: active.id,
        producer_epoch: active.epoch.into(),
        last_sequence: active.last_sequence.unwrap_or(-1),
        last_timestamp: active.last_write_ms,
        coordinator_epoch: active.coordinator_epoch,
        current_txn_start_offset: active.open.unwrap_or(-1),
    }
}
