//! What DescribeConfigs tells.

use klamm_storage::{Durability, LogOptions};

use super::broker::BrokerConfig;
use super::key::{Dynamic, Key, Kind};
use super::keys::{broker_key, broker_keys, client_metrics_keys, group_keys, topic_keys};
use super::layers::{Layers, Source, Synonym, Values, alternatives};
use super::topic::TopicOverrides;

/// One setting, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its key.
    pub name: String,
    /// What holds; `None` where nothing does or it must not be shown.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// The type; `None` for a key that is not known.
    pub kind: Option<Kind>,
    /// Whether the value is never shown.
    pub is_sensitive: bool,
    /// Whether it is fixed while the broker runs.
    pub read_only: bool,
    /// The value that holds and those that would without it, the strongest first.
    pub synonyms: Vec<Synonym>,
    /// What it does; `None` for a key that is not known.
    pub documentation: Option<&'static str>,
}

/// Every setting of a topic.
#[must_use]
pub fn describe_topic(overrides: &TopicOverrides, broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let layers = &broker.layers;
    let own = overrides.values();
    let entries = topic_keys().iter().map(|key| own_entry(key, own, Source::Topic, layers));
    let mut entries = entries.collect::<Vec<_>>();
    tell_durability(&mut entries, &overrides.effective(broker).log, ["flush.messages", "flush.ms"]);
    entries
}

/// Kafka's settings of flushes say what an acknowledgement promises where `durability` does not:
/// then what is in force is told, and which of them it comes from.
fn tell_durability(entries: &mut [ConfigEntry], log: &LogOptions, flush: [&str; 2]) {
    let [messages, ms] = flush.map(|name| {
        let entry = entries.iter().find(|entry| entry.name == name);
        entry.and_then(|entry| entry.synonyms.first()).cloned()
    });
    let is_set = |synonym: &Synonym| synonym.source != Source::Default;
    let (messages, ms) = (messages.filter(is_set), ms.filter(is_set));
    let (durability, by) = match log.durability {
        Durability::Synced => ("synced", messages),
        Durability::Interval => ("interval", ms.clone().or(messages)),
        Durability::OsCached => ("os-cached", None),
    };
    let window = (log.window.as_millis().to_string(), ms);
    let told = [("durability", (durability.to_owned(), by)), ("durability.window.ms", window)];
    for (name, (value, by)) in told {
        let entry = entries.iter_mut().find(|entry| entry.name == name);
        let other = entry.filter(|entry| entry.value.as_deref().map(str::trim) != Some(&value));
        if let (Some(entry), Some(by)) = (other, by) {
            entry.value = Some(value);
            entry.source = by.source;
            entry.synonyms.insert(0, by);
        }
    }
}

/// Every setting of a group, of which these were set on it.
#[must_use]
pub fn describe_group(own: &Values, broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let entry = |key: &Key| {
        let mut entry = own_entry(key, own, Source::Group, &broker.layers);
        // Kafka tells the defaults of its groups, and not those of its topics.
        if let (true, Some(default)) = (key.sources.is_empty(), key.default) {
            let (name, value) = (key.name.to_owned(), Some(default.to_owned()));
            entry.synonyms.push(Synonym { name, value, source: Source::Default });
        }
        entry
    };
    group_keys().iter().map(entry).collect()
}

/// Every setting of a subscription to the metrics of clients, of which these were set on it.
#[must_use]
pub fn describe_client_metrics(own: &Values) -> Vec<ConfigEntry> {
    let layers = Layers::default();
    let entry = |key| own_entry(key, own, Source::ClientMetrics, &layers);
    client_metrics_keys().iter().map(entry).collect()
}

/// The level of the logger from which all others have theirs; fixed while the broker runs.
#[must_use]
pub fn describe_logger(level: &str) -> ConfigEntry {
    ConfigEntry {
        name: "root".to_owned(),
        value: Some(level.to_owned()),
        source: Source::Logger,
        kind: None,
        is_sensitive: false,
        read_only: true,
        synonyms: Vec::new(),
        documentation: Some(""),
    }
}

