//! GetTelemetrySubscriptions: tells a client which of its metrics are wanted. Version 0.
//!
//! The wishes are the settings of client metrics (`kafka-client-metrics`). A client that comes
//! without an id is given one.

use klamm_protocol::api::get_telemetry_subscriptions::{Request, Response};
use klamm_protocol::records::Compression;

use super::facts;
use crate::server::{Call, Reply};
use crate::telemetry::PUSH_BYTES_MAX;

/// The best liked first, as Kafka has them.
const COMPRESSIONS: [Compression; 4] =
    [Compression::Zstd, Compression::Lz4, Compression::Gzip, Compression::Snappy];

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let node = &call.node;
    let facts = facts(&call, request.client_instance_id);
    let asked = node.telemetry.ask(&node.catalog.image(), facts, node.clock.elapsed());
    let (client_instance_id, subscription) = match asked {
        Ok(asked) => asked,
        Err(error_code) => return Reply::Now(Response { error_code, ..Response::default() }),
    };
    let ids = COMPRESSIONS.iter().map(|compression| compression.id());
    Reply::Now(Response {
        client_instance_id,
        subscription_id: subscription.id,
        accepted_compression_types: ids.filter_map(|id| id.try_into().ok()).collect(),
        push_interval_ms: i32::try_from(subscription.interval.as_millis()).unwrap_or(i32::MAX),
        telemetry_max_bytes: i32::try_from(PUSH_BYTES_MAX).unwrap_or(i32::MAX),
        delta_temporality: true,
        requested_metrics: subscription.metrics.clone(),
        ..Response::default()
    })
}
