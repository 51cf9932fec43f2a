//! Many members and a coordinator, under any order of events and with answers that get lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use klamm_protocol::api::consumer_group_heartbeat::Request;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::clock;
use proptest::prelude::*;

use super::tests::{SECOND, TOPIC, found, parse, refusal, rules};
use super::{Beat, ConsumerMachine, Departure, Done, Heard, Machine as _, Step};
use crate::assignment::Place;
use crate::group::machine::{Effect, Told};

/// What the coordinator knows of a member.
#[derive(Clone, Debug, Default)]
struct Entry {
    epoch: i32,
    previous_epoch: i32,
    assigned: BTreeSet<i32>,
    /// Not given to others before the member has said that it has given them up.
    revoking: BTreeSet<i32>,
}

/// A coordinator as simple as can be.
#[derive(Default)]
struct Coordinator {
    epoch: i32,
    members: BTreeMap<Str, Entry>,
    partitions: i32,
}

impl Coordinator {
    /// What a member is to have: every so-manieth partition.
    fn target(&self, id: &Str) -> BTreeSet<i32> {
        let place = self.members.keys().position(|member| member == id).unwrap_or(0);
        (0..self.partitions).skip(place).step_by(self.members.len().max(1)).collect()
    }

    fn forget(&mut self, id: &Str) {
        self.members.remove(id);
        self.epoch += 1;
    }

    fn beat(&mut self, request: &Request) -> Result<Told, ErrorCode> {
        let id = &request.member_id;
        let owned = request.topic_partitions.as_ref().map(|topics| {
            assert!(topics.iter().all(|topic| topic.topic_id == TOPIC));
            topics.iter().flat_map(|topic| topic.partitions.clone()).collect::<BTreeSet<_>>()
        });
        if request.member_epoch == 0 {
            assert_eq!(owned, Some(BTreeSet::new()), "who joins has nothing");
            self.forget(id);
            self.members.insert(id.clone(), Entry::default());
        }
        let entry = self.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let missed = owned.as_ref().is_some_and(|owned| owned.is_subset(&entry.assigned));
        let is_behind = request.member_epoch == entry.previous_epoch && missed;
        if request.member_epoch != 0 && request.member_epoch != entry.epoch && !is_behind {
            return Err(ErrorCode::FENCED_MEMBER_EPOCH);
        }
        if let Some(owned) = &owned {
            let given: BTreeSet<_> = entry.assigned.union(&entry.revoking).copied().collect();
            assert!(owned.is_subset(&given), "{owned:?} was not given: {entry:?}");
        }
        let is_full = request.rebalance_timeout_ms >= 0;
        let before = entry.assigned.clone();
        let next = self.lead(id, entry.clone(), owned.as_ref());
        let tell = is_full || next.assigned != before;
        let assigned = tell.then(|| next.assigned.iter().map(|index| (TOPIC, *index)).collect());
        let told = Told { epoch: next.epoch, interval: SECOND * 3, assigned };
        self.members.insert(id.clone(), next);
        Ok(told)
    }

    /// Towards the target: first it gives up, then it gets what is free.
    fn lead(&self, id: &Str, mut entry: Entry, owned: Option<&BTreeSet<i32>>) -> Entry {
        if owned.is_some_and(|owned| entry.revoking.is_disjoint(owned)) {
            entry.revoking.clear();
        }
        let target = self.target(id);
        let leaving: BTreeSet<_> = entry.assigned.difference(&target).copied().collect();
        entry.assigned.retain(|index| target.contains(index));
        entry.revoking.extend(leaving);
        if !entry.revoking.is_empty() {
            return entry;
        }
        let others = self.members.iter().filter(|(other, _)| *other != id);
        let held: BTreeSet<_> =
            others.flat_map(|(_, other)| other.assigned.union(&other.revoking)).collect();
        entry.assigned.extend(target.iter().filter(|index| !held.contains(index)));
        if entry.epoch != self.epoch {
            (entry.previous_epoch, entry.epoch) = (entry.epoch, self.epoch);
        }
        entry
    }
}

struct Party {
    machine: ConsumerMachine,
    /// What its application reads.
    owned: BTreeSet<Place>,
    giving_up: Option<(u64, Vec<Place>)>,
}

struct Together {
    coordinator: Coordinator,
    parties: Vec<Party>,
    /// Whether the topic's name can be found out.
    is_named: bool,
    now: Instant,
}

/// What becomes of a heartbeat.
#[derive(Clone, Copy, Debug)]
enum Post {
    Arrives,
    RequestIsLost,
    AnswerIsLost,
}

/// What may happen, to the member with this number where it happens to one.
#[derive(Clone, Debug)]
enum Happening {
    Comes,
    Goes(usize),
    /// The coordinator forgets a member that lives.
    IsForgotten(usize),
    /// Its application is away for too long, and then comes back.
    IsLate(usize),
    TopicGrows,
    TopicIsNamed,
    Acts(usize, Post),
}

