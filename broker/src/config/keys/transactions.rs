//! Broker keys about transactions and producer ids.

use crate::config::key::{Key, boolean, int, short};

/// The rows, by name.
pub(super) const KEYS: &[Key] = &[
    int("add.partitions.to.txn.retry.backoff.max.ms", "100").at_least(0),
    int("add.partitions.to.txn.retry.backoff.ms", "20").at_least(1),
    int("producer.id.expiration.ms", "86400000")
        .at_least(1)
        .cluster_wide()
        .used("How long the state of a silent idempotent producer is kept."),
    int("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000").at_least(1),
    int("transaction.max.timeout.ms", "900000").at_least(1),
    boolean("transaction.partition.verification.enable", "true").cluster_wide(),
    int("transaction.remove.expired.transaction.cleanup.interval.ms", "3600000").at_least(1),
    int("transaction.state.log.load.buffer.size", "5242880").at_least(1),
    int("transaction.state.log.min.isr", "1").at_least(1),
    int("transaction.state.log.num.partitions", "50").at_least(1),
    short("transaction.state.log.replication.factor", "1").at_least(1),
    int("transaction.state.log.segment.bytes", "104857600").at_least(1),
    boolean("transaction.two.phase.commit.enable", "false"),
    int("transactional.id.expiration.ms", "604800000").at_least(1),
];
