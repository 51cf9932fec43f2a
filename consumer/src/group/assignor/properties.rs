//! What holds for every assignor and every group.

use std::collections::{BTreeMap, BTreeSet};

use klamm_client::config::Assignor;
use proptest::prelude::*;

use super::*;

const ALL: [Assignor; 4] =
    [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky];

/// A member that subscribes to these topics.
pub(super) fn member(id: &str, topics: &str) -> Member {
    let topics = topics.split_whitespace().map(Str::from).collect();
    Member { id: id.into(), topics, generation: -1, ..Member::default() }
}

/// The same, which says to `sticky` what it had: `t0` is the partition 0 of `t`.
pub(super) fn had(member: Member, generation: i32, had: &str) -> Member {
    let user_data = user_data(Assignor::Sticky, &places(had), generation);
    Member { user_data, ..member }
}

/// The same, which has these partitions still.
pub(super) fn owns(member: Member, generation: i32, owned: &str) -> Member {
    Member { owned: places(owned), generation, ..member }
}

fn places(text: &str) -> Vec<Place> {
    let place = |text: &str| (text[..1].into(), text[1..].parse().unwrap());
    text.split_whitespace().map(place).collect()
}

/// Topics without racks: `t3` has three partitions.
fn topics(text: &str) -> Topics {
    let topic =
        |(topic, count): Place| (topic, vec![BTreeSet::new(); usize::try_from(count).unwrap()]);
    places(text).into_iter().map(topic).collect()
}

/// Checks who gets what.
pub(super) fn check(assignor: Assignor, members: &[Member], topics_text: &str, expected: &str) {
    let plan = assign(assignor, members, &topics(topics_text));
    let expected: Plan = expected
        .split(';')
        .map(|line| line.split_once(':').unwrap())
        .map(|(id, list)| (id.trim().into(), places(list)))
        .collect();
    assert_eq!(plan, expected);
}

/// Which members (by number) subscribe to which of five topics.
type Group = BTreeMap<usize, BTreeSet<usize>>;

fn group(alike: bool) -> impl Strategy<Value = Group> {
    let wanted = prop::collection::btree_set(0..5usize, 1..5);
    let members = prop::collection::btree_map(0..9usize, wanted, 1..9);
    members.prop_map(move |mut members: Group| {
        let first = members.values().next().cloned().unwrap_or_default();
        if alike {
            members.values_mut().for_each(|wanted| *wanted = first.clone());
        }
        members
    })
}

fn sizes() -> impl Strategy<Value = Topics> {
    prop::collection::vec(0..12usize, 5).prop_map(|sizes| {
        let topic = |(index, size)| (Str::from(format!("t{index}")), vec![BTreeSet::new(); size]);
        sizes.into_iter().enumerate().map(topic).collect()
    })
}

/// The members of a group as they come to a round after one whose outcome was `before`.
fn members(group: &Group, before: &Plan, generation: i32) -> Vec<Member> {
    let of = |(number, wanted): (&usize, &BTreeSet<usize>)| {
        let id = Str::from(format!("m{number}"));
        let owned = before.get(&id).cloned().unwrap_or_default();
        Member {
            topics: wanted.iter().map(|topic| Str::from(format!("t{topic}"))).collect(),
            user_data: user_data(Assignor::Sticky, &owned, generation),
            owned,
            generation,
            id,
            ..Member::default()
        }
    };
    group.iter().map(of).collect()
}

/// Every partition that somebody wants is given once, to one who wants it.
fn check_whole(plan: &Plan, members: &[Member], topics: &Topics) {
    let mut given = BTreeSet::new();
    for member in members {
        for place in &plan[&member.id] {
            assert!(member.topics.contains(&place.0), "{place:?} to {}", member.id);
            assert!(given.insert(place.clone()), "{place:?} twice");
        }
    }
    let wanted: BTreeSet<_> = members.iter().flat_map(|member| &member.topics).collect();
    let all = wanted.into_iter().flat_map(|topic| {
        topics
            .get(topic)
            .into_iter()
            .flat_map(move |found| numbers(found).map(move |partition| (topic.clone(), partition)))
    });
    assert!(all.collect::<BTreeSet<_>>() == given, "something is left");
}

/// Nobody has two more than somebody who could take one of them.
fn check_even(plan: &Plan, members: &[Member]) {
    for from in members {
        for to in members {
            let (more, less) = (plan[&from.id].len(), plan[&to.id].len());
            let movable = plan[&from.id].iter().any(|place| to.topics.contains(&place.0));
            assert!(!movable || more <= less + 1, "{} has {more}, {} {less}", from.id, to.id);
        }
    }
}

/// How many partitions have not stayed with a member that had them, and wants them still.
fn moved(before: &Plan, after: &Plan) -> usize {
    let stayed = |(id, places): (&Str, &Vec<Place>)| {
        let kept = after.get(id).map_or(0, |now| places.iter().filter(|p| now.contains(p)).count());
        after.get(id).map_or(0, |_| places.len() - kept)
    };
    before.iter().map(stayed).sum()
}

