//! Broker keys about transactions and producer ids.

use crate::config::key::{Key, boolean, int, short};

/// The rows, by name.
pub(super) const KEYS: &[Key] = &[
    int("add.partitions.to.txn.retry.backoff.max.ms", "100")
        .at_least(0)
        .used("How long a write that begins a transaction waits for the end of the last one."),
    int("add.partitions.to.txn.retry.backoff.ms", "20").at_least(1),
    int("producer.id.expiration.ms", "86400000")
        .at_least(1)
        .cluster_wide()
        .used("How long the state of a silent idempotent producer is kept."),
    int("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000").at_least(1),
    int("transaction.max.timeout.ms", "900000")
        .at_least(1)
        .used("The longest time for which a producer may ask to have a transaction open."),
    boolean("transaction.partition.verification.enable", "true").cluster_wide().used(
        "Whether a partition takes the first batch of a transaction only after its coordinator \
         was asked.",
    ),
    int("transaction.remove.expired.transaction.cleanup.interval.ms", "3600000")
        .at_least(1)
        .used("How often transactional ids that nobody uses are looked for."),
    int("transaction.state.log.load.buffer.size", "5242880").at_least(1),
    int("transaction.state.log.min.isr", "1").at_least(1),
    int("transaction.state.log.num.partitions", "50")
        .at_least(1)
        .used("How many partitions the topic that keeps transactions is made with."),
    short("transaction.state.log.replication.factor", "1").at_least(1),
    int("transaction.state.log.segment.bytes", "104857600")
        .at_least(1)
        .used("The segment size of the topic that keeps transactions."),
    boolean("transaction.two.phase.commit.enable", "false"),
    int("transactional.id.expiration.ms", "604800000")
        .at_least(1)
        .used("How long a transactional id that nobody uses is kept."),
];
