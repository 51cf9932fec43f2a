//! The settings that hold for a broker, parsed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::records::Compression;

use super::address::{Address, Listener, ListenerError, listeners};
use super::group::validate_group_defaults;
use super::key::Effect;
use super::keys::broker_key;
use super::layers::{Layers, Values};
use super::topic::{TopicConfig, TopicOverrides};
use super::value::{ConfigError, boolean, elements};

/// Why a broker cannot run with its settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerConfigError {
    /// A value is not one that its key takes.
    #[error(transparent)]
    Value(#[from] ConfigError),
    /// A listener cannot be as it is described.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// An address is not of the form `host:port`.
    #[error("{key} needs host:port, not `{value}`")]
    Address {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// The exceptions to the limit by address are not `address:count,...`.
    #[error("max.connections.per.ip.overrides needs address:count, not `{0}`")]
    Exception(String),
    /// More than one folder, or none.
    #[error("exactly one folder can hold the data; log.dirs names `{0}`")]
    Folders(String),
}

/// What holds for the compaction of all topics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`.
    pub enabled: bool,
    /// `log.cleaner.backoff.ms`: how often it is looked what there is to compact.
    pub interval: Duration,
    /// `log.cleaner.dedupe.buffer.size`: the most memory that the keys of one pass may take.
    pub map_bytes_max: usize,
    /// `log.cleaner.io.max.bytes.per.second`: how much is read and written, over all logs; above
    /// zero.
    pub bytes_per_second: f64,
}

/// Limits on connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `max.connections`: from all addresses together.
    pub count_max: usize,
    /// `max.connections.per.ip`.
    pub per_ip_max: usize,
    /// `max.connections.per.ip.overrides`.
    pub per_ip_exceptions: BTreeMap<IpAddr, usize>,
    /// `connections.max.idle.ms`: how long one may be silent; `None`: for ever.
    pub idle_max: Option<Duration>,
    /// `request.receive.timeout.ms`: how long a request that has begun may take to arrive.
    pub receive_timeout: Duration,
    /// `max.in.flight.requests.per.connection`.
    pub in_flight_max: usize,
}

/// Sizes of requests and answers, and the memory for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// `socket.request.max.bytes`: the largest request.
    pub request_bytes_max: usize,
    /// `queued.max.request.bytes`: all requests of more than 4 KiB; `None` sets no limit.
    pub memory_bytes: Option<usize>,
    /// `fetch.max.bytes`: the largest Fetch answer.
    pub fetch_bytes_max: usize,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_sessions_max: usize,
    /// `max.request.partition.size.limit`.
    pub described_partitions_max: usize,
}

/// What holds for consumer groups and for the offsets that they commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`.
    pub session_min: Duration,
    /// `group.max.session.timeout.ms`.
    pub session_max: Duration,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_delay: Duration,
    /// `group.max.size`.
    pub size_max: usize,
    /// What holds for groups of the consumer protocol that set nothing themselves.
    pub consumer: ConsumerGroupConfig,
    /// `offset.metadata.max.bytes`.
    pub metadata_bytes_max: usize,
    /// `offsets.retention.minutes`.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_check_interval: Duration,
    /// `offsets.topic.num.partitions`.
    pub topic_partitions: i32,
    /// `offsets.topic.segment.bytes`.
    pub topic_segment_bytes: u32,
    /// `offsets.topic.compression.codec`.
    pub topic_compression: Compression,
}

/// What holds for a group of the consumer protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupConfig {
    /// `group.consumer.session.timeout.ms`.
    pub session_timeout: Duration,
    /// `group.consumer.heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `group.consumer.assignment.interval.ms`.
    pub assignment_interval: Duration,
    /// `group.consumer.max.size`.
    pub size_max: usize,
    /// `group.consumer.assignors`, the default first.
    pub assignors: Vec<String>,
    /// `group.consumer.migration.policy`.
    pub migration: Migration,
}

