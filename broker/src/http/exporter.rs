//! What is read off the partitions when somebody asks, under the names of `kafka_exporter` and of
//! Kafka's JMX exporter.

use std::fmt::Write as _;

use crate::node::Node;
use crate::partition::Partition;

/// Partitions that are listed one by one; beyond that, only the sums: a scrape must stay small.
const PARTITIONS_MAX: usize = 20_000;

/// One gauge with its lines.
pub(super) struct Gauge {
    pub(super) text: String,
    name: &'static str,
}

impl Gauge {
    pub(super) fn new(name: &'static str, help: &str) -> Self {
        Self { text: format!("# HELP {name} {help}.\n# TYPE {name} gauge\n"), name }
    }

    pub(super) fn line(&mut self, labels: &str, value: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{}{labels} {value}", self.name);
    }
}

fn single(name: &'static str, help: &str, value: impl std::fmt::Display) -> String {
    let mut gauge = Gauge::new(name, help);
    gauge.line("", value);
    gauge.text
}

/// As [`single`], of what only grows.
fn counter(name: &str, help: &str, value: u64) -> String {
    format!("# HELP {name} {help}.\n# TYPE {name} counter\n{name}_total {value}\n")
}

pub(super) fn text(node: &Node) -> String {
    let topics = node.topics.all();
    let count: usize = topics.iter().map(|topic| topic.partitions().len()).sum();
    let sessions = node.fetch_sessions.counts();
    let mut parts = vec![
        single("kafka_brokers", "Brokers of the cluster", 1),
        single("kafka_server_replicamanager_partitioncount", "Partitions on this broker", count),
        single("kafka_server_replicamanager_leadercount", "Partitions led by this broker", count),
        single(
            "kafka_server_replicamanager_underreplicatedpartitions",
            "Partitions that miss a replica",
            0,
        ),
        single(
            "kafka_controller_kafkacontroller_activecontrollercount",
            "Whether this broker is the controller",
            1,
        ),
        single(
            "kafka_controller_kafkacontroller_offlinepartitionscount",
            "Partitions that nobody leads",
            0,
        ),
        single(
            "kafka_server_socket_server_metrics_connection_count",
            "Open connections",
            node.connections.open(),
        ),
        single(
            "kafka_server_fetchsessioncache_numincrementalfetchsessions",
            "Open fetch sessions",
            sessions.sessions,
        ),
        single(
            "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached",
            "Partitions that open fetch sessions follow",
            sessions.partitions,
        ),
        single(
            "klamm_partitions_read_only",
            "Partitions that take no records since an error of the disk",
            node.read_only().len(),
        ),
        counter(
            "kafka_server_fetchsessioncache_incrementalfetchsessionevictions",
            "Fetch sessions that yielded to others",
            sessions.evicted,
        ),
    ];
    let mut partitions = Gauge::new("kafka_topic_partitions", "Partitions of a topic");
    let mut newest =
        Gauge::new("kafka_topic_partition_current_offset", "Newest offset of a partition");
    let mut oldest =
        Gauge::new("kafka_topic_partition_oldest_offset", "Oldest offset of a partition");
    let mut size = Gauge::new("kafka_log_log_size", "Bytes of a partition on disk");
    for topic in &topics {
        let name = escape(&topic.name);
        partitions.line(&format!("{{topic=\"{name}\"}}"), topic.partitions().len());
        if count > PARTITIONS_MAX {
            continue;
        }
        for partition in topic.partitions().iter() {
            let labels = labels(&name, partition);
            let offsets = partition.offsets();
            newest.line(&labels, offsets.high_watermark);
            oldest.line(&labels, offsets.start);
            size.line(&labels, partition.size_bytes());
        }
    }
    parts.extend([partitions, newest, oldest, size].map(|gauge| gauge.text));
    parts.concat()
}

fn labels(topic: &str, partition: &Partition) -> String {
    format!("{{topic=\"{topic}\",partition=\"{}\"}}", partition.index)
}

/// A text as it stands in a label. Topic names hold nothing that needs it.
pub(crate) fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
