//! Broker keys about topics, their logs and the metadata log.

use super::{CLEANUP, CODECS, DURABILITY, TIMES};
use crate::config::key::{Key, Kind, boolean, double, int, list, long, string, unset};

/// The rows, by name.
pub(super) const KEYS: &[Key] = &[
    unset("alter.config.policy.class.name", Kind::Class),
    boolean("auto.create.topics.enable", "true")
        .used("Whether asking for an unknown topic makes it."),
    int("background.threads", "10").at_least(1).cluster_wide(),
    int("compression.gzip.level", "-1")
        .between_or(1, 9, -1)
        .cluster_wide()
        .used("Default of the topic setting `compression.gzip.level`."),
    int("compression.lz4.level", "9")
        .between(1, 17)
        .cluster_wide()
        .used("Default of the topic setting `compression.lz4.level`."),
    string("compression.type", "producer")
        .one_of(CODECS)
        .cluster_wide()
        .used("Default of the topic setting `compression.type`."),
    int("compression.zstd.level", "3")
        .between(-131_072, 22)
        .cluster_wide()
        .used("Default of the topic setting `compression.zstd.level`."),
    list("cordoned.log.dirs", "").per_broker(),
    unset("create.topic.policy.class.name", Kind::Class),
    int("default.replication.factor", "1").used("Replicas of a topic made without a count."),
    int("delete.records.purgatory.purge.interval.requests", "1"),
    boolean("delete.topic.enable", "true").used("Whether topics can be deleted."),
    string("durability", "synced")
        .one_of(DURABILITY)
        .cluster_wide()
        .used("Default of the topic setting `durability`."),
    long("durability.window.bytes", "67108864")
        .at_least(1)
        .cluster_wide()
        .used("Default of the topic setting `durability.window.bytes`."),
    long("durability.window.ms", "1000")
        .at_least(1)
        .cluster_wide()
        .used("Default of the topic setting `durability.window.ms`."),
    int("fetch.purgatory.purge.interval.requests", "1000"),
    long("log.cleaner.backoff.ms", "15000")
        .at_least(0)
        .cluster_wide()
        .used("How often it is looked which logs are to be compacted, in milliseconds."),
    long("log.cleaner.dedupe.buffer.size", "134217728")
        .at_least(1 << 20)
        .cluster_wide()
        .used("The most memory for the keys of a log that is compacted, in bytes."),
    long("log.cleaner.delete.retention.ms", "86400000")
        .at_least(0)
        .cluster_wide()
        .used("Default of the topic setting `delete.retention.ms`."),
    boolean("log.cleaner.enable", "true").used("Whether logs are compacted."),
    double("log.cleaner.io.buffer.load.factor", "0.9").cluster_wide(),
    int("log.cleaner.io.buffer.size", "524288").at_least(0).cluster_wide(),
    double("log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308").cluster_wide().used(
        "How much compaction may read and write, over all logs together, in bytes a second; zero \
             or less is no limit.",
    ),
    long("log.cleaner.max.compaction.lag.ms", "9223372036854775807")
        .at_least(1)
        .cluster_wide()
        .used("Default of the topic setting `max.compaction.lag.ms`."),
    double("log.cleaner.min.cleanable.ratio", "0.5")
        .between(0, 1)
        .cluster_wide()
        .used("Default of the topic setting `min.cleanable.dirty.ratio`."),
    long("log.cleaner.min.compaction.lag.ms", "0")
        .at_least(0)
        .cluster_wide()
        .used("Default of the topic setting `min.compaction.lag.ms`."),
    int("log.cleaner.threads", "1").at_least(0).cluster_wide(),
    list("log.cleanup.policy", "delete")
        .one_of(CLEANUP)
        .cluster_wide()
        .used("Default of the topic setting `cleanup.policy`."),
    list("log.dir", "./klamm-data")
        .used("Folder that holds all data; used where `log.dirs` is not set."),
    long("log.dir.failure.timeout.ms", "30000").at_least(1),
    unset("log.dirs", Kind::List)
        .used("Folder that holds all data. One folder only. Also called `data.dir`."),
    long("log.flush.interval.messages", "9223372036854775807")
        .at_least(1)
        .cluster_wide()
        .used("Default of the topic setting `flush.messages`."),
    unset("log.flush.interval.ms", Kind::Long)
        .cluster_wide()
        .used("Default of the topic setting `flush.ms`."),
    int("log.flush.offset.checkpoint.interval.ms", "60000").at_least(0),
    long("log.flush.scheduler.interval.ms", "9223372036854775807")
        .used("Default of the topic setting `flush.ms`."),
    int("log.flush.start.offset.checkpoint.interval.ms", "60000").at_least(0),
    int("log.index.interval.bytes", "4096")
        .at_least(0)
        .cluster_wide()
        .used("Default of the topic setting `index.interval.bytes`."),
    int("log.index.size.max.bytes", "10485760")
        .at_least(4)
        .cluster_wide()
        .used("Default of the topic setting `segment.index.bytes`."),
    long("log.local.retention.bytes", "-2").at_least(-2).cluster_wide(),
    long("log.local.retention.ms", "-2").at_least(-2).cluster_wide(),
    long("log.message.timestamp.after.max.ms", "3600000")
        .at_least(0)
        .cluster_wide()
        .used("Default of the topic setting `message.timestamp.after.max.ms`."),
    long("log.message.timestamp.before.max.ms", "9223372036854775807")
        .at_least(0)
        .cluster_wide()
        .used("Default of the topic setting `message.timestamp.before.max.ms`."),
    string("log.message.timestamp.type", "CreateTime")
        .one_of(TIMES)
        .cluster_wide()
        .used("Default of the topic setting `message.timestamp.type`."),
    boolean("log.preallocate", "false").cluster_wide(),
    long("log.retention.bytes", "-1")
        .cluster_wide()
        .used("Default of the topic setting `retention.bytes`."),
    long("log.retention.check.interval.ms", "300000")
        .at_least(1)
        .used("How often old segments are looked for."),
    int("log.retention.hours", "168")
        .not_zero()
        .used("Default of the topic setting `retention.ms`, in hours."),
    unset("log.retention.minutes", Kind::Int)
        .not_zero()
        .used("Default of the topic setting `retention.ms`, in minutes."),
    unset("log.retention.ms", Kind::Long)
        .not_zero()
        .cluster_wide()
        .used("Default of the topic setting `retention.ms`."),
    int("log.roll.hours", "168")
        .at_least(1)
        .used("Default of the topic setting `segment.ms`, in hours."),
    int("log.roll.jitter.hours", "0")
        .at_least(0)
        .used("Default of the topic setting `segment.jitter.ms`, in hours."),
    unset("log.roll.jitter.ms", Kind::Long)
        .cluster_wide()
        .used("Default of the topic setting `segment.jitter.ms`."),
    unset("log.roll.ms", Kind::Long)
        .cluster_wide()
        .used("Default of the topic setting `segment.ms`."),
    int("log.segment.bytes", "1073741824")
        .at_least(1_048_576)
        .cluster_wide()
        .used("Default of the topic setting `segment.bytes`."),
    long("log.segment.delete.delay.ms", "60000")
        .at_least(0)
        .cluster_wide()
        .used("Default of the topic setting `file.delete.delay.ms`."),
    int("message.max.bytes", "1048588")
        .at_least(0)
        .cluster_wide()
        .used("Default of the topic setting `max.message.bytes`."),
    unset("metadata.log.dir", Kind::String),
    long("metadata.log.max.record.bytes.between.snapshots", "20971520")
        .at_least(1)
        .used("Bytes of the metadata log after which a snapshot is written."),
    long("metadata.log.max.snapshot.interval.ms", "3600000").at_least(0),
    int("metadata.log.segment.bytes", "1073741824").at_least(8_388_608),
    long("metadata.log.segment.ms", "604800000"),
    int("metadata.max.idle.interval.ms", "500").at_least(0),
    long("metadata.max.retention.bytes", "104857600"),
    long("metadata.max.retention.ms", "604800000"),
    int("min.insync.replicas", "1")
        .at_least(1)
        .cluster_wide()
        .used("Default of the topic setting `min.insync.replicas`."),
    int("num.partitions", "1").at_least(1).used("Partitions of a topic made without a count."),
    int("num.recovery.threads.per.data.dir", "2").at_least(1).cluster_wide(),
    int("producer.purgatory.purge.interval.requests", "1000"),
    boolean("unclean.leader.election.enable", "false").cluster_wide(),
];
