//! The settings of groups, and of subscriptions to the metrics of clients.

use crate::config::key::{Key, boolean, int, list, string};

/// The rows of groups, by name.
pub(super) const GROUP_KEYS: &[Key] = &[
    int("consumer.assignment.interval.ms", "1000")
        .at_least(0)
        .from(&[("group.consumer.assignment.interval.ms", 1)]),
    int("consumer.heartbeat.interval.ms", "5000")
        .at_least(1)
        .from(&[("group.consumer.heartbeat.interval.ms", 1)]),
    int("consumer.session.timeout.ms", "45000")
        .at_least(1)
        .from(&[("group.consumer.session.timeout.ms", 1)]),
    int("share.assignment.interval.ms", "1000")
        .at_least(0)
        .from(&[("group.share.assignment.interval.ms", 1)]),
    string("share.auto.offset.reset", "latest").offset_reset(),
    int("share.delivery.count.limit", "5")
        .at_least(2)
        .from(&[("group.share.delivery.count.limit", 1)]),
    int("share.heartbeat.interval.ms", "5000")
        .at_least(1)
        .from(&[("group.share.heartbeat.interval.ms", 1)]),
    string("share.isolation.level", "read_uncommitted")
        .one_of(&["read_committed", "read_uncommitted"]),
    int("share.partition.max.record.locks", "2000")
        .at_least(100)
        .from(&[("group.share.partition.max.record.locks", 1)]),
    int("share.record.lock.duration.ms", "30000")
        .at_least(1000)
        .from(&[("group.share.record.lock.duration.ms", 1)]),
    boolean("share.renew.acknowledge.enable", "true"),
    int("share.session.timeout.ms", "45000")
        .at_least(1)
        .from(&[("group.share.session.timeout.ms", 1)]),
    int("streams.assignment.interval.ms", "1000")
        .at_least(0)
        .from(&[("group.streams.assignment.interval.ms", 1)]),
    int("streams.heartbeat.interval.ms", "5000")
        .at_least(1)
        .from(&[("group.streams.heartbeat.interval.ms", 1)]),
    int("streams.initial.rebalance.delay.ms", "3000")
        .at_least(0)
        .from(&[("group.streams.initial.rebalance.delay.ms", 1)]),
    int("streams.num.standby.replicas", "0")
        .at_least(0)
        .from(&[("group.streams.num.standby.replicas", 1)]),
    int("streams.session.timeout.ms", "45000")
        .at_least(1)
        .from(&[("group.streams.session.timeout.ms", 1)]),
];

/// The rows of subscriptions to the metrics of clients, by name.
pub(super) const CLIENT_METRICS_KEYS: &[Key] =
    &[int("interval.ms", "300000"), list("match", ""), list("metrics", "")];
