//! What is counted.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use common::telemetry::Telemetry;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::Mode;

/// The counters of a pod. Clones are handles to the same.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    queued: Family<Queue, Gauge<i64, AtomicI64>>,
    redundant: Family<ByMode, Counter>,
    /// Sockets that are open.
    pub(super) sockets: Gauge<i64, AtomicI64>,
    /// Messages that were read from sockets.
    pub(super) received: Counter,
    /// Messages that were handed to sockets.
    pub(super) delivered: Counter,
    /// Messages that went to all pods because the registry was away.
    pub(super) fallbacks: Counter,
    /// Messages that were passed on because the receiver was elsewhere.
    pub(super) rerouted: Counter,
    /// Messages whose receivers were away.
    pub(super) unsent: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    queue: &'static str,
    worker: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByMode {
    mode: &'static str,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let new = Self {
            queued: Family::default(),
            redundant: Family::default(),
            sockets: Gauge::default(),
            received: Counter::default(),
            delivered: Counter::default(),
            fallbacks: Counter::default(),
            rerouted: Counter::default(),
            unsent: Counter::default(),
        };
        let all = Arc::new(new.clone());
        telemetry.register(|registry| {
            registry.register("dm_queue_depth", "What waits for workers", all.queued.clone());
            let help = "Messages that came to a pod which did not have the receiver";
            registry.register("dm_redundant", help, all.redundant.clone());
            registry.register("ws_connections", "Open sockets", all.sockets.clone());
            registry.register("dm_received", "Messages read from sockets", all.received.clone());
            registry.register("dm_delivered", "Messages handed to sockets", all.delivered.clone());
            let help = "Messages to all pods, for want of the registry";
            registry.register("dm_fallbacks", help, all.fallbacks.clone());
            registry.register("dm_rerouted", "Messages passed on", all.rerouted.clone());
            registry.register("dm_unsent", "Messages for who was away", all.unsent.clone());
        });
        new
    }

    /// A pod heard of a message for somebody who is not there.
    pub(super) fn was_redundant(&self, mode: Mode) {
        self.redundant.get_or_create(&ByMode { mode: mode.name() }).inc();
    }

    /// How often that was so.
    pub(super) fn redundant(&self, mode: Mode) -> u64 {
        self.redundant.get_or_create(&ByMode { mode: mode.name() }).get()
    }

    /// So much waits for one worker of a kind.
    pub(super) fn queued(&self, queue: &'static str, worker: usize, depth: usize) {
        let depth = i64::try_from(depth).unwrap_or(i64::MAX);
        self.queued.get_or_create(&Queue { queue, worker: worker as u64 }).set(depth);
    }
}