/// Joins again and again, as a cooperative group does, until nothing moves.
fn settle(group: &Group, before: Plan, topics: &Topics) -> Plan {
    let mut plan = before;
    for generation in 1..10 {
        let members = members(group, &plan, generation);
        let next = assign(Assignor::CooperativeSticky, &members, topics);
        for member in &members {
            for place in &next[&member.id] {
                let holds = |other: &Member| other.id != member.id && other.owned.contains(place);
                assert!(!members.iter().any(holds), "{place:?} has two owners");
            }
        }
        if next == plan {
            return plan;
        }
        plan = next;
    }
    panic!("the group never settles");
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_is_doubled(group in group(false), topics in sizes()) {
        let members = members(&group, &Plan::new(), -1);
        for assignor in ALL {
            check_whole(&assign(assignor, &members, &topics), &members, &topics);
        }
    }

    #[test]
    fn sticky_is_even_and_stays_even(
        first in group(false), second in group(false), topics in sizes(), grown in sizes(),
    ) {
        let old = members(&first, &Plan::new(), -1);
        let before = assign(Assignor::Sticky, &old, &topics);
        check_even(&before, &old);
        // Nothing moves where nothing changes.
        let again = assign(Assignor::Sticky, &members(&first, &before, 1), &topics);
        prop_assert_eq!(&again, &before);

        let new = members(&second, &before, 1);
        let after = assign(Assignor::Sticky, &new, &grown);
        check_whole(&after, &new, &grown);
        check_even(&after, &new);
    }

    /// Where all want the same, the least movement is known: each keeps what it had up to its
    /// share, and those who had most have the larger shares.
    #[test]
    fn sticky_moves_no_more_than_it_must(
        first in group(true), second in group(true), topics in sizes(),
    ) {
        let wanted = first.values().next().cloned().unwrap_or_default();
        let second: Group = second.into_keys().map(|key| (key, wanted.clone())).collect();
        let before = assign(Assignor::Sticky, &members(&first, &Plan::new(), -1), &topics);
        let after = assign(Assignor::Sticky, &members(&second, &before, 1), &topics);

        let total: usize = after.values().map(Vec::len).sum();
        let (share, mut larger) = (total / second.len(), total % second.len());
        let mut counts: Vec<_> =
            after.keys().map(|id| before.get(id).map_or(0, Vec::len)).collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        let least: usize = counts.into_iter().map(|count| {
            let mine = share + usize::from(larger > 0);
            larger = larger.saturating_sub(1);
            count.saturating_sub(mine)
        }).sum();
        prop_assert_eq!(moved(&before, &after), least);
    }

    #[test]
    fn a_cooperative_group_settles_without_a_moment_of_two_owners(
        first in group(false), second in group(false), topics in sizes(),
    ) {
        let before = settle(&first, Plan::new(), &topics);
        let after = settle(&second, before, &topics);
        let members = members(&second, &after, 9);
        check_whole(&after, &members, &topics);
        check_even(&after, &members);
    }
}

/// Checks one line of `golden.txt`: the assignor, topics with the racks of each partition's
/// replicas, members as `id/instance/rack/topics`, and what Kafka's own assignor gives each.
fn check_golden(line: &str) {
    let [name, topics_text, members_text, expected] =
        line.split('|').collect::<Vec<_>>().try_into().unwrap();
    let assignor = <Assignor as klamm_client::config::Value>::parse(name).unwrap();
    let racks = |text: &str| text.chars().filter(|c| *c != '-').map(rack).collect();
    let topics: Topics = topics_text
        .split(' ')
        .map(|text| text.split_once('=').unwrap())
        .map(|(topic, list)| {
            let partitions = list.split(',').filter(|text| !text.is_empty()).map(racks);
            (topic.into(), partitions.collect())
        })
        .collect();
    let member = |text: &str| {
        let [id, instance, at, wanted] = text.split('/').collect::<Vec<_>>().try_into().unwrap();
        let topics = wanted.chars().filter(|c| *c != '-').map(|c| c.to_string().into()).collect();
        Member {
            id: id.into(),
            instance: (instance != "-").then(|| instance.into()),
            rack: at.chars().find(|c| *c != '-').map(rack),
            topics,
            ..Member::default()
        }
    };
    let members: Vec<_> = members_text.split(' ').map(member).collect();
    let expected: Plan = expected
        .split(' ')
        .map(|text| text.split_once(':').unwrap())
        .map(|(id, list)| (id.into(), places(&list.replace(',', " "))))
        .collect();
    assert_eq!(assign(assignor, &members, &topics), expected, "{line}");
}

fn rack(number: char) -> Str {
    format!("r{number}").into()
}

/// What the assignors of Kafka 4.3.1's Java client give.
#[test]
fn range_and_round_robin_assign_as_kafka_does() {
    include_str!("golden.txt").lines().for_each(check_golden);
}
