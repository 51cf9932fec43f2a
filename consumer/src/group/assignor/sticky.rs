//! As even as can be and, among the even ways, with as little movement as can be.

use std::collections::{BTreeMap, BTreeSet};

use klamm_protocol::wire::Str;

use super::{Member, Plan, Topics, numbers};
use crate::assignment::Place;

/// What a member had, and in which generation it got that.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim {
    pub(super) places: Vec<Place>,
    pub(super) generation: i32,
}

/// Lets members keep what they had, gives what is left to those who have least, and moves
/// partitions from those who have most to those who have least, until nobody has two more than
/// somebody who could take one of them.
///
/// `claims` are those of `members`, in the same order.
pub(super) fn assign(members: &[&Member], topics: &Topics, claims: &[Claim]) -> Plan {
    let mut balance = Balance::new(members, topics);
    balance.keep(claims);
    balance.fill();
    balance.even_out();
    let mut plan = Plan::new();
    for partition in balance.partitions {
        if let Some(member) = partition.owner.and_then(|owner| members.get(owner)) {
            plan.entry(member.id.clone()).or_default().push(partition.place);
        }
    }
    plan
}

/// Members are known by their place in the list, and so are partitions and classes.
struct Balance {
    partitions: Vec<Partition>,
    classes: Vec<Class>,
    loads: Vec<Load>,
}

struct Partition {
    place: Place,
    class: usize,
    /// Who had it before.
    previous: Option<usize>,
    owner: Option<usize>,
}

/// The topics that have the same subscribers.
#[derive(Default)]
struct Class {
    /// With the number of partitions that each has, of whatever topic.
    subscribers: BTreeSet<(usize, usize)>,
    /// Those of them that have partitions of this class.
    holders: BTreeSet<(usize, usize)>,
    held: BTreeMap<usize, Vec<usize>>,
}

/// What one member has.
#[derive(Default)]
struct Load {
    count: usize,
    /// Those that it subscribes to.
    classes: Vec<usize>,
}

impl Balance {
    fn new(members: &[&Member], topics: &Topics) -> Self {
        let mut by_subscribers = BTreeMap::<(usize, Vec<usize>), Vec<(&Str, _)>>::new();
        for (topic, partitions) in topics {
            let subscribes = |(_, member): &(usize, &&Member)| member.topics.contains(topic);
            let subscribers: Vec<_> =
                members.iter().enumerate().filter(subscribes).map(|(index, _)| index).collect();
            if !subscribers.is_empty() {
                let key = (subscribers.len(), subscribers);
                by_subscribers.entry(key).or_default().push((topic, numbers(partitions)));
            }
        }
        let mut loads: Vec<_> = members.iter().map(|_| Load::default()).collect();
        let (mut partitions, mut classes) = (Vec::new(), Vec::new());
        for ((_, subscribers), topics) in by_subscribers {
            let class = classes.len();
            for member in &subscribers {
                if let Some(load) = loads.get_mut(*member) {
                    load.classes.push(class);
                }
            }
            let subscribers = subscribers.into_iter().map(|member| (0, member)).collect();
            classes.push(Class { subscribers, ..Class::default() });
            for (topic, numbers) in topics {
                let partition = |number| Partition {
                    place: (topic.clone(), number),
                    class,
                    previous: None,
                    owner: None,
                };
                partitions.extend(numbers.map(partition));
            }
        }
        Self { partitions, classes, loads }
    }

    /// Gives back what was claimed: to the claim of the latest generation, and to nobody where
    /// two of the same generation contradict each other.
    fn keep(&mut self, claims: &[Claim]) {
        let mut claimed = BTreeMap::<&Place, Vec<(i32, usize)>>::new();
        for (member, claim) in claims.iter().enumerate() {
            for place in &claim.places {
                claimed.entry(place).or_default().push((claim.generation, member));
            }
        }
        for index in 0..self.partitions.len() {
            let partition = &mut self.partitions[index];
            let Some(found) = claimed.get_mut(&partition.place) else { continue };
            found.sort_unstable();
            let member = match found.as_slice() {
                [.., (one, _), (other, _)] if one == other => continue,
                [.., (_, member)] => *member,
                [] => continue,
            };
            if self.loads[member].classes.contains(&partition.class) {
                partition.previous = Some(member);
                self.give(index, member);
            }
        }
    }

