//! Broker keys about tiered storage, which this broker does not have.

use crate::config::key::{Key, Kind, boolean, int, long, string, unset};

/// The rows, by name.
pub(super) const KEYS: &[Key] = &[
    boolean("follower.fetch.last.tiered.offset.enable", "false").cluster_wide(),
    int("remote.fetch.max.wait.ms", "500").at_least(1).cluster_wide(),
    long("remote.list.offsets.request.timeout.ms", "30000").at_least(1).cluster_wide(),
    long("remote.log.index.file.cache.total.size.bytes", "1073741824").at_least(1).cluster_wide(),
    int("remote.log.manager.copier.thread.pool.size", "10").at_least(1).cluster_wide(),
    long("remote.log.manager.copy.max.bytes.per.second", "9223372036854775807")
        .at_least(1)
        .cluster_wide(),
    int("remote.log.manager.copy.quota.window.num", "11").at_least(1),
    int("remote.log.manager.copy.quota.window.size.seconds", "1").at_least(1),
    int("remote.log.manager.expiration.thread.pool.size", "10").at_least(1).cluster_wide(),
    long("remote.log.manager.fetch.max.bytes.per.second", "9223372036854775807")
        .at_least(1)
        .cluster_wide(),
    int("remote.log.manager.fetch.quota.window.num", "11").at_least(1),
    int("remote.log.manager.fetch.quota.window.size.seconds", "1").at_least(1),
    int("remote.log.manager.follower.thread.pool.size", "2").at_least(1).cluster_wide(),
    long("remote.log.manager.task.interval.ms", "30000").at_least(1),
    int("remote.log.manager.thread.pool.size", "2").at_least(1),
    int("remote.log.metadata.custom.metadata.max.bytes", "128").at_least(0),
    string(
        "remote.log.metadata.manager.class.name",
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
    ),
    unset("remote.log.metadata.manager.class.path", Kind::String),
    string("remote.log.metadata.manager.impl.prefix", "rlmm.config."),
    unset("remote.log.metadata.manager.listener.name", Kind::String),
    int("remote.log.reader.max.pending.tasks", "100").at_least(1),
    int("remote.log.reader.threads", "10").at_least(1).cluster_wide(),
    unset("remote.log.storage.manager.class.name", Kind::String),
    unset("remote.log.storage.manager.class.path", Kind::String),
    string("remote.log.storage.manager.impl.prefix", "rsm.config."),
    boolean("remote.log.storage.system.enable", "false"),
];