/// Which way groups may go from one protocol to the other while they have members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    /// Both ways.
    Bidirectional,
    /// To the consumer protocol.
    Upgrade,
    /// To the classic protocol.
    Downgrade,
    /// None.
    Disabled,
}

impl Migration {
    fn named(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "upgrade" => Self::Upgrade,
            "downgrade" => Self::Downgrade,
            "disabled" => Self::Disabled,
            _ => Self::Bidirectional,
        }
    }

    /// Whether a group may go on with the consumer protocol.
    #[must_use]
    pub fn allows_upgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    /// Whether a group may go back to the classic protocol.
    #[must_use]
    pub fn allows_downgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

impl ConsumerGroupConfig {
    /// What holds for a group on which this was set.
    #[must_use]
    pub fn with(&self, own: &Values) -> Self {
        let millis = |name: &str, inherited: Duration| {
            let set = own.get(name).and_then(|text| text.trim().parse().ok());
            set.map_or(inherited, Duration::from_millis)
        };
        Self {
            session_timeout: millis("consumer.session.timeout.ms", self.session_timeout),
            heartbeat_interval: millis("consumer.heartbeat.interval.ms", self.heartbeat_interval),
            assignment_interval: millis(
                "consumer.assignment.interval.ms",
                self.assignment_interval,
            ),
            ..self.clone()
        }
    }
}

/// What holds for transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`.
    pub timeout_max: Duration,
    /// `transactional.id.expiration.ms`.
    pub id_expiration: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub id_check_interval: Duration,
    /// `transaction.partition.verification.enable`.
    pub verifies_partitions: bool,
    /// `add.partitions.to.txn.retry.backoff.max.ms`: how long a write that begins a transaction
    /// waits for the end of the last one.
    pub inclusion_patience: Duration,
    /// `transaction.state.log.num.partitions`.
    pub topic_partitions: i32,
    /// `transaction.state.log.segment.bytes`.
    pub topic_segment_bytes: u32,
}

/// Options of the sockets of clients; `None` leaves the choice to the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// `socket.receive.buffer.bytes`.
    pub receive_buffer_bytes: Option<usize>,
    /// `socket.send.buffer.bytes`.
    pub send_buffer_bytes: Option<usize>,
    /// `socket.listen.backlog.size`.
    pub backlog: i32,
}

/// The settings that hold for a broker; parsed once, shared by reference.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: i32,
    /// `cluster.id`: what a new cluster is to be called; `None` makes an id up.
    pub cluster_id: Option<String>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `log.dirs`, or else `log.dir`: the folder of all data.
    pub data_dir: PathBuf,
    /// `listeners` and what belongs to them; at least one.
    pub listeners: Vec<Listener>,
    /// `http.listen`.
    pub http_listen: Option<Address>,
    /// Limits on connections.
    pub connections: ConnectionLimits,
    /// Limits on requests.
    pub requests: RequestLimits,
    /// Options of every socket.
    pub sockets: SocketOptions,
    /// Consumer groups.
    pub groups: GroupConfig,
    /// Transactions.
    pub transactions: TransactionConfig,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `log.cleaner.*`: how topics are compacted, besides what they set themselves.
    pub cleaner: CleanerConfig,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub metadata_snapshot_bytes: u64,
    /// `producer.id.expiration.ms`.
    pub producer_expiration: Duration,
    /// `shutdown.timeout.ms`.
    pub shutdown_timeout: Duration,
    /// What holds for a topic that sets nothing itself.
    pub topic_defaults: Arc<TopicConfig>,
    /// The values as text, and where they come from.
    pub layers: Layers,
}