impl Together {
    fn happen(&mut self, happening: &Happening) {
        let index = |number: &usize| number.checked_rem(self.parties.len());
        match happening {
            Happening::Comes => {
                let machine = ConsumerMachine::new(rules(), parse(&["t"]), self.now);
                let owned = BTreeSet::new();
                self.parties.push(Party { machine, owned, giving_up: None });
            }
            Happening::Goes(number) => {
                if let Some(index) = index(number) {
                    let party = self.parties.swap_remove(index);
                    if let Some(Departure::Consumer(request)) = party.machine.departure() {
                        self.coordinator.forget(&request.member_id);
                    }
                }
            }
            Happening::IsForgotten(number) => {
                if let Some(index) = index(number) {
                    let member = self.parties[index].machine.identity().member.clone();
                    self.coordinator.forget(&member);
                }
            }
            Happening::IsLate(number) => {
                if let Some(index) = index(number) {
                    self.parties[index].machine.late();
                    self.act(index, Post::Arrives);
                    self.parties[index].machine.back(self.now);
                }
            }
            Happening::TopicGrows => {
                self.coordinator.partitions += 1;
                self.coordinator.epoch += 1;
            }
            Happening::TopicIsNamed => self.is_named = true,
            Happening::Acts(number, post) => {
                if let Some(index) = index(number) {
                    self.act(index, *post);
                }
            }
        }
    }

    /// One member does what there is to do for it.
    fn act(&mut self, index: usize, post: Post) {
        self.now += SECOND / 2;
        let (now, coordinator) = (self.now, &mut self.coordinator);
        let Party { machine, owned, giving_up } = &mut self.parties[index];
        if machine.look(now).is_some() {
            let mut found = found(4);
            found.names.retain(|_, _| self.is_named);
            machine.looked(found, now);
        }
        giving_up.take_if(|(begun, _)| *begun != machine.round());
        if let Some((_, places)) = giving_up.take() {
            owned.retain(|place| !places.contains(place));
            machine.done(Done::GaveUp(places), now);
        } else {
            match machine.step(now) {
                Some(Step::GiveUp(places)) => *giving_up = Some((machine.round(), places)),
                Some(Step::Leave(Departure::Consumer(request))) => {
                    coordinator.forget(&request.member_id);
                    machine.done(Done::Left, now);
                }
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        }
        if let Some(Beat::Consumer(request)) = machine.beat(now) {
            let cut = || refusal(ErrorCode::NOT_COORDINATOR);
            let outcome = match post {
                Post::Arrives => coordinator.beat(&request).map_err(refusal),
                Post::RequestIsLost => Err(cut()),
                Post::AnswerIsLost => coordinator.beat(&request).map_err(refusal).and(Err(cut())),
            };
            machine.beaten(outcome.map(Heard::Consumer), now);
        }
        while let Some(effect) = machine.effect() {
            match effect {
                Effect::Assigned(places) => owned.extend(places),
                Effect::Lost(places) => owned.retain(|place| !places.contains(place)),
                Effect::TooLate => assert!(owned.is_empty()),
                Effect::Refused(error) | Effect::Fatal(error) => panic!("{error}"),
            }
        }
        assert_eq!(*owned, machine.member.owned);
        self.check();
    }

    /// Nobody has what was not given to it. What is given to one is given to nobody else.
    fn check(&self) {
        for Party { machine, owned, .. } in &self.parties {
            if let Some(entry) = self.coordinator.members.get(&machine.identity().member) {
                for (_, index) in owned {
                    let is_given = entry.assigned.contains(index) || entry.revoking.contains(index);
                    assert!(is_given, "{index} is not the member's: {entry:?}");
                }
            }
        }
    }

    /// Nothing happens any more but what members do by themselves: each has what it is to have,
    /// and the coordinator knows that.
    fn settle(&mut self) {
        self.is_named = true;
        for _ in 0..100 {
            (0..self.parties.len()).for_each(|index| self.act(index, Post::Arrives));
        }
        for Party { machine, owned, .. } in &self.parties {
            let id = &machine.identity().member;
            let owned: BTreeSet<_> = owned.iter().map(|(_, index)| *index).collect();
            assert_eq!(owned, self.coordinator.target(id));
            assert!(!machine.has_news(), "it has not said what it has");
        }
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let post = prop_oneof![
        6 => Just(Post::Arrives),
        1 => Just(Post::RequestIsLost),
        1 => Just(Post::AnswerIsLost),
    ];
    prop_oneof![
        2 => Just(Happening::Comes),
        1 => (0..9usize).prop_map(Happening::Goes),
        1 => (0..9usize).prop_map(Happening::IsForgotten),
        1 => (0..9usize).prop_map(Happening::IsLate),
        1 => Just(Happening::TopicGrows),
        1 => Just(Happening::TopicIsNamed),
        20 => (0..9usize, post).prop_map(|(number, post)| Happening::Acts(number, post)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nobody_has_what_it_was_not_given_and_all_is_acknowledged(
        happenings in prop::collection::vec(happening(), 0..200),
    ) {
        let mut together = Together {
            coordinator: Coordinator { epoch: 1, partitions: 7, ..Coordinator::default() },
            parties: Vec::new(),
            is_named: false,
            now: clock::now(),
        };
        for happening in &happenings {
            together.happen(happening);
        }
        together.settle();
    }
}
