//! Broker keys about consumer, share and streams groups.

use crate::config::key::{Key, int, list, long, short, string};

const MIGRATIONS: &[&str] = &["bidirectional", "downgrade", "disabled", "upgrade"];

/// The rows, by name.
pub(super) const KEYS: &[Key] = &[
    int("group.consumer.assignment.interval.ms", "1000")
        .at_least(0)
        .cluster_wide()
        .used("How long a group keeps an assignment at least, in milliseconds."),
    list("group.consumer.assignors", "uniform,range")
        .one_of(&["uniform", "range"])
        .used("The ways of assigning that groups know; the first where no member wishes one."),
    int("group.consumer.heartbeat.interval.ms", "5000")
        .at_least(1)
        .used("How often members of the consumer protocol are to be heard of."),
    int("group.consumer.max.assignment.interval.ms", "15000")
        .at_least(0)
        .used("The longest assignment interval that groups of the consumer protocol may have."),
    int("group.consumer.max.heartbeat.interval.ms", "15000")
        .at_least(1)
        .used("The longest heartbeat interval that groups of the consumer protocol may have."),
    int("group.consumer.max.session.timeout.ms", "60000")
        .at_least(1)
        .used("The longest session timeout that groups of the consumer protocol may have."),
    int("group.consumer.max.size", "2147483647")
        .at_least(1)
        .used("The most members of a group of the consumer protocol."),
    string("group.consumer.migration.policy", "bidirectional")
        .one_of_in_any_case(MIGRATIONS)
        .used("Which way groups may go from one protocol to the other while they have members."),
    int("group.consumer.min.assignment.interval.ms", "0")
        .at_least(0)
        .used("The shortest assignment interval that groups of the consumer protocol may have."),
    int("group.consumer.min.heartbeat.interval.ms", "5000")
        .at_least(1)
        .used("The shortest heartbeat interval that groups of the consumer protocol may have."),
    int("group.consumer.min.session.timeout.ms", "45000")
        .at_least(1)
        .used("The shortest session timeout that groups of the consumer protocol may have."),
    int("group.consumer.session.timeout.ms", "45000")
        .at_least(1)
        .used("How long a member of the consumer protocol may be silent."),
    int("group.coordinator.append.linger.ms", "-1").at_least(-1),
    int("group.coordinator.background.threads", "2").at_least(1),
    int("group.coordinator.cached.buffer.max.bytes", "1048588").at_least(524_288).cluster_wide(),
    list("group.coordinator.rebalance.protocols", "classic,consumer,streams")
        .one_of(&["consumer", "classic", "share", "streams"]),
    int("group.coordinator.threads", "4").at_least(1),
    int("group.initial.rebalance.delay.ms", "3000")
        .used("How long a group that was empty waits for more members before its first round."),
    int("group.max.session.timeout.ms", "1800000")
        .used("The longest session timeout that a member may ask for, in milliseconds."),
    int("group.max.size", "2147483647").at_least(1).used("The most members of a group."),
    int("group.min.session.timeout.ms", "6000")
        .at_least(1)
        .used("The shortest session timeout that a member may ask for, in milliseconds."),
    int("group.share.assignment.interval.ms", "1000").at_least(0).cluster_wide(),
    list("group.share.assignors", "simple"),
    int("group.share.delivery.count.limit", "5").between(2, 10),
    int("group.share.heartbeat.interval.ms", "5000").at_least(1),
    int("group.share.max.assignment.interval.ms", "15000")
        .at_least(0)
        .used("The longest assignment interval that share groups may have."),
    int("group.share.max.delivery.count.limit", "10")
        .between(5, 25)
        .used("The greatest limit of deliveries that share groups may have."),
    int("group.share.max.heartbeat.interval.ms", "15000")
        .at_least(1)
        .used("The longest heartbeat interval that share groups may have."),
    int("group.share.max.partition.max.record.locks", "4000")
        .between(2000, 10_000)
        .used("The greatest limit of locked records that share groups may have."),
    int("group.share.max.record.lock.duration.ms", "60000")
        .between(30_000, 3_600_000)
        .used("The longest time of a lock that share groups may have."),
    int("group.share.max.session.timeout.ms", "60000")
        .at_least(1)
        .used("The longest session timeout that share groups may have."),
    int("group.share.max.share.sessions", "2000").at_least(1),
    int("group.share.max.size", "200").between(1, 1000),
    int("group.share.min.assignment.interval.ms", "0")
        .at_least(0)
        .used("The shortest assignment interval that share groups may have."),
    int("group.share.min.delivery.count.limit", "2")
        .between(2, 5)
        .used("The least limit of deliveries that share groups may have."),
    int("group.share.min.heartbeat.interval.ms", "5000")
        .at_least(1)
        .used("The shortest heartbeat interval that share groups may have."),
    int("group.share.min.partition.max.record.locks", "100")
        .between(100, 2000)
        .used("The least limit of locked records that share groups may have."),
    int("group.share.min.record.lock.duration.ms", "15000")
        .between(1000, 30_000)
        .used("The shortest time of a lock that share groups may have."),
    int("group.share.min.session.timeout.ms", "45000")
        .at_least(1)
        .used("The shortest session timeout that share groups may have."),
    int("group.share.partition.max.record.locks", "2000").between(100, 10_000),
    int("group.share.record.lock.duration.ms", "30000").between(1000, 3_600_000),
    int("group.share.session.timeout.ms", "45000").at_least(1),
    int("group.streams.assignment.interval.ms", "1000").at_least(0).cluster_wide(),
    int("group.streams.heartbeat.interval.ms", "5000").at_least(1),
    int("group.streams.initial.rebalance.delay.ms", "3000").at_least(0),
    int("group.streams.max.assignment.interval.ms", "15000")
        .at_least(0)
        .used("The longest assignment interval that streams groups may have."),
    int("group.streams.max.heartbeat.interval.ms", "15000")
        .at_least(1)
        .used("The longest heartbeat interval that streams groups may have."),
    int("group.streams.max.session.timeout.ms", "60000")
        .at_least(1)
        .used("The longest session timeout that streams groups may have."),
    int("group.streams.max.size", "2147483647").at_least(1),
    int("group.streams.max.standby.replicas", "2")
        .at_least(0)
        .used("The greatest number of standby replicas that streams groups may have."),
    int("group.streams.min.assignment.interval.ms", "0")
        .at_least(0)
        .used("The shortest assignment interval that streams groups may have."),
    int("group.streams.min.heartbeat.interval.ms", "5000")
        .at_least(1)
        .used("The shortest heartbeat interval that streams groups may have."),
    int("group.streams.min.session.timeout.ms", "45000")
        .at_least(1)
        .used("The shortest session timeout that streams groups may have."),
    int("group.streams.num.standby.replicas", "0").at_least(0),
    int("group.streams.session.timeout.ms", "45000").at_least(1),
    int("offset.metadata.max.bytes", "4096")
        .used("The longest text that may stand beside a committed offset, in bytes."),
    int("offsets.commit.timeout.ms", "5000").at_least(1),
    int("offsets.load.buffer.size", "5242880").at_least(1),
    long("offsets.retention.check.interval.ms", "600000")
        .at_least(1)
        .used("Time between two searches for committed offsets that expired."),
    int("offsets.retention.minutes", "10080")
        .at_least(1)
        .used("How long offsets are kept once their group is empty, in minutes."),
    int("offsets.topic.compression.codec", "0")
        .between(0, 4)
        .used("Codec of the offsets: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd."),
    int("offsets.topic.num.partitions", "50")
        .at_least(1)
        .used("Partitions that `__consumer_offsets` is made with."),
    short("offsets.topic.replication.factor", "1")
        .at_least(1)
        .used("Read as 1: there is one broker."),
    int("offsets.topic.segment.bytes", "104857600")
        .at_least(1)
        .used("Segment size that `__consumer_offsets` is made with; 1 MiB at least."),
    int("share.coordinator.append.linger.ms", "-1").at_least(-1),
    int("share.coordinator.cached.buffer.max.bytes", "1048588").at_least(524_288).cluster_wide(),
    int("share.coordinator.load.buffer.size", "5242880").at_least(1),
    int("share.coordinator.snapshot.update.records.per.snapshot", "500").between(0, 500),
    int("share.coordinator.state.topic.compression.codec", "0"),
    short("share.coordinator.state.topic.min.isr", "1").at_least(1),
    int("share.coordinator.state.topic.num.partitions", "50").at_least(1),
    short("share.coordinator.state.topic.replication.factor", "1").at_least(1),
    int("share.coordinator.state.topic.segment.bytes", "104857600").at_least(1),
    int("share.coordinator.threads", "1").at_least(1),
    int("share.coordinator.write.timeout.ms", "5000").at_least(1),
    int("share.fetch.purgatory.purge.interval.requests", "1000"),
];
