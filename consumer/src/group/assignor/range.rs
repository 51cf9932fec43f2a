//! Neighbouring partitions of each topic to one member: of topics with as many partitions, the
//! same ones (KIP-881 where racks are known).

use std::collections::{BTreeMap, BTreeSet};

use klamm_protocol::wire::Str;

use super::{Member, Plan, Topics, numbers};

/// Cuts each topic into as many pieces as it has subscribers, the first ones larger by one where
/// it does not come out even.
///
/// Where racks are known and tell partitions apart, members first get partitions that have a
/// replica in their own rack, as many as are their due.
pub(super) fn assign(members: &[&Member], topics: &Topics) -> Plan {
    let mut cuts: Vec<_> =
        topics.iter().filter_map(|(topic, racks)| Cut::new(topic, racks, members)).collect();
    if cuts.iter().any(Cut::racks_matter) {
        match_racks(&mut cuts);
    }
    for cut in &mut cuts {
        cut.take_ranges(|_, _| true);
    }
    let mut plan = Plan::new();
    for cut in cuts {
        for (taker, partitions) in cut.takers.iter().zip(cut.taken) {
            let places = partitions.into_iter().map(|partition| (cut.topic.clone(), partition));
            plan.entry(taker.id.clone()).or_default().extend(places);
        }
    }
    plan
}

/// One topic, while it is handed out.
struct Cut<'a> {
    topic: &'a Str,
    racks: &'a [BTreeSet<Str>],
    /// The subscribers, in their order.
    takers: Vec<&'a Member>,
    /// What each has got.
    taken: Vec<Vec<i32>>,
    left: BTreeSet<i32>,
    /// What each gets at least, and how many may still get one more.
    each: usize,
    larger: usize,
}

impl<'a> Cut<'a> {
    fn new(topic: &'a Str, racks: &'a [BTreeSet<Str>], members: &[&'a Member]) -> Option<Self> {
        let takers: Vec<_> =
            members.iter().copied().filter(|member| member.topics.contains(topic)).collect();
        let each = racks.len().checked_div(takers.len())?;
        let larger = racks.len() % takers.len();
        let taken = vec![Vec::new(); takers.len()];
        Some(Self { topic, racks, takers, taken, left: numbers(racks).collect(), each, larger })
    }

    /// Whether a member's rack says anything about which partitions are near to it.
    fn racks_matter(&self) -> bool {
        let all: BTreeSet<_> = self.racks.iter().flatten().collect();
        let met = self.takers.iter().filter_map(|taker| taker.rack.as_ref());
        met.into_iter().any(|rack| all.contains(rack))
            && self.racks.iter().any(|racks| racks.len() != all.len())
    }

    fn is_near(&self, taker: usize, partition: i32) -> bool {
        let Some(rack) = self.takers.get(taker).and_then(|taker| taker.rack.as_ref()) else {
            return true;
        };
        let racks = usize::try_from(partition).ok().and_then(|index| self.racks.get(index));
        racks.is_some_and(|racks| racks.contains(rack))
    }

    /// How many partitions a taker may still get.
    fn due(&self, taker: usize) -> usize {
        let has = self.taken.get(taker).map_or(0, Vec::len);
        (self.each + usize::from(self.larger > 0)).saturating_sub(has)
    }

    fn give(&mut self, taker: usize, partitions: &[i32]) {
        let Some(taken) = self.taken.get_mut(taker) else { return };
        taken.extend(partitions);
        if taken.len() > self.each {
            self.larger = self.larger.saturating_sub(1);
        }
        self.left.retain(|partition| !partitions.contains(partition));
    }

    /// Gives each in turn the first of what is left and allowed, as much as is due.
    fn take_ranges(&mut self, allowed: impl Fn(usize, i32) -> bool) {
        for taker in 0..self.takers.len() {
            let due = self.due(taker);
            let range = self.left.iter().copied().filter(|partition| allowed(taker, *partition));
            let range: Vec<_> = range.take(due).collect();
            if !range.is_empty() {
                self.give(taker, &range);
            }
        }
    }
}

/// Hands out what lies near, topics that have the same subscribers and as many partitions alike.
fn match_racks(cuts: &mut [Cut<'_>]) {
    let mut alike = BTreeMap::<_, Vec<&mut Cut<'_>>>::new();
    for cut in cuts {
        let takers: Vec<_> = cut.takers.iter().map(|taker| &taker.id).collect();
        alike.entry((takers, cut.racks.len())).or_default().push(cut);
    }
    for ((takers, partitions), mut cuts) in alike {
        match cuts.as_mut_slice() {
            [cut] if cut.racks_matter() => {
                let near: BTreeSet<_> = (0..takers.len())
                    .flat_map(|taker| numbers(cut.racks).map(move |partition| (taker, partition)))
                    .filter(|(taker, partition)| cut.is_near(*taker, *partition))
                    .collect();
                cut.take_ranges(|taker, partition| near.contains(&(taker, partition)));
            }
            [_] => {}
            cuts => match_racks_together(cuts, takers.len(), partitions),
        }
    }
}

/// Gives the partitions of one number, of all these topics, to one member that they are near to.
fn match_racks_together(cuts: &mut [&mut Cut<'_>], takers: usize, partitions: usize) {
    for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        let fits = |taker: &usize| {
            cuts.iter().all(|cut| cut.is_near(*taker, partition) && cut.due(*taker) > 0)
        };
        if let Some(taker) = (0..takers).find(fits) {
            for cut in cuts.iter_mut() {
                cut.give(taker, &[partition]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::properties::{check, member};
    use super::super::{Member, Topics, assign};
    use klamm_client::config::Assignor::Range;
    use klamm_protocol::wire::Str;

    #[test]
    fn topics_are_cut_into_ranges() {
        let both = [member("a", "t u"), member("b", "t u")];
        check(Range, &both, "t3 u3", "a: t0 t1 u0 u1; b: t2 u2");
        let three = [member("c", "t u"), member("b", "t"), member("a", "t u")];
        check(Range, &three, "t7 u1", "a: t0 t1 t2 u0; b: t3 t4; c: t5 t6");
        check(Range, &three, "", "a:; b:; c:");
    }

    #[test]
    fn static_members_come_first() {
        let mut last = member("z", "t");
        last.instance = Some("i".into());
        check(Range, &[member("a", "t"), last], "t3", "z: t0 t1; a: t2");
    }

    #[test]
    fn members_get_what_lies_near() {
        let at = |id: &str, rack: &str| Member { rack: Some(rack.into()), ..member(id, "t u") };
        let racks = |racks: &[&str]| racks.iter().map(|rack| [Str::from(*rack)].into()).collect();
        let members = [at("a", "r2"), at("b", "r1"), at("c", "r3")];
        let mut topics = Topics::from([("t".into(), racks(&["r1", "r2", "r3"]))]);
        let plan = assign(Range, &members, &topics);
        assert_eq!(plan["a"], [("t".into(), 1)]);
        assert_eq!(plan["b"], [("t".into(), 0)]);
        // What is not near to the same member in both topics is handed out as without racks.
        topics.insert("u".into(), racks(&["r1", "r1", "r3"]));
        let plan = assign(Range, &members, &topics);
        assert_eq!(plan["b"], [("t".into(), 0), ("u".into(), 0)]);
        assert_eq!(plan["a"], [("t".into(), 1), ("u".into(), 1)]);
    }
}
