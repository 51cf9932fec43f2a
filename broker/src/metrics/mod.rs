//! What the broker counts, one registry per broker, so that several can live in one process.
//!
//! Three families of names: those that dashboards for Kafka's JMX exporter know
//! (`kafka_server_…`), those of `kafka_exporter` (`kafka_topic_partition_…`, made when they are
//! asked for: see [`crate::http`]), and our own, precise ones (`klamm_…`).

mod times;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use klamm_protocol::api::ApiKey;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use times::RequestTimes;

type Count = Counter<u64, AtomicU64>;

/// Labels of what is counted by reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Labels of what is counted by topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TopicLabel {
    topic: String,
}

/// The counters of a broker.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    bytes_received: Count,
    bytes_sent: Count,
    request_times: RequestTimes,
    rejected: Family<ReasonLabel, Count>,
    hung_up: Count,
    rebalances: Count,
    topics: TopicFamilies,
}

#[derive(Debug, Default)]
struct TopicFamilies {
    messages_in: Family<TopicLabel, Count>,
    bytes_in: Family<TopicLabel, Count>,
    bytes_out: Family<TopicLabel, Count>,
    produce_requests: Family<TopicLabel, Count>,
    fetch_requests: Family<TopicLabel, Count>,
    failed_produce_requests: Family<TopicLabel, Count>,
    failed_fetch_requests: Family<TopicLabel, Count>,
}

/// The counters of one topic, held by it so that counting needs no look-up.
#[derive(Clone, Debug)]
pub(crate) struct TopicMetrics {
    pub(crate) messages_in: Count,
    pub(crate) bytes_in: Count,
    pub(crate) bytes_out: Count,
    pub(crate) produce_requests: Count,
    pub(crate) fetch_requests: Count,
    pub(crate) failed_produce_requests: Count,
    pub(crate) failed_fetch_requests: Count,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            bytes_received: Count::default(),
            bytes_sent: Count::default(),
            request_times: RequestTimes::new(),
            rejected: Family::default(),
            hung_up: Count::default(),
            rebalances: Count::default(),
            topics: TopicFamilies::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("klamm_received", "Bytes of requests", self.bytes_received.clone());
        registry.register("klamm_sent", "Bytes of answers", self.bytes_sent.clone());
        registry.register_with_unit(
            "klamm_request_duration",
            "From the arrival of a request to its answer on the socket",
            Unit::Seconds,
            self.request_times.clone(),
        );
        registry.register(
            "klamm_connections_rejected",
            "Connections that were not let in",
            self.rejected.clone(),
        );
        registry.register(
            "klamm_connections_hung_up",
            "Connections that were closed for what came over them",
            self.hung_up.clone(),
        );
        registry.register(
            "klamm_group_rebalances",
            "Rebalances of consumer groups that came to an end",
            self.rebalances.clone(),
        );
        for (name, help, family) in self.topics.all() {
            let name = format!("kafka_server_brokertopicmetrics_{name}");
            registry.register(name, help, family.clone());
        }
        self
    }

    pub(crate) fn count_received(&self, bytes: usize) {
        self.bytes_received.inc_by(bytes as u64);
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        self.bytes_sent.inc_by(bytes as u64);
    }

    /// Counts requests that took as long each.
    pub(crate) fn count_requests(&self, api: ApiKey, took: Duration, requests: usize) {
        self.request_times.count(api, took, requests);
    }

    pub(crate) fn count_rejected(&self, reason: &'static str) {
        self.rejected.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(crate) fn count_hung_up(&self) {
        self.hung_up.inc();
    }

    pub(crate) fn count_rebalances(&self, count: u64) {
        self.rebalances.inc_by(count);
    }

    /// The counters of a topic, which start with it.
    pub(crate) fn topic(&self, name: &str) -> TopicMetrics {
        let label = TopicLabel { topic: name.into() };
        let of = |family: &Family<TopicLabel, Count>| family.get_or_create_owned(&label);
        TopicMetrics {
            messages_in: of(&self.topics.messages_in),
            bytes_in: of(&self.topics.bytes_in),
            bytes_out: of(&self.topics.bytes_out),
            produce_requests: of(&self.topics.produce_requests),
            fetch_requests: of(&self.topics.fetch_requests),
            failed_produce_requests: of(&self.topics.failed_produce_requests),
            failed_fetch_requests: of(&self.topics.failed_fetch_requests),
        }
    }

    /// Forgets the counters of a topic that is gone.
    pub(crate) fn forget_topic(&self, name: &str) {
        let label = TopicLabel { topic: name.into() };
        for (_, _, family) in self.topics.all() {
            family.remove(&label);
        }
    }

    /// All counters in the text form of OpenMetrics, without its closing line.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text.truncate(text.trim_end_matches("# EOF\n").len());
        text
    }
}

impl TopicFamilies {
    fn all(&self) -> [(&'static str, &'static str, &Family<TopicLabel, Count>); 7] {
        [
            ("messagesin", "Records taken in", &self.messages_in),
            ("bytesin", "Bytes of record batches taken in", &self.bytes_in),
            ("bytesout", "Bytes of record batches given out", &self.bytes_out),
            ("totalproducerequests", "Produce requests", &self.produce_requests),
            ("totalfetchrequests", "Fetch requests", &self.fetch_requests),
            ("failedproducerequests", "Produce requests refused", &self.failed_produce_requests),
            ("failedfetchrequests", "Fetch requests refused", &self.failed_fetch_requests),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_counted_and_forgotten() {
        let metrics = Metrics::new();
        metrics.topic("orders").messages_in.inc_by(3);
        metrics.count_requests(ApiKey::Produce, Duration::from_millis(1), 1);
        let line = "kafka_server_brokertopicmetrics_messagesin_total{topic=\"orders\"} 3";
        assert!(metrics.text().contains(line), "{}", metrics.text());
        assert!(metrics.text().contains("klamm_request_duration_seconds_count{api=\"Produce\"} 1"));
        metrics.forget_topic("orders");
        assert!(!metrics.text().contains("orders"));
    }
}