/// Every setting of this broker, and what was set on it that is not known.
#[must_use]
pub fn describe_broker(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let layers = &broker.layers;
    let Layers { dynamic_broker, dynamic_cluster, fixed } = layers;
    let mut unknown: Vec<_> = [dynamic_broker, dynamic_cluster, fixed]
        .into_iter()
        .flat_map(Values::keys)
        .filter(|name| broker_key(name).is_none())
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    let known = broker_keys().map(|key| broker_entry(key, layers));
    let unknown = unknown.into_iter().map(|name| unknown_entry(name, layers));
    let mut entries = known.chain(unknown).collect::<Vec<_>>();
    let flush = ["log.flush.interval.messages", "log.flush.interval.ms"];
    tell_durability(&mut entries, &TopicOverrides::default().effective(broker).log, flush);
    entries
}

/// What was set on all brokers together while they ran.
#[must_use]
pub fn describe_cluster(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let dynamic_cluster = broker.layers.dynamic_cluster.clone();
    let layers = Layers { dynamic_cluster, ..Layers::default() };
    let entry = |name: &String| match broker_key(name) {
        Some(key) => broker_entry(key, &layers),
        None => unknown_entry(name, &layers),
    };
    let mut entries: Vec<_> = layers.dynamic_cluster.keys().map(entry).collect();
    for entry in &mut entries {
        entry.synonyms.retain(|synonym| synonym.source == Source::DynamicCluster);
    }
    entries
}

/// A setting of something other than a broker, which may be set on it and else comes from the
/// broker.
fn own_entry(key: &Key, own: &Values, source: Source, layers: &Layers) -> ConfigEntry {
    let own = own.get(key.name);
    let synonym = |value: &String| {
        let (name, value) = (key.name.to_owned(), Some(value.clone()));
        Synonym { name, value, source }
    };
    let mut synonyms: Vec<_> = own.map(synonym).into_iter().collect();
    if let Some((nearest, _)) = key.sources.first() {
        synonyms.extend(layers.synonyms(nearest, &alternatives(nearest)));
    }
    let value = own.cloned().or_else(|| layers.inherited(key));
    ConfigEntry { read_only: false, ..entry(key, value, synonyms) }
}

fn broker_entry(key: &Key, layers: &Layers) -> ConfigEntry {
    let synonyms = layers.synonyms(key.name, &alternatives(key.name));
    let value = layers.get(key.name).filter(|_| !key.is_sensitive()).map(str::to_owned);
    entry(key, value, synonyms)
}

fn entry(key: &Key, value: Option<String>, synonyms: Vec<Synonym>) -> ConfigEntry {
    ConfigEntry {
        name: key.name.to_owned(),
        value: value.map(|value| key.shown(&value)),
        source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
        kind: Some(key.kind),
        is_sensitive: key.is_sensitive(),
        read_only: key.dynamic == Dynamic::ReadOnly,
        synonyms,
        documentation: Some(key.documentation),
    }
}

