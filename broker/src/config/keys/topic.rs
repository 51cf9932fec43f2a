//! The settings of a topic.

use super::{CLEANUP, CODECS, DURABILITY, TIMES};
use crate::config::key::{Key, boolean, double, int, list, long, string};

/// The rows, by name.
pub(super) const KEYS: &[Key] = &[
    list("cleanup.policy", "delete")
        .one_of(CLEANUP)
        .from(&[("log.cleanup.policy", 1)])
        .used("What happens to old records: `delete` by age and size, `compact` by key, or both."),
    int("compression.gzip.level", "-1")
        .between_or(1, 9, -1)
        .from(&[("compression.gzip.level", 1)])
        .used("Level used when the broker compresses with gzip; -1 is the codec's own default."),
    int("compression.lz4.level", "9")
        .between(1, 17)
        .from(&[("compression.lz4.level", 1)])
        .used("Level used when the broker compresses with lz4."),
    string("compression.type", "producer")
        .one_of(CODECS)
        .from(&[("compression.type", 1)])
        .used("How records are stored: as the producer sent them, or recompressed to this codec."),
    int("compression.zstd.level", "3")
        .between(-131_072, 22)
        .from(&[("compression.zstd.level", 1)])
        .used("Level used when the broker compresses with zstd."),
    long("delete.retention.ms", "86400000")
        .at_least(0)
        .from(&[("log.cleaner.delete.retention.ms", 1)])
        .used("How long a compacted topic keeps tombstones, in milliseconds."),
    string("durability", "synced")
        .one_of(DURABILITY)
        .from(&[("durability", 1)])
        .used("What an acknowledgement promises: `synced`, `interval` or `os-cached`."),
    long("durability.window.bytes", "67108864")
        .at_least(1)
        .from(&[("durability.window.bytes", 1)])
        .used("With `interval`, the most bytes that may wait for a sync."),
    long("durability.window.ms", "1000")
        .at_least(1)
        .from(&[("durability.window.ms", 1)])
        .used("With `interval`, the longest a record waits for a sync, in milliseconds."),
    long("file.delete.delay.ms", "60000")
        .at_least(0)
        .from(&[("log.segment.delete.delay.ms", 1)])
        .used("How long the files of a deleted segment stay on disk, in milliseconds."),
    long("flush.messages", "9223372036854775807")
        .at_least(1)
        .from(&[("log.flush.interval.messages", 1)])
        .used("1 is `durability=synced`; another value below the greatest is `interval`."),
    long("flush.ms", "9223372036854775807")
        .at_least(0)
        .from(&[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)])
        .used("Below the greatest value: `durability=interval` with this window, in milliseconds."),
    list("follower.replication.throttled.replicas", "").throttled_replicas(),
    int("index.interval.bytes", "4096")
        .at_least(0)
        .from(&[("log.index.interval.bytes", 1)])
        .used("About how many bytes of the log lie between two index entries."),
    list("leader.replication.throttled.replicas", "").throttled_replicas(),
    long("local.retention.bytes", "-2").at_least(-2).from(&[("log.local.retention.bytes", 1)]),
    long("local.retention.ms", "-2").at_least(-2).from(&[("log.local.retention.ms", 1)]),
    long("max.compaction.lag.ms", "9223372036854775807")
        .at_least(1)
        .from(&[("log.cleaner.max.compaction.lag.ms", 1)])
        .used("The longest a record may stay uncompacted, in milliseconds."),
    int("max.message.bytes", "1048588")
        .at_least(0)
        .from(&[("message.max.bytes", 1)])
        .used("The largest record batch taken, in bytes as sent."),
    long("message.timestamp.after.max.ms", "3600000")
        .at_least(0)
        .from(&[("log.message.timestamp.after.max.ms", 1)])
        .used("How far a record's timestamp may lie ahead of the broker's clock."),
    long("message.timestamp.before.max.ms", "9223372036854775807")
        .at_least(0)
        .from(&[("log.message.timestamp.before.max.ms", 1)])
        .used("How far a record's timestamp may lie behind the broker's clock."),
    string("message.timestamp.type", "CreateTime")
        .one_of(TIMES)
        .from(&[("log.message.timestamp.type", 1)])
        .used("Whether records carry the producer's time or the time of their append."),
    double("min.cleanable.dirty.ratio", "0.5")
        .between(0, 1)
        .from(&[("log.cleaner.min.cleanable.ratio", 1)])
        .used("The share of uncompacted bytes at which compaction starts."),
    long("min.compaction.lag.ms", "0")
        .at_least(0)
        .from(&[("log.cleaner.min.compaction.lag.ms", 1)])
        .used("How long a record stays uncompacted at least, in milliseconds."),
    int("min.insync.replicas", "1")
        .at_least(1)
        .from(&[("min.insync.replicas", 1)])
        .used("Replicas that must hold a record before `acks=all` is answered."),
    boolean("preallocate", "false").from(&[("log.preallocate", 1)]),
    boolean("remote.log.copy.disable", "false"),
    boolean("remote.log.delete.on.disable", "false"),
    boolean("remote.storage.enable", "false"),
    long("retention.bytes", "-1")
        .from(&[("log.retention.bytes", 1)])
        .used("Size of a partition beyond which old segments go; -1 sets no limit."),
    long("retention.ms", "604800000")
        .at_least(-1)
        .from(&[
            ("log.retention.ms", 1),
            ("log.retention.minutes", 60_000),
            ("log.retention.hours", 3_600_000),
        ])
        .used("Age beyond which segments are deleted, in milliseconds; -1 sets no limit."),
    int("segment.bytes", "1073741824")
        .at_least(1_048_576)
        .from(&[("log.segment.bytes", 1)])
        .used("Size at which a log starts a new segment."),
    int("segment.index.bytes", "10485760")
        .at_least(4)
        .from(&[("log.index.size.max.bytes", 1)])
        .used("Size at which a full index starts a new segment."),
    long("segment.jitter.ms", "0")
        .at_least(0)
        .from(&[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", 3_600_000)])
        .used("Greatest random part taken off `segment.ms`, in milliseconds."),
    long("segment.ms", "604800000")
        .at_least(1)
        .from(&[("log.roll.ms", 1), ("log.roll.hours", 3_600_000)])
        .used("Age at which a log starts a new segment, in milliseconds."),
    boolean("unclean.leader.election.enable", "false")
        .from(&[("unclean.leader.election.enable", 1)]),
];
