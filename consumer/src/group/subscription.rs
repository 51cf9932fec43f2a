//! What a consumer subscribes to, and what the cluster has of it.

use std::collections::{BTreeMap, BTreeSet};

use klamm_client::config::GroupProtocol;
use klamm_client::{ConfigError, Metadata};
use klamm_protocol::wire::{Str, Uuid};
use regex_lite::Regex;

use super::assignor::Topics;

/// What stands before a pattern.
const PATTERN: &str = "re:";

/// Names of topics, and patterns that whole names match.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscription {
    names: BTreeSet<Str>,
    patterns: Vec<Str>,
    /// The same, where the member matches them itself: in the consumer protocol the broker does.
    regexes: Vec<Regex>,
}

/// What the cluster has of topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// What is subscribed to now: the names, and what matches the patterns.
    pub(crate) wanted: BTreeSet<Str>,
    /// The topics that were asked for, as far as they are there.
    pub(crate) topics: Topics,
    /// The topics that were asked for.
    pub(crate) asked: BTreeSet<Str>,
    /// The names of all topics that are known, by their ids.
    pub(crate) names: BTreeMap<Uuid, Str>,
}

impl Subscription {
    /// Reads names, and patterns with `re:` before them.
    ///
    /// # Errors
    /// A pattern is no regular expression, where that is for the member to say.
    pub(crate) fn parse<T: Into<Str>>(
        topics: impl IntoIterator<Item = T>,
        protocol: GroupProtocol,
    ) -> Result<Self, ConfigError> {
        let mut subscription = Self::default();
        for topic in topics {
            let topic: Str = topic.into();
            let Some(pattern) = topic.strip_prefix(PATTERN) else {
                subscription.names.insert(topic);
                continue;
            };
            subscription.patterns.push(pattern.into());
            if protocol == GroupProtocol::Consumer {
                continue;
            }
            let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
                let (pattern, reason) = (pattern.to_owned(), error.to_string());
                ConfigError::BadPattern { pattern, reason }
            })?;
            subscription.regexes.push(regex);
        }
        Ok(subscription)
    }

    /// The topics that are named, whether they exist or not.
    pub(crate) fn names(&self) -> &BTreeSet<Str> {
        &self.names
    }

    /// Whether it takes knowledge of all topics to know what is wanted.
    pub(crate) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// All patterns as one, if there are any.
    pub(crate) fn pattern(&self) -> Option<Str> {
        match self.patterns.as_slice() {
            [] => None,
            [pattern] => Some(pattern.clone()),
            patterns => Some(format!("(?:{})", patterns.join(")|(?:")).into()),
        }
    }

    /// What the cluster has of this and of `others`.
    pub(crate) fn find(&self, metadata: &Metadata, others: &BTreeSet<Str>) -> Found {
        let matches = |name: &Str| self.regexes.iter().any(|regex| regex.is_match(name));
        let public = metadata.topics().filter(|topic| !topic.is_internal);
        let matching = public.map(|topic| &topic.name).filter(|name| matches(name));
        let wanted: BTreeSet<_> = self.names.iter().chain(matching).cloned().collect();
        let asked: BTreeSet<_> = wanted.union(others).cloned().collect();
        let topics: BTreeMap<_, _> =
            asked.iter().filter_map(|name| Some((name.clone(), racks(metadata, name)?))).collect();
        let with_id = metadata.topics().filter(|topic| !topic.id.is_zero());
        let names = with_id.map(|topic| (topic.id, topic.name.clone())).collect();
        Found { wanted, topics, asked, names }
    }
}

/// The racks that have a replica of each partition.
fn racks(metadata: &Metadata, topic: &Str) -> Option<Vec<BTreeSet<Str>>> {
    let rack = |node: &i32| metadata.brokers.get(node)?.rack.clone();
    let partitions = metadata.topic(topic)?.partitions.iter();
    Some(partitions.map(|partition| partition.replicas.iter().filter_map(rack).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(topics: &[&str], protocol: GroupProtocol) -> Result<Subscription, ConfigError> {
        Subscription::parse(topics.iter().map(|topic| Str::from(*topic)), protocol)
    }

    #[test]
    fn patterns_for_the_broker_are_left_as_they_are() {
        let check = |topics: &[&str], expected: Option<&str>| {
            let subscription = parse(topics, GroupProtocol::Consumer).unwrap();
            assert_eq!(subscription.pattern().as_deref(), expected, "{topics:?}");
        };
        check(&["orders"], None);
        check(&["re:("], Some("("));
        check(&["orders", r"re:\pL+", "re:a|b"], Some(r"(?:\pL+)|(?:a|b)"));
    }

    #[test]
    fn patterns_match_whole_names() {
        let subscription =
            parse(&["orders", r"re:audit\..*", "re:a|b"], GroupProtocol::Classic).unwrap();
        assert!(subscription.has_patterns());
        assert_eq!(subscription.names().len(), 1);
        let matches = |name: &str| subscription.regexes.iter().any(|regex| regex.is_match(name));
        for (name, expected) in
            [("audit.x", true), ("my.audit.x", false), ("a", true), ("ab", false)]
        {
            assert_eq!(matches(name), expected, "{name}");
        }
        let error = parse(&["re:("], GroupProtocol::Classic).unwrap_err();
        assert!(error.to_string().starts_with("\"(\" is no pattern"), "{error}");
    }
}
