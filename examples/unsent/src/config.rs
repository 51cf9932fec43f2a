//! Which stores: settings that the producer and the consumer share.

use common::config::Config;
use common::kv::{AuxiliaryKind, Kv, Stores};

/// `REDIS_MASTER` and `REDIS_AUX` are addresses, `AUXILIARY` says what the second is:
/// `separate` (by default), `redis-replica`, or `memory`, which needs no address. With `KV=memory`
/// both are in this process: for when the producer and the consumer are, too.
pub fn stores(config: &mut Config) -> anyhow::Result<Stores> {
    let kind = config.text("KV", "redis");
    let master = config.text("REDIS_MASTER", "127.0.0.1:6379");
    let auxiliary = config.text("REDIS_AUX", "127.0.0.1:6380");
    let auxiliary_kind = config.text("AUXILIARY", "separate");
    if kind == "memory" {
        return Ok(Stores::memory());
    }
    if kind != "redis" {
        config.refuse(format!("KV={kind}: neither redis nor memory"));
    }
    let (auxiliary, kind) = match auxiliary_kind.as_str() {
        "separate" => (Kv::redis(&auxiliary)?, AuxiliaryKind::Separate),
        "redis-replica" => (Kv::redis(&auxiliary)?, AuxiliaryKind::RedisReplica),
        "memory" => (Kv::memory(), AuxiliaryKind::Separate),
        other => {
            config.refuse(format!("AUXILIARY={other}: separate, redis-replica or memory"));
            (Kv::memory(), AuxiliaryKind::Separate)
        }
    };
    Ok(Stores { master: Kv::redis(&master)?, auxiliary, kind })
}
