//! Every key there is, as tables, and how to find one.
//!
//! Names, types, defaults and bounds are those that Apache Kafka 4.3 shows in its answers to
//! DescribeConfigs, but for the keys that are ours and the defaults that are safer here.

mod cluster;
mod groups;
mod log;
mod network;
mod remote;
mod resources;
mod security;
mod topic;
mod transactions;

use klamm_utils::spelling;

use super::key::Key;

const CLEANUP: &[&str] = &["compact", "delete"];
const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const DURABILITY: &[&str] = &["synced", "interval", "os-cached"];
const TIMES: &[&str] = &["CreateTime", "LogAppendTime"];

const BROKER: &[&[Key]] = &[
    cluster::KEYS,
    groups::KEYS,
    log::KEYS,
    network::KEYS,
    remote::KEYS,
    security::KEYS,
    transactions::KEYS,
];

/// Every setting of a topic, by name.
#[must_use]
pub fn topic_keys() -> &'static [Key] {
    topic::KEYS
}

/// Every setting of a broker.
pub fn broker_keys() -> impl Iterator<Item = &'static Key> {
    BROKER.iter().copied().flatten()
}

/// The setting of a topic that has this name.
#[must_use]
pub fn topic_key(name: &str) -> Option<&'static Key> {
    find(topic::KEYS, name)
}

/// The setting of a broker that has this name.
#[must_use]
pub fn broker_key(name: &str) -> Option<&'static Key> {
    BROKER.iter().find_map(|table| find(table, name))
}

/// Every setting of a group, by name.
#[must_use]
pub fn group_keys() -> &'static [Key] {
    resources::GROUP_KEYS
}

/// The setting of a group that has this name.
#[must_use]
pub fn group_key(name: &str) -> Option<&'static Key> {
    find(resources::GROUP_KEYS, name)
}

/// Every setting of a subscription to the metrics of clients, by name.
#[must_use]
pub fn client_metrics_keys() -> &'static [Key] {
    resources::CLIENT_METRICS_KEYS
}

/// The setting of a subscription to the metrics of clients that has this name.
#[must_use]
pub fn client_metrics_key(name: &str) -> Option<&'static Key> {
    find(resources::CLIENT_METRICS_KEYS, name)
}

/// The broker key whose name differs from this one by the fewest edits, if they are few.
#[must_use]
pub fn nearest_broker_key(name: &str) -> Option<&'static str> {
    spelling::nearest(broker_keys().map(|key| key.name), name)
}

fn find(table: &'static [Key], name: &str) -> Option<&'static Key> {
    table.binary_search_by(|key| key.name.cmp(name)).ok().and_then(|index| table.get(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_names_are_unique() {
        let others = [&topic::KEYS, &resources::GROUP_KEYS, &resources::CLIENT_METRICS_KEYS];
        for table in BROKER.iter().chain(others) {
            assert!(table.is_sorted_by(|one, two| one.name < two.name));
        }
        let mut names: Vec<_> = broker_keys().map(|key| key.name).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|one, two| one < two));
    }

    #[test]
    fn defaults_are_valid() {
        let others = topic_keys().iter().chain(group_keys()).chain(client_metrics_keys());
        for key in broker_keys().chain(others) {
            if let Some(default) = key.default {
                assert_eq!(key.validate(default), Ok(()), "{}", key.name);
            }
        }
    }

    #[test]
    fn the_sources_of_other_keys_are_broker_keys() {
        for key in topic_keys().iter().chain(group_keys()) {
            for (source, _) in key.sources {
                assert!(broker_key(source).is_some(), "{source}");
            }
        }
    }

    #[test]
    fn a_misspelt_key_finds_its_like() {
        assert_eq!(nearest_broker_key("num.partition"), Some("num.partitions"));
        assert_eq!(nearest_broker_key("log.retention.minuets"), Some("log.retention.minutes"));
        assert_eq!(nearest_broker_key("zookeeper.connect"), None);
    }
}
