//! Which topics and partitions are meant.

use std::collections::BTreeSet;
use std::str::FromStr;

use klamm_client::admin::Admin;
use klamm_protocol::wire::Str;

use crate::failure::Failure;
use crate::place::Partition;

/// A topic, or some of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) topic: Str,
    /// All of them where none is named.
    partitions: Vec<i32>,
}

/// Reads `topic` or `topic:0,1`. Names of topics have no colon.
impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (topic, partitions) = match text.split_once(':') {
            None => (text, Vec::new()),
            Some((topic, list)) => {
                let partitions = list.split(',').map(|index| {
                    let index = index.parse().ok().filter(|index: &i32| *index >= 0);
                    index.ok_or_else(|| format!("`{list}` are no partitions: expected 0,1,..."))
                });
                (topic, partitions.collect::<Result<_, _>>()?)
            }
        };
        if topic.is_empty() {
            return Err("expected TOPIC or TOPIC:PARTITION,...".into());
        }
        Ok(Self { topic: topic.into(), partitions })
    }
}

impl Scope {
    /// Whether a partition is meant.
    pub(crate) fn contains(&self, (topic, index): &Partition) -> bool {
        self.topic == *topic && (self.partitions.is_empty() || self.partitions.contains(index))
    }
}

/// The partitions that are meant, in order, each once. All of them must exist.
pub(crate) async fn partitions(admin: &Admin, scopes: &[Scope]) -> anyhow::Result<Vec<Partition>> {
    let names: BTreeSet<_> = scopes.iter().map(|scope| scope.topic.clone()).collect();
    let names: Vec<_> = names.into_iter().collect();
    let mut found = BTreeSet::new();
    for (name, outcome) in admin.describe_topics(&names).await? {
        let topic = outcome?;
        for scope in scopes.iter().filter(|scope| scope.topic == name) {
            if let Some(index) =
                scope.partitions.iter().find(|index| topic.partition(**index).is_none())
            {
                return Err(Failure::NotFound(format!("{name} has no partition {index}")).into());
            }
            let all = topic.partitions.iter().map(|partition| (name.clone(), partition.index));
            found.extend(all.filter(|partition| scope.contains(partition)));
        }
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_partitions_are_understood() {
        let scope = |text: &str| text.parse::<Scope>();
        assert!(scope("orders").unwrap().contains(&("orders".into(), 7)));
        let two = scope("orders:0,2").unwrap();
        let contained = [0, 1, 2].map(|index| two.contains(&("orders".into(), index)));
        assert_eq!(contained, [true, false, true]);
        assert!(!two.contains(&("bills".into(), 0)));
        for text in ["", ":1", "orders:", "orders:a", "orders:-1", "orders:1,"] {
            assert!(scope(text).is_err(), "{text}");
        }
    }
}