    /// Gives what nobody has, what few can take before what many can.
    fn fill(&mut self) {
        for index in 0..self.partitions.len() {
            let Partition { owner: None, class, .. } = self.partitions[index] else { continue };
            if let Some((_, member)) = self.classes[class].subscribers.first().copied() {
                self.give(index, member);
            }
        }
    }

    /// Each move makes the sum of the squares of the counts smaller, so that this ends.
    fn even_out(&mut self) {
        let mut class = 0;
        while class < self.classes.len() {
            match self.uneven(class) {
                Some((from, to)) => {
                    let index = self.choose(class, from, to);
                    self.take(index);
                    self.give(index, to);
                    // The move may have made room in a class that was even.
                    class = 0;
                }
                None => class += 1,
            }
        }
    }

    /// Who has too many partitions of a class, and who should have one of them.
    fn uneven(&self, class: usize) -> Option<(usize, usize)> {
        let class = self.classes.get(class)?;
        let ((most, from), (least, to)) = (class.holders.last()?, class.subscribers.first()?);
        (*most > least + 1).then_some((*from, *to))
    }

    /// Which partition to move: one that comes home, otherwise one that moves anyway.
    fn choose(&self, class: usize, from: usize, to: usize) -> usize {
        let held = self.classes[class].held.get(&from).expect("a holder holds something");
        let cost = |index: &&usize| match self.partitions[**index].previous {
            Some(previous) if previous == to => 0,
            Some(previous) if previous == from => 2,
            _ => 1,
        };
        *held.iter().rev().min_by_key(cost).expect("a holder holds something")
    }

    fn give(&mut self, index: usize, member: usize) {
        let partition = &mut self.partitions[index];
        partition.owner = Some(member);
        self.classes[partition.class].held.entry(member).or_default().push(index);
        let count = self.loads[member].count + 1;
        self.count(member, count);
    }

    fn take(&mut self, index: usize) {
        let partition = &mut self.partitions[index];
        let Some(member) = partition.owner.take() else { return };
        let held = &mut self.classes[partition.class].held;
        if let Some(list) = held.get_mut(&member) {
            list.retain(|held| *held != index);
            if list.is_empty() {
                held.remove(&member);
            }
        }
        let count = self.loads[member].count - 1;
        self.count(member, count);
    }

    /// Keeps the classes' orders true when a member's count changes.
    fn count(&mut self, member: usize, count: usize) {
        let load = &mut self.loads[member];
        let before = (std::mem::replace(&mut load.count, count), member);
        for class in &load.classes {
            let class = &mut self.classes[*class];
            class.subscribers.remove(&before);
            class.subscribers.insert((count, member));
            class.holders.remove(&before);
            if class.held.contains_key(&member) {
                class.holders.insert((count, member));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::properties::{check, had, member};
    use klamm_client::config::Assignor::Sticky;

    #[test]
    fn a_new_group_is_even() {
        let members = [member("a", "t u"), member("b", "t u"), member("c", "t u")];
        check(Sticky, &members, "t2 u2", "a: t0 u1; b: t1; c: u0");
    }

    #[test]
    fn who_comes_gets_a_share_and_the_others_keep_the_rest() {
        let members = [
            had(member("a", "t"), 1, "t0 t1 t2"),
            had(member("b", "t"), 1, "t3 t4 t5"),
            member("c", "t"),
        ];
        check(Sticky, &members, "t6", "a: t0 t1; b: t3 t4; c: t2 t5");
    }

    #[test]
    fn who_goes_leaves_its_share_to_the_others() {
        let members = [had(member("a", "t"), 1, "t0 t1"), had(member("c", "t"), 1, "t4 t5")];
        check(Sticky, &members, "t6", "a: t0 t1 t2; c: t3 t4 t5");
    }

    #[test]
    fn the_later_claim_holds_and_equal_ones_fall() {
        let members = [had(member("a", "t"), 4, "t0 t1"), had(member("b", "t"), 5, "t1 t2")];
        check(Sticky, &members, "t4", "a: t0 t3; b: t1 t2");
        let members = [had(member("a", "t"), 5, "t1"), had(member("b", "t"), 5, "t1")];
        check(Sticky, &members, "t2", "a: t0; b: t1");
    }

    #[test]
    fn what_only_one_can_take_makes_it_give_up_what_others_can() {
        let members = [had(member("a", "t u"), 1, "t0 t1"), member("b", "t")];
        check(Sticky, &members, "t2 u2", "a: u0 u1; b: t0 t1");
    }
}