impl BrokerConfig {
    /// The settings that these values make.
    ///
    /// # Errors
    /// The first value, in the order of the keys, that cannot be used.
    pub fn new(layers: Layers) -> Result<Self, BrokerConfigError> {
        check_values(&layers)?;
        validate_group_defaults(&layers)?;
        let read = Read(&layers);
        Ok(Self {
            node_id: read.number("node.id"),
            cluster_id: read.text("cluster.id"),
            rack: read.text("broker.rack"),
            data_dir: read.data_dir()?,
            listeners: listeners(&layers, read.boolean("allow.insecure.listeners"))?,
            http_listen: read.address("http.listen")?,
            connections: read.connections()?,
            requests: read.requests(),
            sockets: read.sockets(),
            groups: read.groups(),
            transactions: read.transactions(),
            auto_create_topics: read.boolean("auto.create.topics.enable"),
            delete_topics: read.boolean("delete.topic.enable"),
            default_partitions: read.number("num.partitions"),
            default_replication_factor: read.number("default.replication.factor"),
            retention_check_interval: read.millis("log.retention.check.interval.ms"),
            cleaner: CleanerConfig {
                enabled: read.boolean("log.cleaner.enable"),
                interval: read.millis("log.cleaner.backoff.ms"),
                map_bytes_max: read.number("log.cleaner.dedupe.buffer.size"),
                bytes_per_second: read.rate("log.cleaner.io.max.bytes.per.second"),
            },
            metadata_snapshot_bytes: read.number("metadata.log.max.record.bytes.between.snapshots"),
            producer_expiration: read.millis("producer.id.expiration.ms"),
            shutdown_timeout: read.millis("shutdown.timeout.ms"),
            topic_defaults: Arc::new(TopicConfig::of(&TopicOverrides::default(), &layers)),
            layers,
        })
    }

    /// The same broker with these values set while it runs: on itself, and on all brokers.
    ///
    /// What cannot be used counts as not set, and nothing else does, so that what was stored under
    /// other settings, or by an older version, never keeps a broker from running.
    #[must_use]
    pub fn with_dynamic(&self, broker: &Values, cluster: &Values) -> Self {
        self.try_with_dynamic(broker, cluster).unwrap_or_else(|_| self.with_each(broker, cluster))
    }

    /// The same, where not all of them can be used: one after the other.
    fn with_each(&self, broker: &Values, cluster: &Values) -> Self {
        let (mut config, mut taken) = (self.clone(), [Values::new(), Values::new()]);
        for (scope, values) in [broker, cluster].into_iter().enumerate() {
            for (name, value) in values {
                taken[scope].insert(name.clone(), value.clone());
                match self.try_with_dynamic(&taken[0], &taken[1]) {
                    Ok(with_it) => config = with_it,
                    Err(error) => {
                        tracing::error!(name, value, %error, "set at run time, and of no use now");
                        taken[scope].remove(name);
                    }
                }
            }
        }
        config
    }

    /// The same broker with these values set while it runs. A value that its key does not take
    /// counts as not set.
    ///
    /// # Errors
    /// The values that are left cannot be used with each other.
    pub fn try_with_dynamic(
        &self,
        broker: &Values,
        cluster: &Values,
    ) -> Result<Self, BrokerConfigError> {
        let taken = |values: &Values| {
            let is_taken = |(name, value): &(&String, &String)| {
                broker_key(name).is_none_or(|key| key.validate(value).is_ok())
            };
            let pairs = values.iter().filter(is_taken);
            pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let fixed = self.layers.fixed.clone();
        let layers =
            Layers { dynamic_broker: taken(broker), dynamic_cluster: taken(cluster), fixed };
        Self::new(layers)
    }
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self::new(Layers::default()).expect("the defaults of the tables can be used: see the tests")
    }
}

/// Checks every known value against its row.
fn check_values(layers: &Layers) -> Result<(), ConfigError> {
    let all = [&layers.fixed, &layers.dynamic_cluster, &layers.dynamic_broker];
    all.into_iter().flatten().try_for_each(|(name, value)| match broker_key(name) {
        Some(key) => key.validate(value),
        None => Ok(()),
    })
}

/// Values that [`check_values`] has found good.
struct Read<'a>(&'a Layers);

