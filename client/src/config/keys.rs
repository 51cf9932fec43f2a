//! Every setting of every client in one table: Kafka's names, librdkafka's aliases, defaults.
//!
//! One properties file serves producers and consumers alike, as it does elsewhere; so the table
//! holds the settings of both.

use std::marker::PhantomData;
use std::time::Duration;

use klamm_protocol::records::Compression;

use super::offset_reset::OffsetReset;
use super::secret::{self, Secret};
use super::security::{HostNameCheck, SaslMechanism, StoreType, TlsVersion};
use super::value::{
    Acks, Assignor, GroupProtocol, IsolationLevel, MetadataRecovery, Partitioner, SecurityProtocol,
    TimeLimit, Value,
};

/// A setting whose values are of type `T`.
#[derive(Debug)]
pub struct Key<T> {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// Kafka's name for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// A setting as text sees it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) default: &'static str,
    /// Whether values are never to be shown.
    pub(super) secret: bool,
    /// What they are, to be read after "expected", and the one form of a text that is one.
    values: (&'static str, fn(&str) -> Option<String>),
}

impl Row {
    /// What is expected, to be read after "expected".
    pub(super) fn expected(&self) -> &'static str {
        self.values.0
    }

    pub(super) fn accepts(&self, text: &str) -> bool {
        self.canonical(text).is_some()
    }

    /// The one form that a value has however it was written; none if it is no value.
    pub(super) fn canonical(&self, text: &str) -> Option<String> {
        (self.values.1)(text)
    }

    /// The form of a value that may be shown.
    pub(super) fn shown<'a>(&self, value: &'a str) -> &'a str {
        if self.secret && !value.is_empty() { secret::REDACTED } else { value }
    }
}

/// What is expected of a time that cannot be zero.
const MORE_THAN_ZERO: &str = "milliseconds, from 1 to 2147483647";

/// What a setting may be: all that its type has, or of that what is more than zero.
macro_rules! values {
    ($value:ty) => {
        (<$value as Value>::EXPECTED, |text| Some(<$value>::parse(text)?.print()))
    };
    ($value:ty, more_than_zero) => {
        (MORE_THAN_ZERO, |text| Some(<$value>::parse(text).filter(|time| !time.is_zero())?.print()))
    };
}

