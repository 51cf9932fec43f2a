//! What the assignors make of many groups, next to what Kafka's own make of them.

use proptest::prelude::*;

use super::*;

/// A group, as lines of text tell of it.
#[derive(Clone, Debug)]
struct Group {
    counts: Vec<i32>,
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    id: Str,
    instance_id: Option<Str>,
    topics: BTreeSet<Uuid>,
    target: Partitions,
}

/// Topics are named by letters, from `t` on.
fn topic(letter: u8) -> Uuid {
    let mut id = [0; 16];
    id[15] = letter - b's';
    Uuid(id)
}

fn partitions(text: &str) -> Partitions {
    let read = |text: &str| (topic(text.as_bytes()[0]), text[1..].parse().unwrap());
    text.split(',').filter(|text| *text != "-").map(read).collect()
}

impl Group {
    fn parse(topics: &str, members: &str) -> Self {
        let count = |text: &str| text.split_once('=').unwrap().1.parse().unwrap();
        let some = |text: &str| Some(text).filter(|text| *text != "-").map(Str::from);
        let member = |text: &str| {
            let fields: Vec<&str> = text.split('/').collect();
            let letters = some(fields[2]).unwrap_or_default();
            Member {
                id: fields[0].into(),
                instance_id: some(fields[1]),
                topics: letters.bytes().map(topic).collect(),
                target: partitions(fields[3]),
            }
        };
        Self {
            counts: topics.split(' ').map(count).collect(),
            members: members.split(' ').map(member).collect(),
        }
    }

    fn count(&self, topic: &Uuid) -> i32 {
        self.counts[usize::from(topic.0[15]) - 1]
    }

    fn assign(&self, assignor: Assignor) -> BTreeMap<Str, Partitions> {
        let subscribers = self.members.iter().map(|member| Subscriber {
            id: &member.id,
            instance_id: member.instance_id.as_ref(),
            topics: Rc::new(member.topics.clone()),
            target: &member.target,
        });
        assignor.assign(&subscribers.collect::<Vec<_>>(), |topic| self.count(topic))
    }

    /// How many partitions stay with whom they were.
    fn kept(&self, assigned: &BTreeMap<Str, Partitions>) -> usize {
        let kept = self.members.iter().map(|it| it.target.intersection(&assigned[&it.id]).count());
        kept.sum()
    }

    /// Every partition that somebody reads has one owner, which reads it.
    fn check(&self, assigned: &BTreeMap<Str, Partitions>) {
        let mut all = Partitions::new();
        for member in &self.members {
            for partition in &assigned[&member.id] {
                assert!(member.topics.contains(&partition.0), "{} reads it", member.id);
                assert!(all.insert(*partition), "one owner of {partition:?}");
            }
        }
        let read: BTreeSet<&Uuid> = self.members.iter().flat_map(|it| &it.topics).collect();
        let expected: i32 = read.iter().map(|topic| self.count(topic)).sum();
        assert_eq!(all.len(), usize::try_from(expected).unwrap());
        assert_eq!(assigned.len(), self.members.len());
    }
}

/// The less, the more even.
fn unevenness(assigned: &BTreeMap<Str, Partitions>) -> usize {
    assigned.values().map(|partitions| partitions.len().pow(2)).sum()
}

/// Plays a line of `golden.txt`: the assignor, topics with their partitions, members with instance
/// ids, what they read and what they held, and what Kafka makes of it. Returns what the uniform one
/// makes of it: how uneven it is, and how much was kept, for us and for Kafka.
#[track_caller]
fn check_golden(line: &str) -> Option<[(usize, usize); 2]> {
    let fields: Vec<&str> = line.split('|').collect();
    let group = Group::parse(fields[1], fields[2]);
    let result = |text: &str| {
        let (id, held) = text.split_once(':').unwrap();
        (Str::from(id), partitions(held))
    };
    let theirs: BTreeMap<Str, Partitions> = fields[3].split(' ').map(result).collect();
    let assignor = Assignor::named(fields[0]).unwrap();
    let ours = group.assign(assignor);
    group.check(&ours);
    if assignor == Assignor::Range {
        assert_eq!(ours, theirs, "{line}");
        return None;
    }
    Some([&ours, &theirs].map(|assigned| (unevenness(assigned), group.kept(assigned))))
}