fn unknown_entry(name: &str, layers: &Layers) -> ConfigEntry {
    let synonyms = layers.synonyms(name, &[name]);
    ConfigEntry {
        name: name.to_owned(),
        value: None,
        source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
        kind: None,
        is_sensitive: true,
        read_only: true,
        synonyms,
        documentation: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Write as _;

    use super::*;

    fn broker(fixed: &[(&str, &str)]) -> BrokerConfig {
        let fixed = fixed.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        BrokerConfig::new(Layers { fixed, ..Layers::default() }).unwrap()
    }

    /// An entry as a line of the files of facts: name, value, type, source, whether it is
    /// read-only and sensitive, synonyms; parted by tabs.
    fn line(entry: &ConfigEntry) -> String {
        let source = |source| match source {
            Source::Topic => "TOPIC_CONFIG",
            Source::Group => "GROUP_CONFIG",
            Source::ClientMetrics => "CLIENT_METRICS_CONFIG",
            Source::Logger => "DYNAMIC_BROKER_LOGGER_CONFIG",
            Source::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
            Source::DynamicCluster => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            Source::Static => "STATIC_BROKER_CONFIG",
            Source::Default => "DEFAULT_CONFIG",
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "\\N".into());
        let mut synonyms = String::new();
        for synonym in &entry.synonyms {
            let (name, value) = (&synonym.name, text(&synonym.value));
            write!(synonyms, "{name}={value}@{};", source(synonym.source)).unwrap();
        }
        [
            entry.name.as_str(),
            &text(&entry.value),
            entry.kind.unwrap().name(),
            source(entry.source),
            if entry.read_only { "ro" } else { "rw" },
            if entry.is_sensitive { "s" } else { "-" },
            &synonyms,
        ]
        .join("\t")
    }

    /// Compares with the answer of Kafka 4.3; `ours` are the keys that differ, by name.
    fn check(entries: &[ConfigEntry], facts: &str, ours: &[&str]) {
        let by_name = |line: &str| (line.split('\t').next().unwrap().to_owned(), line.to_owned());
        let facts: BTreeMap<_, _> = facts.lines().map(by_name).collect();
        let told: BTreeMap<_, _> = entries.iter().map(|entry| by_name(&line(entry))).collect();
        let names: BTreeSet<_> = facts.keys().chain(told.keys()).collect();
        let differing: Vec<_> =
            names.into_iter().filter(|name| facts.get(*name) != told.get(*name)).collect();
        assert_eq!(differing, ours);
    }

    #[test]
    fn a_fresh_topic_is_described_as_by_kafka() {
        let entries = describe_topic(&TopicOverrides::default(), &broker(&[]));
        let facts = include_str!("../../tests/data/kafka-4.3-topic-configs.tsv");
        let ours = ["durability", "durability.window.bytes", "durability.window.ms"];
        check(&entries, facts, &ours);
    }

    #[test]
    fn a_broker_is_described_as_by_kafka() {
        let fixed = [
            ("node.id", "1"),
            ("broker.id", "1"),
            ("process.roles", "broker,controller"),
            ("controller.quorum.voters", "1@localhost:29793"),
            ("listeners", "PLAINTEXT://localhost:29792,CONTROLLER://localhost:29793"),
            ("controller.listener.names", "CONTROLLER"),
            ("log.dirs", "/data"),
            ("offsets.topic.replication.factor", "1"),
        ];
        let entries = describe_broker(&broker(&fixed));
        let facts = include_str!("../../tests/data/kafka-4.3-broker-configs.tsv");
        check(&entries, facts, &OURS);
    }

    /// Keys of ours, and those whose defaults are safer or fit a single broker.
    const OURS: [&str; 25] = [
        "allow.insecure.listeners",
        "broker.id",
        "cluster.id",
        "durability",
        "durability.window.bytes",
        "durability.window.ms",
        "http.listen",
        "listener.security.protocol.map",
        "listeners",
        "log.dir",
        "max.connections",
        "max.connections.per.ip",
        "max.in.flight.requests.per.connection",
        "node.id",
        "offsets.topic.replication.factor",
        "process.roles",
        "queued.max.request.bytes",
        "request.receive.timeout.ms",
        "share.coordinator.state.topic.min.isr",
        "share.coordinator.state.topic.replication.factor",
        "shutdown.timeout.ms",
        "socket.receive.buffer.bytes",
        "socket.send.buffer.bytes",
        "transaction.state.log.min.isr",
        "transaction.state.log.replication.factor",
    ];

    #[test]
    fn what_is_set_on_a_topic_comes_first() {
        let overrides = [("retention.ms", "100")].into_iter().collect();
        let entries = describe_topic(&overrides, &broker(&[("log.retention.ms", "5")]));
        let retention = entries.iter().find(|entry| entry.name == "retention.ms").unwrap();
        assert_eq!(
            line(retention),
            "retention.ms\t100\tLONG\tTOPIC_CONFIG\trw\t-\tretention.ms=100@TOPIC_CONFIG;\
             log.retention.ms=5@STATIC_BROKER_CONFIG;log.retention.hours=168@DEFAULT_CONFIG;"
        );
    }

    /// It was told as `synced`, though acknowledgements did not wait for the disk.
    #[test]
    fn what_flush_settings_make_of_durability_is_told() {
        let told = |entries: &[ConfigEntry], name: &str| {
            line(entries.iter().find(|entry| entry.name == name).unwrap())
        };
        let overrides = [("flush.ms", "60000")].into_iter().collect();
        let entries = describe_topic(&overrides, &broker(&[]));
        assert_eq!(
            told(&entries, "durability"),
            "durability\tinterval\tSTRING\tTOPIC_CONFIG\trw\t-\t\
             flush.ms=60000@TOPIC_CONFIG;durability=synced@DEFAULT_CONFIG;"
        );
        assert_eq!(
            told(&entries, "durability.window.ms"),
            "durability.window.ms\t60000\tLONG\tTOPIC_CONFIG\trw\t-\t\
             flush.ms=60000@TOPIC_CONFIG;durability.window.ms=1000@DEFAULT_CONFIG;"
        );
        let broker = broker(&[("log.flush.interval.messages", "9")]);
        for entries in
            [describe_broker(&broker), describe_topic(&TopicOverrides::default(), &broker)]
        {
            assert_eq!(told(&entries, "durability").split('\t').nth(1), Some("interval"),);
            assert!(told(&entries, "durability.window.ms").contains("\t1000\t"));
        }
        // Who says it in our words means it.
        let overrides = [("flush.ms", "60000"), ("durability", "synced")].into_iter().collect();
        let entries = describe_topic(&overrides, &broker);
        assert!(told(&entries, "durability").contains("\tsynced\tSTRING\tTOPIC_CONFIG"));
    }

    #[test]
    fn a_group_is_told_with_what_the_broker_gives_it() {
        let own = Values::from([
            ("consumer.assignment.interval.ms".to_owned(), "3000".to_owned()),
            ("share.isolation.level".to_owned(), "read_committed".to_owned()),
        ]);
        let cluster =
            Values::from([("group.consumer.assignment.interval.ms".into(), "2000".into())]);
        let entries = describe_group(&own, &broker(&[]).with_dynamic(&Values::new(), &cluster));
        let told = |name| line(entries.iter().find(|entry| entry.name == name).unwrap());
        assert_eq!(
            told("consumer.assignment.interval.ms"),
            "consumer.assignment.interval.ms\t3000\tINT\tGROUP_CONFIG\trw\t-\t\
             consumer.assignment.interval.ms=3000@GROUP_CONFIG;\
             group.consumer.assignment.interval.ms=2000@DYNAMIC_DEFAULT_BROKER_CONFIG;\
             group.consumer.assignment.interval.ms=1000@DEFAULT_CONFIG;"
        );
        assert_eq!(
            told("share.isolation.level"),
            "share.isolation.level\tread_committed\tSTRING\tGROUP_CONFIG\trw\t-\t\
             share.isolation.level=read_committed@GROUP_CONFIG;\
             share.isolation.level=read_uncommitted@DEFAULT_CONFIG;"
        );
        assert_eq!(
            told("share.auto.offset.reset"),
            "share.auto.offset.reset\tlatest\tSTRING\tDEFAULT_CONFIG\trw\t-\t\
             share.auto.offset.reset=latest@DEFAULT_CONFIG;"
        );
    }

    #[test]
    fn a_subscription_is_told_without_defaults_beside() {
        let own = Values::from([("interval.ms".to_owned(), "5000".to_owned())]);
        let lines: Vec<_> = describe_client_metrics(&own).iter().map(line).collect();
        let source = "CLIENT_METRICS_CONFIG";
        assert_eq!(
            lines,
            [
                &format!("interval.ms\t5000\tINT\t{source}\trw\t-\tinterval.ms=5000@{source};"),
                "match\t\tLIST\tDEFAULT_CONFIG\trw\t-\t",
                "metrics\t\tLIST\tDEFAULT_CONFIG\trw\t-\t",
            ]
        );
    }

    #[test]
    fn secrets_and_unknown_keys_are_not_shown() {
        let entries = describe_broker(&broker(&[("ssl.key.password", "pw"), ("foo", "pw")]));
        for name in ["ssl.key.password", "foo"] {
            let entry = entries.iter().find(|entry| entry.name == name).unwrap();
            assert_eq!((entry.value.as_ref(), entry.is_sensitive), (None, true));
            assert!(entry.synonyms.iter().all(|synonym| synonym.value.is_none()));
        }
    }

    #[test]
    fn the_cluster_tells_what_was_set_on_it_and_no_more() {
        let cluster = Values::from([("log.retention.ms".to_owned(), "9".to_owned())]);
        let entries = describe_cluster(&broker(&[]).with_dynamic(&Values::new(), &cluster));
        let lines: Vec<_> = entries.iter().map(line).collect();
        let source = "DYNAMIC_DEFAULT_BROKER_CONFIG";
        let line =
            format!("log.retention.ms\t9\tLONG\t{source}\trw\t-\tlog.retention.ms=9@{source};");
        assert_eq!(lines, [line]);
    }
}
