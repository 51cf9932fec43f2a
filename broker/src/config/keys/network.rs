//! Broker keys about listeners, connections and requests.
//!
//! Kafka lets listeners be changed while a broker runs; here they are fixed.

use crate::config::key::{Key, Kind, boolean, int, list, long, string, unset};

/// The rows, by name.
pub(super) const KEYS: &[Key] = &[
    unset("advertised.listeners", Kind::List)
        .used("Addresses that clients are told; the one they reached where not set."),
    boolean("allow.insecure.listeners", "false")
        .used("Must be true for a listener without TLS that others than this machine can reach."),
    long("connections.max.idle.ms", "600000")
        .used("How long a connection may be silent before it is closed; -1 never closes it."),
    unset("early.start.listeners", Kind::List),
    int("fetch.max.bytes", "57671680")
        .at_least(1024)
        .used("The most a Fetch answer holds, whatever the client asks for."),
    string("http.listen", "127.0.0.1:8082")
        .used("Address of health checks and metrics; empty for none."),
    unset("inter.broker.listener.name", Kind::String),
    string(
        "listener.security.protocol.map",
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
    )
    .used("Security protocol of each listener name."),
    list("listeners", "PLAINTEXT://localhost:9092")
        .used("Addresses that clients connect to, as `PLAINTEXT://host:port`, between commas."),
    int("max.connection.creation.rate", "2147483647").at_least(0).cluster_wide(),
    int("max.connections", "10000")
        .at_least(0)
        .cluster_wide()
        .used("Connections at most, from all addresses together; eight more from the machine itself."),
    int("max.connections.per.ip", "1000")
        .at_least(0)
        .cluster_wide()
        .used("Connections at most from one address."),
    string("max.connections.per.ip.overrides", "")
        .cluster_wide()
        .used("Exceptions to `max.connections.per.ip`, as `address:count,...`."),
    int("max.in.flight.requests.per.connection", "256")
        .between(1, 1_000)
        .used("Requests of one connection worked on at the same time; more wait in the socket."),
    int("max.incremental.fetch.session.cache.slots", "1000")
        .at_least(0)
        .used("Fetch sessions kept at most."),
    int("max.request.partition.size.limit", "2000")
        .at_least(1)
        .used("The most partitions in one answer of DescribeTopicPartitions."),
    int("num.io.threads", "8").at_least(1).cluster_wide(),
    int("num.network.threads", "3").at_least(1).cluster_wide(),
    long("queued.max.request.bytes", "268435456")
        .used("Memory that all requests of more than 4 KiB may take; -1 sets no limit."),
    int("queued.max.requests", "500").at_least(1),
    long("request.receive.timeout.ms", "30000")
        .at_least(1)
        .used("How long a request that has begun may take to arrive."),
    int("request.timeout.ms", "30000"),
    long("socket.connection.setup.timeout.max.ms", "30000"),
    long("socket.connection.setup.timeout.ms", "10000"),
    int("socket.listen.backlog.size", "50")
        .at_least(1)
        .used("Connections that may wait to be accepted."),
    int("socket.receive.buffer.bytes", "-1")
        .between_or(1, i32::MAX as i64, -1)
        .used("Receive buffer of clients' connections, of which the system may give less; -1 has it size them as needed."),
    int("socket.request.max.bytes", "104857600").at_least(1).used("The largest request taken."),
    int("socket.send.buffer.bytes", "-1")
        .between_or(1, i32::MAX as i64, -1)
        .used("Send buffer of clients' connections, of which the system may give less; -1 has it size them as needed, and clients on this machine have 256 KiB."),
];
