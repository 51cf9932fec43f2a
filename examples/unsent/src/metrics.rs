//! What is counted.

use std::sync::atomic::AtomicI64;

use common::telemetry::{Component, Telemetry};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// The counters of a service. Clones are handles to the same.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    reads: Family<Store, Counter>,
    writes: Family<Store, Counter>,
    unsettled: Family<OfPartition, Gauge<i64, AtomicI64>>,
    /// Records that were worked on.
    pub(crate) records: Counter,
    /// Records that nobody could read.
    pub(crate) dead_letters: Counter,
    /// Whether the master answers.
    pub(crate) master: Component,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Store {
    store: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPartition {
    partition: i32,
}

impl Metrics {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let metrics = Self {
            reads: Family::default(),
            writes: Family::default(),
            unsettled: Family::default(),
            records: Counter::default(),
            dead_letters: Counter::default(),
            master: telemetry.uses("master"),
        };
        let Self { reads, writes, unsettled, records, dead_letters, .. } = metrics.clone();
        telemetry.register(|registry| {
            registry.register("unsent_reads", "Reads by the store that answered", reads);
            registry.register("unsent_writes", "Values written to a store", writes);
            let help = "Records that the master does not have yet";
            registry.register("unsent_unsettled_records", help, unsettled);
            registry.register("unsent_records", "Records worked on", records);
            registry.register("unsent_dead_letters", "Records nobody could read", dead_letters);
        });
        metrics
    }

    /// There was a read, and this store has answered it.
    pub(crate) fn read_from(&self, store: &'static str) {
        self.reads.get_or_create(&Store { store }).inc();
    }

    /// So many values were written to this store.
    pub(crate) fn wrote_to(&self, store: &'static str, values: usize) {
        self.writes.get_or_create(&Store { store }).inc_by(values as u64);
    }

    /// So many records of a partition are on the auxiliary only.
    pub(crate) fn unsettled(&self, partition: i32, records: usize) {
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        self.unsettled.get_or_create(&OfPartition { partition }).set(records);
    }

    /// How many reads this store has answered.
    pub(crate) fn reads(&self, store: &'static str) -> u64 {
        self.reads.get_or_create(&Store { store }).get()
    }
}
