//! As even as may be, and nothing changes hands without need.
//!
//! 1. Everybody keeps what it was to hold, as long as it reads the topic.
//! 2. What nobody has goes to whoever has least, topics with few readers first.
//! 3. As long as one reader of a topic has at least two partitions more than another, it passes on
//!    one of that topic.
//!
//! If all members read the same topics, no two of them differ by more than one partition in the
//! end, and no partition has changed hands that did not have to. If they read different ones, it
//! may be that passing on along a chain of members would make it more even still.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use klamm_protocol::wire::{Str, Uuid};

use super::Subscriber;
use crate::group::consumer::change::Partitions;

/// Passing on at one topic may make it uneven at another. After so many rounds it is even enough.
const ROUNDS_MAX: usize = 16;

/// A member, by its place in the list.
type Place = usize;

/// A topic and who has its partitions.
struct Topic {
    id: Uuid,
    readers: Vec<Place>,
    /// By index of the partition.
    owners: Vec<Option<Place>>,
}

/// Members by how much they have.
type ByLoad = BTreeSet<(usize, Place)>;

pub(super) fn assign(
    members: &[Subscriber<'_>],
    count: impl Fn(&Uuid) -> i32,
) -> BTreeMap<Str, Partitions> {
    let mut topics = topics(members, count);
    let mut loads = vec![0; members.len()];
    keep(members, &mut topics, &mut loads);
    let mut topics: Vec<Topic> = topics.into_values().collect();
    topics.sort_by(Topic::scarcer);
    topics.iter_mut().for_each(|topic| topic.hand_out(&mut loads));
    for _ in 0..ROUNDS_MAX {
        let moved = topics.iter_mut().map(|topic| topic.level(&mut loads));
        if !moved.fold(false, |any, moved| any | moved) {
            break;
        }
    }
    collect(members, &topics)
}

fn topics(members: &[Subscriber<'_>], count: impl Fn(&Uuid) -> i32) -> BTreeMap<Uuid, Topic> {
    let mut crowds: HashMap<*const BTreeSet<Uuid>, Vec<Place>> = HashMap::new();
    for (place, member) in members.iter().enumerate() {
        crowds.entry(Rc::as_ptr(&member.topics)).or_default().push(place);
    }
    let mut topics: BTreeMap<Uuid, Topic> = BTreeMap::new();
    for member in members {
        // All who read the same come with the first of them.
        let crowd = crowds.remove(&Rc::as_ptr(&member.topics));
        let Some(crowd) = crowd else { continue };
        for id in &*member.topics {
            let new = || {
                let partitions = usize::try_from(count(id)).unwrap_or(0);
                Topic { id: *id, readers: Vec::new(), owners: vec![None; partitions] }
            };
            topics.entry(*id).or_insert_with(new).readers.extend(&crowd);
        }
    }
    topics
}

fn keep(members: &[Subscriber<'_>], topics: &mut BTreeMap<Uuid, Topic>, loads: &mut [usize]) {
    for (place, (member, load)) in members.iter().zip(loads).enumerate() {
        let read = member.target.iter().filter(|(topic, _)| member.topics.contains(topic));
        for (topic, index) in read {
            let owners = topics.get_mut(topic).map(|topic| &mut topic.owners);
            let index = usize::try_from(*index).ok();
            let owner = owners.zip(index).and_then(|(owners, index)| owners.get_mut(index));
            if let Some(owner @ None) = owner {
                *owner = Some(place);
                *load += 1;
            }
        }
    }
}

fn collect(members: &[Subscriber<'_>], topics: &[Topic]) -> BTreeMap<Str, Partitions> {
    let mut held = vec![Partitions::new(); members.len()];
    for topic in topics {
        for (index, owner) in (0..).zip(&topic.owners) {
            if let Some(partitions) = owner.and_then(|owner| held.get_mut(owner)) {
                partitions.insert((topic.id, index));
            }
        }
    }
    members.iter().map(|member| member.id.clone()).zip(held).collect()
}

impl Topic {
    /// First what leaves its readers the least choice: many partitions for each, few readers.
    fn scarcer(one: &Self, other: &Self) -> Ordering {
        let share = |of: &Self, among: &Self| of.owners.len().saturating_mul(among.readers.len());
        let by_share = share(other, one).cmp(&share(one, other));
        by_share.then(one.readers.len().cmp(&other.readers.len())).then(one.id.cmp(&other.id))
    }

    /// Gives what nobody has to whoever has least.
    fn hand_out(&mut self, loads: &mut [usize]) {
        if self.owners.iter().all(Option::is_some) {
            return;
        }
        let mut readers = by_load(self.readers.iter().copied(), loads);
        for owner in self.owners.iter_mut().filter(|owner| owner.is_none()) {
            let Some((load, place)) = readers.pop_first() else { return };
            *owner = Some(place);
            set(loads, place, load + 1);
            readers.insert((load + 1, place));
        }
    }

    /// Passes partitions on from those who have most to those who have least; tells whether there
    /// was any need.
    fn level(&mut self, loads: &mut [usize]) -> bool {
        if self.is_level(loads) {
            return false;
        }
        let mut owned: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        for (index, owner) in self.owners.iter().enumerate() {
            if let Some(owner) = owner {
                owned.entry(*owner).or_default().push(index);
            }
        }
        let mut takers = by_load(self.readers.iter().copied(), loads);
        let mut givers = by_load(owned.keys().copied(), loads);
        let mut has_moved = false;
        while let (Some(&(least, taker)), Some(&(most, giver))) = (takers.first(), givers.last())
            && most >= least + 2
        {
            let Some(index) = owned.get_mut(&giver).and_then(Vec::pop) else {
                givers.remove(&(most, giver));
                continue;
            };
            if let Some(owner) = self.owners.get_mut(index) {
                *owner = Some(taker);
            }
            owned.entry(taker).or_default().push(index);
            for (place, before, after) in [(taker, least, least + 1), (giver, most, most - 1)] {
                takers.remove(&(before, place));
                takers.insert((after, place));
                givers.remove(&(before, place));
                givers.insert((after, place));
                set(loads, place, after);
            }
            has_moved = true;
        }
        has_moved
    }

    /// Whether nobody has so much more than another that it should pass any on. Most topics are,
    /// and this costs little beside putting their readers in order.
    fn is_level(&self, loads: &[usize]) -> bool {
        let load = |place: &Place| loads.get(*place).copied().unwrap_or_default();
        let least = self.readers.iter().map(load).min();
        let most = self.owners.iter().flatten().map(load).max();
        least.zip(most).is_none_or(|(least, most)| most < least + 2)
    }
}

fn by_load(places: impl Iterator<Item = Place>, loads: &[usize]) -> ByLoad {
    places.filter_map(|place| loads.get(place).map(|load| (*load, place))).collect()
}

fn set(loads: &mut [usize], place: Place, load: usize) {
    if let Some(known) = loads.get_mut(place) {
        *known = load;
    }
}