macro_rules! keys {
    ($(
        $(#[$doc:meta])*
        $key:ident: $value:ty, $name:literal $(| $alias:literal)*, $default:literal
            $(, $least:ident)?;
    )*) => {
        $(
            $(#[$doc])*
            pub const $key: Key<$value> =
                Key { name: $name, default: $default, value: PhantomData };
        )*

        pub(super) static ROWS: &[Row] = &[$(Row {
            name: $name,
            aliases: &[$($alias),*],
            default: $default,
            secret: <$value as Value>::SECRET,
            values: values!($value $(, $least)?),
        }),*];
    };
}

keys! {
    /// Brokers to ask first, as `host:port`.
    BOOTSTRAP_SERVERS: Vec<String>, "bootstrap.servers" | "metadata.broker.list", "";
    /// What the client calls itself; brokers log it and set quotas by it.
    CLIENT_ID: String, "client.id", "klamm";
    /// How long a broker may take to answer.
    REQUEST_TIMEOUT: Duration, "request.timeout.ms" | "socket.timeout.ms", "30000", more_than_zero;
    /// How long an admin call may take with all its retries.
    API_TIMEOUT: Duration, "default.api.timeout.ms", "60000";
    /// How long connecting to one address may take.
    CONNECT_TIMEOUT: Duration, "socket.connection.setup.timeout.ms", "10000", more_than_zero;
    /// Requests that wait for an answer on one connection; further callers wait their turn.
    MAX_IN_FLIGHT: usize,
        "max.in.flight.requests.per.connection" | "max.in.flight", "5";
    /// When cluster metadata is asked for again though nothing went wrong.
    METADATA_MAX_AGE: Duration,
        "metadata.max.age.ms" | "topic.metadata.refresh.interval.ms", "300000", more_than_zero;
    /// What a client does when it cannot reach any broker that it knows of.
    METADATA_RECOVERY_STRATEGY: MetadataRecovery, "metadata.recovery.strategy", "rebootstrap";
    /// How long a client asks the brokers that it knows of for metadata in vain before it forgets
    /// them.
    METADATA_RECOVERY_TRIGGER: Duration,
        "metadata.recovery.rebootstrap.trigger.ms", "300000";
    /// Whether asking for an unknown topic may create it, if the broker allows that.
    ALLOW_AUTO_CREATE: bool, "allow.auto.create.topics", "true";
    /// First pause before connecting again to a broker that failed.
    RECONNECT_BACKOFF: Duration, "reconnect.backoff.ms", "50";
    /// Longest pause before connecting again to a broker that failed.
    RECONNECT_BACKOFF_MAX: Duration, "reconnect.backoff.max.ms", "1000";
    /// First pause before trying again what failed.
    RETRY_BACKOFF: Duration, "retry.backoff.ms", "100", more_than_zero;
    /// Longest pause before trying again what failed.
    RETRY_BACKOFF_MAX: Duration, "retry.backoff.max.ms", "1000", more_than_zero;
    /// The largest answer that is believed.
    RECEIVE_MAX: usize, "receive.message.max.bytes", "104857600";

    /// How connections are protected.
    SECURITY_PROTOCOL: SecurityProtocol, "security.protocol", "plaintext";
    /// Whose certificates are trusted: a PEM file, or a folder of such; the system's authorities
    /// if not set.
    SSL_TRUSTSTORE_LOCATION: Option<String>, "ssl.truststore.location" | "ssl.ca.location", "";
    /// The same, as PEM text.
    SSL_TRUSTSTORE_CERTIFICATES: Option<String>,
        "ssl.truststore.certificates" | "ssl.ca.pem", "";
    /// What the file of trusted certificates is: only PEM is read.
    SSL_TRUSTSTORE_TYPE: StoreType, "ssl.truststore.type", "PEM";
    /// The client's key and certificate chain, in one PEM file.
    SSL_KEYSTORE_LOCATION: Option<String>, "ssl.keystore.location", "";
    /// What the file of key and certificates is: only PEM is read.
    SSL_KEYSTORE_TYPE: StoreType, "ssl.keystore.type", "PEM";
    /// The client's certificate chain, as a PEM file.
    SSL_CERTIFICATE_LOCATION: Option<String>, "ssl.certificate.location", "";
    /// The same, as PEM text.
    SSL_KEYSTORE_CERTIFICATE_CHAIN: Option<String>,
        "ssl.keystore.certificate.chain" | "ssl.certificate.pem", "";
    /// The client's key, as a PEM file.
    SSL_KEY_LOCATION: Option<String>, "ssl.key.location", "";
    /// The same, as PEM text.
    SSL_KEYSTORE_KEY: Option<Secret>, "ssl.keystore.key" | "ssl.key.pem", "";
    /// What the key is encrypted with: encrypted keys are not read.
    SSL_KEY_PASSWORD: Option<Secret>, "ssl.key.password", "";
    /// Whether the broker's certificate must be for the host that was connected to.
    SSL_ENDPOINT_IDENTIFICATION: HostNameCheck,
        "ssl.endpoint.identification.algorithm", "https";
    /// Whether the broker's certificate is looked at. Without that, anyone can be the broker.
    SSL_VERIFICATION: bool, "enable.ssl.certificate.verification", "true";
    /// The versions of TLS that may be spoken.
    SSL_ENABLED_PROTOCOLS: Vec<TlsVersion>, "ssl.enabled.protocols", "TLSv1.2,TLSv1.3";
    /// How the client proves who it is.
    SASL_MECHANISM: Option<SaslMechanism>, "sasl.mechanism" | "sasl.mechanisms", "";
    /// Who the client is, for PLAIN and SCRAM.
    SASL_USERNAME: Option<String>, "sasl.username", "";
    /// And by what it proves that.
    SASL_PASSWORD: Option<Secret>, "sasl.password", "";
    /// Whether the two are the id of a delegation token and its HMAC in Base64, with SCRAM. A setting
    /// of this client's own.
    SASL_DELEGATION_TOKEN: bool, "sasl.delegation.token", "false";
    /// All of that, and what unsecured tokens are made of, as Java's login modules have it.
    SASL_JAAS_CONFIG: Option<Secret>, "sasl.jaas.config", "";
    /// The token for OAUTHBEARER, where it does not change. A setting of this client's own.
    SASL_OAUTHBEARER_TOKEN: Option<Secret>, "sasl.oauthbearer.token", "";
    /// Where the token for OAUTHBEARER is: a `file:` URL, read anew whenever one is needed.
    SASL_OAUTHBEARER_TOKEN_ENDPOINT: Option<String>, "sasl.oauthbearer.token.endpoint.url", "";
    /// The longest that connecting to one address may take, once it has failed several times.
    CONNECT_TIMEOUT_MAX: Duration,
        "socket.connection.setup.timeout.max.ms", "30000", more_than_zero;
    /// When a connection that nobody uses is closed; -1 or 0 for never.
    CONNECTIONS_MAX_IDLE: TimeLimit, "connections.max.idle.ms", "540000";
    /// A SOCKS5 proxy through which all brokers are reached and their names resolved, as
    /// `host:port`. A setting of this client's own.
    SOCKS5_PROXY: Option<String>, "socks5.proxy", "";
    /// Who the client is to the proxy. A setting of this client's own.
    SOCKS5_USERNAME: Option<String>, "socks5.proxy.username", "";
    /// And by what it proves that. A setting of this client's own.
    SOCKS5_PASSWORD: Option<Secret>, "socks5.proxy.password", "";

    /// How many replicas must hold a batch before the broker answers.
    ACKS: Acks, "acks" | "request.required.acks", "all";
    /// Whether a retry can neither double nor reorder records.
    ENABLE_IDEMPOTENCE: bool, "enable.idempotence", "true";
    /// How often a batch is sent again; `delivery.timeout.ms` ends it sooner.
    RETRIES: usize, "retries" | "message.send.max.retries", "2147483647";
    /// How long a record may take from its acceptance to its acknowledgement.
    DELIVERY_TIMEOUT: Duration,
        "delivery.timeout.ms" | "message.timeout.ms", "120000";
    /// How long a batch waits for more records.
    LINGER: Duration, "linger.ms" | "queue.buffering.max.ms", "5";
    /// Bytes at which a batch is sent without waiting. Kafka's own default is 16384; four times
    /// that costs little memory and a third of the work per byte.
    BATCH_SIZE: usize, "batch.size", "65536";
    /// Bytes of records that wait to be acknowledged; further callers wait for room.
    BUFFER_MEMORY: usize, "buffer.memory", "33554432";
    /// How long a caller waits for room or for metadata.
    MAX_BLOCK: Duration, "max.block.ms", "60000";
    /// The largest produce request.
    MAX_REQUEST_SIZE: usize, "max.request.size" | "message.max.bytes", "1048576";
    /// How batches are compressed.
    COMPRESSION_TYPE: Compression, "compression.type" | "compression.codec", "none";
    /// How hard, as each codec counts it, whatever `compression.<type>.level` says; -1 for what
    /// that says. LZ4 has one encoder for
    /// all levels, and so has zstd unless the feature `zstd-c` is on.
    COMPRESSION_LEVEL: Option<i32>, "compression.level", "";
    /// How hard gzip tries, from 1 to 9; -1 for its default.
    COMPRESSION_GZIP_LEVEL: i32, "compression.gzip.level", "-1";
    /// Kafka's levels of LZ4 are accepted, and all the same.
    COMPRESSION_LZ4_LEVEL: i32, "compression.lz4.level", "9";
    /// How hard zstd tries, up to 22, where the feature `zstd-c` is on.
    COMPRESSION_ZSTD_LEVEL: i32, "compression.zstd.level", "3";
    /// How the partition of a record is chosen.
    PARTITIONER: Partitioner, "partitioner", "fnv1a_random";
    /// Whose transactions a producer's are: who comes later with the same id takes them over, and
    /// fences the other off.
    TRANSACTIONAL_ID: Option<String>, "transactional.id", "";
    /// How long a transaction may be open before its coordinator aborts it.
    TRANSACTION_TIMEOUT: Duration, "transaction.timeout.ms", "60000", more_than_zero;
    /// The newest protocol of transactions that is used where the cluster has it: 1 is that of
    /// KIP-98, 2 that of KIP-890. A setting of this client's own.
    TRANSACTION_VERSION_MAX: usize, "transaction.version.max", "2";

    /// The least that a broker gathers before it answers a fetch.
    FETCH_MIN: usize, "fetch.min.bytes", "1";
    /// The most that a broker puts into the answer of a fetch.
    FETCH_MAX: usize, "fetch.max.bytes", "52428800";
    /// How long a broker waits for the least.
    FETCH_MAX_WAIT: Duration, "fetch.max.wait.ms" | "fetch.wait.max.ms", "500";
    /// The most of one partition in the answer of a fetch, but never less than one batch.
    PARTITION_FETCH_MAX: usize,
        "max.partition.fetch.bytes" | "fetch.message.max.bytes", "1048576";
    /// Where to go on when a partition has no such offset.
    AUTO_OFFSET_RESET: OffsetReset, "auto.offset.reset", "latest";
    /// Whether records of unfinished and aborted transactions are seen.
    ISOLATION_LEVEL: IsolationLevel, "isolation.level", "read_uncommitted";
    /// Whether the checksum of each batch is compared.
    CHECK_CRCS: bool, "check.crcs", "true";
    /// Where the consumer stands, so that it can be given what lies near.
    CLIENT_RACK: Option<String>, "client.rack", "";

    /// The group that consumers share partitions in, and under which they commit.
    GROUP_ID: Option<String>, "group.id", "";
    /// Makes a member static: it may restart within its session without a rebalance.
    GROUP_INSTANCE_ID: Option<String>, "group.instance.id", "";
    /// The protocol of the group.
    GROUP_PROTOCOL: GroupProtocol, "group.protocol", "classic";
    /// How the broker is to assign in the consumer protocol; as it likes best if not set.
    GROUP_REMOTE_ASSIGNOR: Option<String>, "group.remote.assignor", "";
    /// How long a member may be silent before its partitions go to others.
    SESSION_TIMEOUT: Duration, "session.timeout.ms", "45000", more_than_zero;
    /// How often a member says that it is alive.
    HEARTBEAT_INTERVAL: Duration, "heartbeat.interval.ms", "3000", more_than_zero;
    /// How long an application may work on what it was given before its partitions go to others;
    /// so long, too, do the others wait for it when the group rebalances.
    MAX_POLL_INTERVAL: Duration, "max.poll.interval.ms", "300000", more_than_zero;
    /// The ways of assigning that a member knows, the best liked first.
    PARTITION_ASSIGNMENT_STRATEGY: Vec<Assignor>,
        "partition.assignment.strategy", "range,cooperative-sticky";
    /// Whether a consumer with a group commits what has been worked on by itself.
    ENABLE_AUTO_COMMIT: bool, "enable.auto.commit" | "auto.commit.enable", "true";
    /// How often it does.
    AUTO_COMMIT_INTERVAL: Duration, "auto.commit.interval.ms", "5000", more_than_zero;
}

/// The row of a name or alias.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name || row.aliases.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_key() {
        for row in ROWS {
            assert!(row.accepts(row.default), "{} = {:?}", row.name, row.default);
        }
    }
}
