//! The broker's values, layer over layer, and where each comes from.

use std::collections::BTreeMap;

use super::key::{Key, Source as DefaultFrom, Valid};
use super::keys::{broker_key, topic_keys};

/// Texts by key.
pub type Values = BTreeMap<String, String>;

/// Where a value comes from. The lower, the stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Set on the topic.
    Topic,
    /// Set on the group.
    Group,
    /// Set on the subscription to the metrics of clients.
    ClientMetrics,
    /// The level of a logger.
    Logger,
    /// Set on this broker while it ran.
    DynamicBroker,
    /// Set on all brokers while they ran.
    DynamicCluster,
    /// Given to this broker when it was started.
    Static,
    /// Set by nobody.
    Default,
}

impl Source {
    /// The number that says it in a DescribeConfigs answer.
    #[must_use]
    pub fn id(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicCluster => 3,
            Self::Static => 4,
            Self::Default => 5,
            Self::Logger => 6,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

/// A value that would hold if no stronger one did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key; may be another than the one asked for.
    pub name: String,
    /// The value, `None` where it must not be shown.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// The values of a broker. Under the three layers lie the defaults of the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// Set on this broker while it ran.
    pub dynamic_broker: Values,
    /// Set on all brokers while they ran.
    pub dynamic_cluster: Values,
    /// Given to this broker when it was started.
    pub fixed: Values,
}

impl Layers {
    /// The value that holds; `None` where nobody set one and there is no default.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.sources().find_map(|(_, values)| values.get(name).map(String::as_str)).or_else(|| {
            let key = broker_key(name)?;
            key.default
        })
    }

    /// Whether somebody set a value, so that it is not the default that holds.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.sources().any(|(_, values)| values.contains_key(name))
    }

    /// What holds for topics or groups that do not set `key` themselves.
    #[must_use]
    pub fn inherited(&self, key: &Key) -> Option<String> {
        let held = key.sources.iter().find_map(|(name, units)| Some((self.get(name)?, *units)));
        let Some((text, units)) = held else { return key.default.map(str::to_owned) };
        let (Ok(number), Valid::AtLeast(min)) = (text.trim().parse::<i64>(), key.valid) else {
            return Some(text.trim().to_owned());
        };
        Some(number.saturating_mul(units).max(min).to_string())
    }

    /// All values of these keys, the strongest first, as Kafka tells them: those before the first
    /// value of the key that was asked for are left out.
    #[must_use]
    pub fn synonyms(&self, asked: &str, names: &[&str]) -> Vec<Synonym> {
        let set = self.sources().flat_map(|(source, values)| {
            names.iter().filter_map(move |name| Some((*name, values.get(*name)?.as_str(), source)))
        });
        let defaults = names.iter().filter_map(|name| {
            let default = broker_key(name)?.default?;
            Some((*name, default, Source::Default))
        });
        let told = set.chain(defaults).skip_while(|(name, ..)| *name != asked);
        told.map(|(name, value, source)| Synonym {
            name: name.to_owned(),
            value: is_shown(name).then(|| value.to_owned()),
            source,
        })
        .collect()
    }

    fn sources(&self) -> impl Iterator<Item = (Source, &Values)> {
        [
            (Source::DynamicBroker, &self.dynamic_broker),
            (Source::DynamicCluster, &self.dynamic_cluster),
            (Source::Static, &self.fixed),
        ]
        .into_iter()
    }
}

/// The keys that together give one setting with this one, itself included, the strongest first.
#[must_use]
pub(super) fn alternatives(name: &str) -> Vec<&str> {
    let together = |sources: &&'static [DefaultFrom]| {
        sources.len() > 1 && sources.iter().any(|(source, _)| *source == name)
    };
    let chain = topic_keys().iter().map(|key| key.sources).find(together);
    chain.map_or_else(|| vec![name], |chain| chain.iter().map(|(source, _)| *source).collect())
}

/// A key that is not known may hold anything, so that its value is not shown.
fn is_shown(name: &str) -> bool {
    broker_key(name).is_some_and(|key| !key.is_sensitive())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::topic_key;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect()
    }

    #[test]
    fn the_strongest_layer_holds() {
        let mut layers = Layers::default();
        assert_eq!(layers.get("num.io.threads"), Some("8"));
        assert_eq!(layers.get("log.retention.ms"), None);
        layers.fixed = values(&[("num.io.threads", "1")]);
        assert_eq!(layers.get("num.io.threads"), Some("1"));
        layers.dynamic_cluster = values(&[("num.io.threads", "2")]);
        assert_eq!(layers.get("num.io.threads"), Some("2"));
        layers.dynamic_broker = values(&[("num.io.threads", "3")]);
        assert_eq!(layers.get("num.io.threads"), Some("3"));
    }

    #[test]
    fn a_topic_default_is_counted_in_the_units_of_the_topic_key() {
        let retention = topic_key("retention.ms").unwrap();
        let mut layers = Layers::default();
        let mut check = |name: &str, value: &str, answer: &str| {
            layers.fixed.insert(name.to_owned(), value.to_owned());
            assert_eq!(layers.inherited(retention).as_deref(), Some(answer));
        };
        check("log.retention.hours", "2", "7200000");
        check("log.retention.minutes", "3", "180000");
        check("log.retention.ms", "4", "4");
        check("log.retention.ms", "-2", "-1");
    }

    #[test]
    fn synonyms_are_told_as_kafka_tells_them() {
        let check = |layers: &Layers, answer: &[(&str, &str, Source)]| {
            let asked = "log.retention.ms";
            let synonyms = layers.synonyms(asked, &alternatives(asked));
            let told: Vec<_> = synonyms
                .iter()
                .map(|it| (it.name.as_str(), it.value.as_deref().unwrap(), it.source))
                .collect();
            assert_eq!(told, answer);
        };
        let mut layers = Layers::default();
        check(&layers, &[]);
        layers.dynamic_broker = values(&[("log.retention.ms", "-2")]);
        layers.dynamic_cluster = values(&[("log.retention.ms", "200000")]);
        check(
            &layers,
            &[
                ("log.retention.ms", "-2", Source::DynamicBroker),
                ("log.retention.ms", "200000", Source::DynamicCluster),
                ("log.retention.hours", "168", Source::Default),
            ],
        );
    }
}
