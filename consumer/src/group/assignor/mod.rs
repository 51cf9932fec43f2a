//! Who gets which partitions: what the leader of a group decides. Pure.
//!
//! Each assignor gives every partition of every topic that somebody subscribes to, to exactly one
//! subscriber; [`cooperative`] leaves out for one round what must be given up first.

mod cooperative;
#[cfg(test)]
mod properties;
mod range;
mod round_robin;
mod sticky;
mod user_data;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use klamm_client::config::Assignor;
use klamm_protocol::consumer_protocol::{Subscription, TopicPartitions};
use klamm_protocol::wire::{Str, WireError};

use crate::assignment::Place;

pub(crate) use user_data::user_data;

/// A member of the group as it presents itself to the leader.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) id: Str,
    /// Of a static member.
    pub(crate) instance: Option<Str>,
    pub(crate) topics: BTreeSet<Str>,
    /// The partitions that it has not given up.
    pub(crate) owned: Vec<Place>,
    /// The generation in which it got them; -1 if it does not say.
    pub(crate) generation: i32,
    pub(crate) rack: Option<Str>,
    pub(crate) user_data: Option<Bytes>,
}

/// The partitions of each topic, each with the racks that have a replica of it.
pub(crate) type Topics = BTreeMap<Str, Vec<BTreeSet<Str>>>;

/// What each member gets, by its id, in the order of topics and partitions.
pub(crate) type Plan = BTreeMap<Str, Vec<Place>>;

/// Decides who gets what.
pub(crate) fn assign(assignor: Assignor, members: &[Member], topics: &Topics) -> Plan {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|member| rank(member));
    let mut plan = match assignor {
        Assignor::Range => range::assign(&members, topics),
        Assignor::RoundRobin => round_robin::assign(&members, topics),
        Assignor::Sticky => sticky::assign(&members, topics, &user_data::claims(&members)),
        Assignor::CooperativeSticky => cooperative::assign(&members, topics),
    };
    for member in members {
        plan.entry(member.id.clone()).or_default().sort_unstable();
    }
    plan
}

/// Static members come first, by their instance ids, for these survive a restart.
fn rank(member: &Member) -> (bool, &Str) {
    (member.instance.is_none(), member.instance.as_ref().unwrap_or(&member.id))
}

impl Member {
    /// Reads what a member said of itself when it joined.
    pub(crate) fn read(id: Str, instance: Option<Str>, metadata: Bytes) -> Result<Self, WireError> {
        let said = Subscription::decode(metadata)?;
        Ok(Self {
            id,
            instance,
            topics: said.topics.into_iter().collect(),
            owned: from_wire(said.owned_partitions),
            generation: said.generation_id,
            rack: said.rack_id,
            user_data: said.user_data,
        })
    }
}

/// Partitions one by one.
pub(crate) fn from_wire(topics: Vec<TopicPartitions>) -> Vec<Place> {
    let places = topics.into_iter().flat_map(|TopicPartitions { topic, partitions }| {
        partitions.into_iter().map(move |partition| (topic.clone(), partition))
    });
    places.collect()
}

/// Partitions gathered under their topics.
pub(crate) fn to_wire<'a>(places: impl IntoIterator<Item = &'a Place>) -> Vec<TopicPartitions> {
    let mut topics = BTreeMap::<&Str, Vec<i32>>::new();
    for (topic, partition) in places {
        topics.entry(topic).or_default().push(*partition);
    }
    let topic =
        |(topic, partitions): (&Str, _)| TopicPartitions { topic: topic.clone(), partitions };
    topics.into_iter().map(topic).collect()
}

/// The numbers of a topic's partitions.
fn numbers(partitions: &[BTreeSet<Str>]) -> impl Iterator<Item = i32> + Clone {
    0..i32::try_from(partitions.len()).unwrap_or(i32::MAX)
}
