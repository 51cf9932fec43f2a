//! The topics that there are, as far as groups are concerned.

use std::collections::BTreeMap;

use klamm_protocol::wire::{Str, Uuid};
use twox_hash::XxHash3_64;

use crate::catalog::Image;

/// All topics at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topics {
    version: i64,
    by_name: BTreeMap<Str, Topic>,
    names: BTreeMap<Uuid, Str>,
}

/// A topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
}

impl Topics {
    /// These topics; the version goes up whenever they change.
    pub(crate) fn new(version: i64, topics: impl IntoIterator<Item = (Str, Topic)>) -> Self {
        let by_name: BTreeMap<Str, Topic> = topics.into_iter().collect();
        let names = by_name.iter().map(|(name, topic)| (topic.id, name.clone())).collect();
        Self { version, by_name, names }
    }

    /// The topics of an image, if they are others than these.
    pub(crate) fn follow(&self, image: &Image) -> Option<Self> {
        let topics = image.topics().map(|topic| {
            let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            (&topic.name, Topic { id: topic.id, partitions })
        });
        let known = self.by_name.iter().map(|(name, topic)| (name, *topic));
        if known.eq(topics.clone()) {
            return None;
        }
        let topics = topics.map(|(name, topic)| (name.clone(), topic));
        Some(Self::new(self.version.saturating_add(1), topics))
    }

    /// Differs between topics that differ.
    pub(super) fn version(&self) -> i64 {
        self.version
    }

    /// A topic, by its name.
    pub(super) fn get(&self, name: &str) -> Option<Topic> {
        self.by_name.get(name).copied()
    }

    /// The name of a topic.
    pub(crate) fn name(&self, id: &Uuid) -> Option<&Str> {
        self.names.get(id)
    }

    /// How many partitions a topic has.
    pub(super) fn partitions(&self, id: &Uuid) -> i32 {
        let topic = self.name(id).and_then(|name| self.get(name));
        topic.map_or(0, |topic| topic.partitions)
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &Str> {
        self.by_name.keys()
    }

    /// A number that differs if any of these topics is another one, or has other partitions; 0 if
    /// there are none. It is Kafka's, where no broker says in which rack it is.
    pub(super) fn hash<'a>(&self, names: impl Iterator<Item = &'a Str>) -> i64 {
        let mut hashes = Vec::new();
        for name in names {
            if let Some(topic) = self.get(name) {
                hashes.extend(topic.hash(name).to_le_bytes());
            }
        }
        if hashes.is_empty() { 0 } else { XxHash3_64::oneshot(&hashes).cast_signed() }
    }
}

/// Tells apart ways of computing the hash.
const HASH_KIND: u8 = 0;

impl Topic {
    fn hash(self, name: &str) -> u64 {
        let mut bytes = vec![HASH_KIND];
        // Kafka has an id as two numbers.
        for half in self.id.0.chunks(8) {
            bytes.extend(half.iter().rev());
        }
        let units: Vec<u16> = name.encode_utf16().collect();
        bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes.extend(u32::try_from(units.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(self.partitions.to_le_bytes());
        bytes.extend((0..self.partitions).flat_map(i32::to_le_bytes));
        XxHash3_64::oneshot(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of Kafka's `Utils.computeGroupHash`.
    #[test]
    fn topics_are_told_apart_as_by_kafka() {
        let orders = (u128::from(7u64) << 64 | 8).to_be_bytes();
        let topics = [
            ("t", Topic { id: Uuid(std::array::from_fn(|at| at as u8 + 1)), partitions: 3 }),
            ("orders", Topic { id: Uuid(orders), partitions: 1 }),
        ];
        let topics = Topics::new(1, topics.map(|(name, topic)| (Str::from(name), topic)));
        let check = |names: &[&str], hash| {
            let names: Vec<Str> = names.iter().map(|name| Str::from(*name)).collect();
            assert_eq!(topics.hash(names.iter()), hash, "{names:?}");
        };
        check(&[], 0);
        check(&["missing"], 0);
        check(&["t"], 8_179_300_238_714_719_308);
        check(&["orders"], -1_468_046_962_342_189_114);
        check(&["missing", "orders", "t"], -5_574_784_655_853_999_036);
    }
}