impl Read<'_> {
    /// The value of a key, whose row must not say that it has no effect.
    fn value(&self, name: &str) -> Option<&str> {
        debug_assert!(
            broker_key(name).is_some_and(|key| key.effect == Effect::Used),
            "{name} is read"
        );
        self.0.get(name)
    }

    /// The text that holds; `None` where there is none or it is empty.
    fn text(&self, name: &str) -> Option<String> {
        let text = self.value(name)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A number; zero only if the key is no number or has no default, which the tests exclude.
    fn number<T: FromStr + Default>(&self, name: &str) -> T {
        self.value(name).and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    }

    /// A number of which a negative one means none.
    fn limit(&self, name: &str) -> Option<usize> {
        usize::try_from(self.number::<i64>(name)).ok()
    }

    /// A rate, of which one that is not above zero means no limit.
    fn rate(&self, name: &str) -> f64 {
        let rate: f64 = self.number(name);
        if rate > 0.0 { rate } else { f64::MAX }
    }

    fn boolean(&self, name: &str) -> bool {
        self.value(name).is_some_and(|text| boolean(name, text).unwrap_or_default())
    }

    fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(self.number::<i64>(name).max(0).unsigned_abs())
    }

    fn data_dir(&self) -> Result<PathBuf, BrokerConfigError> {
        let text = self.text("log.dirs").or_else(|| self.text("log.dir")).unwrap_or_default();
        let folders: Vec<_> = elements(&text).collect();
        match folders.as_slice() {
            [folder] => Ok(folder.into()),
            _ => Err(BrokerConfigError::Folders(text)),
        }
    }

    fn address(&self, key: &'static str) -> Result<Option<Address>, BrokerConfigError> {
        let Some(value) = self.text(key) else { return Ok(None) };
        match Address::parse(&value) {
            Some(address) => Ok(Some(address)),
            None => Err(BrokerConfigError::Address { key, value }),
        }
    }

    fn connections(&self) -> Result<ConnectionLimits, BrokerConfigError> {
        let text = self.text("max.connections.per.ip.overrides").unwrap_or_default();
        let exceptions = elements(&text).map(|exception| {
            let pair = exception.rsplit_once(':').and_then(|(ip, count)| {
                let ip = ip.trim_matches(['[', ']']).parse().ok()?;
                Some((ip, count.trim().parse().ok()?))
            });
            pair.ok_or_else(|| BrokerConfigError::Exception(exception.to_owned()))
        });
        Ok(ConnectionLimits {
            count_max: self.number("max.connections"),
            per_ip_max: self.number("max.connections.per.ip"),
            per_ip_exceptions: exceptions.collect::<Result<_, _>>()?,
            idle_max: self
                .limit("connections.max.idle.ms")
                .map(|ms| Duration::from_millis(ms as u64)),
            receive_timeout: self.millis("request.receive.timeout.ms"),
            in_flight_max: self.number("max.in.flight.requests.per.connection"),
        })
    }

    fn requests(&self) -> RequestLimits {
        RequestLimits {
            request_bytes_max: self.number("socket.request.max.bytes"),
            memory_bytes: self.limit("queued.max.request.bytes"),
            fetch_bytes_max: self.number("fetch.max.bytes"),
            fetch_sessions_max: self.number("max.incremental.fetch.session.cache.slots"),
            described_partitions_max: self.number("max.request.partition.size.limit"),
        }
    }

    fn groups(&self) -> GroupConfig {
        let codec = Compression::from_id(self.number("offsets.topic.compression.codec"));
        GroupConfig {
            session_min: self.millis("group.min.session.timeout.ms"),
            session_max: self.millis("group.max.session.timeout.ms"),
            initial_delay: self.millis("group.initial.rebalance.delay.ms"),
            size_max: self.number("group.max.size"),
            consumer: ConsumerGroupConfig {
                session_timeout: self.millis("group.consumer.session.timeout.ms"),
                heartbeat_interval: self.millis("group.consumer.heartbeat.interval.ms"),
                assignment_interval: self.millis("group.consumer.assignment.interval.ms"),
                size_max: self.number("group.consumer.max.size"),
                assignors: self
                    .text("group.consumer.assignors")
                    .map_or_else(Vec::new, |text| elements(&text).map(String::from).collect()),
                migration: Migration::named(
                    &self.text("group.consumer.migration.policy").unwrap_or_default(),
                ),
            },
            metadata_bytes_max: self.limit("offset.metadata.max.bytes").unwrap_or_default(),
            offsets_retention: self.minutes("offsets.retention.minutes"),
            offsets_check_interval: self.millis("offsets.retention.check.interval.ms"),
            topic_partitions: self.number("offsets.topic.num.partitions"),
            topic_segment_bytes: self.number("offsets.topic.segment.bytes"),
            topic_compression: codec.unwrap_or_default(),
        }
    }

    fn transactions(&self) -> TransactionConfig {
        TransactionConfig {
            timeout_max: self.millis("transaction.max.timeout.ms"),
            id_expiration: self.millis("transactional.id.expiration.ms"),
            id_check_interval: self
                .millis("transaction.remove.expired.transaction.cleanup.interval.ms"),
            verifies_partitions: self.boolean("transaction.partition.verification.enable"),
            inclusion_patience: self.millis("add.partitions.to.txn.retry.backoff.max.ms"),
            topic_partitions: self.number("transaction.state.log.num.partitions"),
            topic_segment_bytes: self.number("transaction.state.log.segment.bytes"),
        }
    }

    fn minutes(&self, name: &str) -> Duration {
        Duration::from_secs(self.number::<i64>(name).max(0).unsigned_abs().saturating_mul(60))
    }

    fn sockets(&self) -> SocketOptions {
        SocketOptions {
            receive_buffer_bytes: self.limit("socket.receive.buffer.bytes"),
            send_buffer_bytes: self.limit("socket.send.buffer.bytes"),
            backlog: self.number("socket.listen.backlog.size"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<BrokerConfig, BrokerConfigError> {
        let fixed = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        BrokerConfig::new(Layers { fixed, ..Layers::default() })
    }

    #[test]
    fn defaults_are_those_of_the_tables() {
        let config = of(&[]).unwrap();
        assert_eq!((config.node_id, config.default_partitions), (1, 1));
        assert_eq!(config.data_dir, PathBuf::from("./klamm-data"));
        assert_eq!(config.http_listen, Address::parse("127.0.0.1:8082"));
        assert_eq!((config.connections.count_max, config.connections.per_ip_max), (10_000, 1_000));
        assert_eq!(config.connections.idle_max, Some(Duration::from_secs(600)));
        assert_eq!(config.requests.request_bytes_max, 100 << 20);
        assert_eq!(config.requests.memory_bytes, Some(256 << 20));
        assert_eq!(config.sockets.backlog, 50);
        assert!(config.auto_create_topics && config.delete_topics);
        assert_eq!((&config.cluster_id, &config.rack), (&None, &None));
        assert_eq!(BrokerConfig::default(), config);
    }

    #[test]
    fn connections_may_be_silent_for_ever() {
        let config = of(&[("connections.max.idle.ms", "-1")]).unwrap();
        assert_eq!(config.connections.idle_max, None);
    }

    /// Zero, and what is no number, meant one byte a second: compaction came to an end.
    #[test]
    fn what_cannot_be_a_rate_is_no_limit() {
        let rate = |value| {
            let config = of(&[("log.cleaner.io.max.bytes.per.second", value)]).unwrap();
            config.cleaner.bytes_per_second
        };
        assert_eq!([rate("0.5"), rate("1e6")], [0.5, 1e6]);
        for value in ["0", "-0.0", "-1", "NaN", "-Infinity"] {
            assert_eq!(rate(value), f64::MAX, "{value}");
        }
    }

    #[test]
    fn every_used_key_is_read() {
        let limits = of(&[
            ("max.connections.per.ip.overrides", "127.0.0.1:7, [::1]:8"),
            ("queued.max.request.bytes", "-1"),
            ("http.listen", ""),
            ("log.dirs", " /data "),
        ])
        .unwrap();
        let exceptions: Vec<_> = limits.connections.per_ip_exceptions.values().copied().collect();
        assert_eq!(exceptions, [7, 8]);
        assert_eq!((limits.requests.memory_bytes, limits.http_listen), (None, None));
        assert_eq!(limits.data_dir, PathBuf::from("/data"));
    }

    #[test]
    fn bad_values_are_named() {
        let check = |name: &str, value: &str, answer: &str| {
            assert_eq!(of(&[(name, value)]).unwrap_err().to_string(), answer);
        };
        check(
            "num.partitions",
            "0",
            "Invalid value 0 for configuration num.partitions: Value must be at least 1",
        );
        check(
            "log.cleaner.dedupe.buffer.size",
            "1048575",
            "Invalid value 1048575 for configuration log.cleaner.dedupe.buffer.size: Value must be \
             at least 1048576",
        );
        check("http.listen", "8082", "http.listen needs host:port, not `8082`");
        assert!(of(&[("group.consumer.migration.policy", "Upgrade")]).is_ok());
        check(
            "group.consumer.migration.policy",
            "upgrad",
            "Invalid value upgrad for configuration group.consumer.migration.policy: String must \
             be one of (case insensitive): bidirectional, downgrade, disabled, upgrade",
        );
        check(
            "group.consumer.session.timeout.ms",
            "10000",
            "group.consumer.session.timeout.ms must be greater than or equal to \
             group.consumer.min.session.timeout.ms",
        );
        check(
            "group.consumer.heartbeat.interval.ms",
            "45000",
            "group.consumer.heartbeat.interval.ms must be less than or equal to \
             group.consumer.max.heartbeat.interval.ms",
        );
        check(
            "group.consumer.assignors",
            "rnage",
            "Invalid value rnage for configuration group.consumer.assignors: String must be one \
             of: uniform, range",
        );
        check("log.dirs", "/a,/b", "exactly one folder can hold the data; log.dirs names `/a,/b`");
        check(
            "max.connections.per.ip.overrides",
            "host:1",
            "max.connections.per.ip.overrides needs address:count, not `host:1`",
        );
    }

    #[test]
    fn values_set_at_run_time_hold_where_they_can() {
        let values = |name: &str, value: &str| Values::from([(name.to_owned(), value.to_owned())]);
        let started = of(&[("max.connections", "5")]).unwrap();
        let changed = started.with_dynamic(&values("max.connections", "6"), &Values::new());
        assert_eq!(changed.connections.count_max, 6);
        let kept = started.with_dynamic(&values("max.connections", "x"), &Values::new());
        assert_eq!(kept.connections.count_max, 5);
        let unusable = started.with_dynamic(&values("listeners", "x"), &Values::new());
        assert_eq!(unusable, started);
    }

    /// With it went all others, and so what was to be kept for ever was deleted after a week.
    #[test]
    fn a_value_that_is_of_no_use_any_more_leaves_the_others() {
        let cluster = [
            ("group.consumer.session.timeout.ms", "50000"),
            ("log.retention.ms", "-1"),
            ("max.connections", "6"),
        ];
        let cluster: Values =
            cluster.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let started = of(&[
            ("group.consumer.min.session.timeout.ms", "55000"),
            ("group.consumer.session.timeout.ms", "55000"),
        ]);
        let started = started.unwrap();
        assert!(started.try_with_dynamic(&Values::new(), &cluster).is_err());
        let config = started.with_dynamic(&Values::new(), &cluster);
        assert_eq!(config.connections.count_max, 6);
        assert_eq!(config.topic_defaults.log.retention_ms, None);
        assert_eq!(config.groups.consumer.session_timeout, Duration::from_secs(55));
    }
}