/// What the classes of Kafka 4.3.1 assigned to random groups. The uniform one has a choice; over
/// all it is to be as even, but for one in a thousand, and to move as little.
#[test]
fn partitions_are_assigned_as_by_kafka() {
    let uniform = include_str!("golden.txt").lines().filter_map(check_golden);
    let [mut ours, mut theirs] = [(0, 0); 2];
    for [one, other] in uniform {
        ours = (ours.0 + one.0, ours.1 + one.1);
        theirs = (theirs.0 + other.0, theirs.1 + other.1);
    }
    let is_even = ours.0 <= theirs.0 + theirs.0 / 1000;
    assert!(is_even && ours.1 >= theirs.1, "{ours:?} {theirs:?}");
}

fn group(are_alike: bool) -> impl Strategy<Value = Group> {
    let counts = prop::collection::vec(1..12i32, 1..5);
    (counts, 1..8usize).prop_flat_map(move |(counts, members)| {
        let topics = counts.len();
        let reads = prop::collection::vec(prop::collection::vec(any::<bool>(), topics), members);
        let places: usize = counts.iter().map(|count| usize::try_from(*count).unwrap()).sum();
        let owners = prop::collection::vec(prop::option::of(0..members), places);
        (Just(counts), reads, owners)
            .prop_map(move |(counts, reads, owners)| build(counts, &reads, &owners, are_alike))
    })
}

fn build(
    counts: Vec<i32>,
    reads: &[Vec<bool>],
    owners: &[Option<usize>],
    are_alike: bool,
) -> Group {
    let id = |topic: usize| topic_at(topic);
    let member = |(place, reads): (usize, &Vec<bool>)| Member {
        id: format!("m{place}").into(),
        instance_id: None,
        topics: (0..counts.len()).filter(|it| are_alike || reads[*it]).map(id).collect(),
        target: Partitions::new(),
    };
    let mut members: Vec<Member> = reads.iter().enumerate().map(member).collect();
    let places = counts
        .iter()
        .enumerate()
        .flat_map(|(topic, count)| (0..*count).map(move |index| (topic_at(topic), index)));
    for (place, owner) in places.zip(owners) {
        if let Some(owner) = owner {
            members[*owner].target.insert(place);
        }
    }
    Group { counts, members }
}

fn topic_at(place: usize) -> Uuid {
    topic(b't' + u8::try_from(place).unwrap())
}

proptest! {
    #[test]
    fn everything_that_is_read_has_one_owner(group in group(false)) {
        for assignor in [Assignor::Uniform, Assignor::Range] {
            group.check(&group.assign(assignor));
        }
    }

    #[test]
    fn those_who_read_the_same_get_as_much(group in group(true)) {
        let assigned = group.assign(Assignor::Uniform);
        let loads = assigned.values().map(BTreeSet::len);
        let (least, most) = (loads.clone().min().unwrap(), loads.max().unwrap());
        prop_assert!(most <= least + 1);
        // Only what somebody had too much of has changed hands.
        let had: usize = group.members.iter().map(|member| member.target.len()).sum();
        let surplus = |member: &Member| member.target.len().saturating_sub(least);
        let too_much: usize = group.members.iter().map(surplus).sum();
        prop_assert!(group.kept(&assigned) + too_much >= had);
    }

    #[test]
    fn nothing_moves_twice(group in group(false)) {
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let mut again = group.clone();
            let first = group.assign(assignor);
            for member in &mut again.members {
                member.target = first[&member.id].clone();
            }
            prop_assert_eq!(again.assign(assignor), first);
        }
    }
}
