//! Of each topic neighbouring partitions. Members that read the same topics get the same indexes of
//! topics that have as many partitions, so that what belongs together can be joined.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use klamm_protocol::wire::{Str, Uuid};

use super::Subscriber;
use crate::group::consumer::change::Partitions;

/// What of a topic has not been given out yet.
struct Rest {
    next: i32,
    partitions: i32,
    members: i32,
}

pub(super) fn assign(
    members: &[Subscriber<'_>],
    count: impl Fn(&Uuid) -> i32,
) -> BTreeMap<Str, Partitions> {
    let mut rests: BTreeMap<Uuid, Rest> = BTreeMap::new();
    for topic in members.iter().flat_map(|member| &*member.topics) {
        let whole = || Rest { next: 0, partitions: count(topic), members: 0 };
        rests.entry(*topic).or_insert_with(whole).members += 1;
    }
    let mut members: Vec<&Subscriber<'_>> = members.iter().collect();
    members.sort_by(|one, other| static_first(one, other));
    let mut assigned = BTreeMap::new();
    for member in members {
        let mut partitions = Partitions::new();
        for topic in &*member.topics {
            let Some(rest) = rests.get_mut(topic) else { continue };
            partitions.extend(rest.take().map(|index| (*topic, index)));
        }
        assigned.insert(member.id.clone(), partitions);
    }
    assigned
}

/// Static members first: they keep their places when they come back under other ids.
fn static_first(one: &Subscriber<'_>, other: &Subscriber<'_>) -> Ordering {
    match (one.instance_id, other.instance_id) {
        (Some(one), Some(other)) => one.cmp(other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.id.cmp(other.id),
    }
}

impl Rest {
    /// The share of the next member: the first ones get one more if it does not come out even.
    fn take(&mut self) -> std::ops::Range<i32> {
        let share = self.partitions.div_euclid(self.members.max(1))
            + i32::from(self.partitions.rem_euclid(self.members.max(1)) > 0);
        let first = self.next;
        self.next += share;
        self.partitions -= share;
        self.members -= 1;
        first..self.next
    }
}
