//! Many members and a coordinator, under any order of events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;
use klamm_client::config::Assignor;
use klamm_protocol::api::{join_group, sync_group};
use klamm_protocol::consumer_protocol::Assignment;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::clock;
use proptest::prelude::*;

use super::tests::{SECOND, answered, found, refusal, rules};
use super::{ClassicMachine, Departure, Heard, Machine as _, Rules, Step};
use crate::assignment::Place;
use crate::group::assignor::from_wire;
use crate::group::machine::{Done, Effect};

/// A coordinator as simple as can be: a round is prepared when anybody joins or goes, and over
/// when everybody has joined.
#[derive(Default)]
struct Coordinator {
    generation: i32,
    ids: u32,
    promised: BTreeSet<Str>,
    /// With the subscription of those who have joined the round that is being prepared.
    members: BTreeMap<Str, Option<Bytes>>,
    is_preparing: bool,
    joined: BTreeMap<Str, join_group::Response>,
    /// What the leader of this generation gives each.
    assignment: Option<BTreeMap<Str, Bytes>>,
}

impl Coordinator {
    fn prepare(&mut self) {
        self.is_preparing = true;
        self.assignment = None;
        self.complete();
    }

    fn complete(&mut self) {
        let everybody: Option<Vec<_>> = self.members.values().cloned().collect();
        let (Some(everybody), true) = (everybody, self.is_preparing) else { return };
        (self.is_preparing, self.generation) = (false, self.generation + 1);
        let present = |(id, metadata): (&Str, Bytes)| join_group::Member {
            member_id: id.clone(),
            metadata,
            ..join_group::Member::default()
        };
        let members: Vec<_> = self.members.keys().zip(everybody).map(present).collect();
        let Some(leader) = self.members.keys().next().cloned() else { return };
        for (id, metadata) in &mut self.members {
            *metadata = None;
            let answer = join_group::Response {
                generation_id: self.generation,
                member_id: id.clone(),
                members: if *id == leader { members.clone() } else { Vec::new() },
                leader: leader.clone(),
                ..join_group::Response::default()
            };
            self.joined.insert(id.clone(), answer);
        }
    }

    /// A member goes, or its session ends.
    fn forget(&mut self, member: &Str) {
        self.joined.remove(member);
        if self.members.remove(member).is_some() {
            self.prepare();
        }
    }

    /// Takes a member in that has its id already, and otherwise gives it one; says so if it does
    /// not take it in.
    fn join(&mut self, request: &join_group::Request) -> Option<join_group::Response> {
        let refused = |error_code, member_id| {
            Some(join_group::Response { error_code, member_id, ..Default::default() })
        };
        let id = request.member_id.clone();
        if id.is_empty() {
            self.ids += 1;
            let id = Str::from(format!("m{}", self.ids));
            self.promised.insert(id.clone());
            return refused(ErrorCode::MEMBER_ID_REQUIRED, id);
        }
        if !self.promised.remove(&id) && !self.members.contains_key(&id) {
            return refused(ErrorCode::UNKNOWN_MEMBER_ID, Str::default());
        }
        self.joined.remove(&id);
        self.members.insert(id, Some(request.protocols[0].metadata.clone()));
        self.prepare();
        None
    }

    fn check(&self, member: &Str, generation: i32) -> Result<(), ErrorCode> {
        if !self.members.contains_key(member) {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        if self.is_preparing { Err(ErrorCode::REBALANCE_IN_PROGRESS) } else { Ok(()) }
    }

    /// What a member gets, once the leader has said it.
    fn sync(&mut self, request: &sync_group::Request) -> Option<Result<Vec<Place>, ErrorCode>> {
        if let Err(code) = self.check(&request.member_id, request.generation_id) {
            return Some(Err(code));
        }
        if !request.assignments.is_empty() {
            let given = request.assignments.iter();
            let given = given.map(|given| (given.member_id.clone(), given.assignment.clone()));
            self.assignment = Some(given.collect());
        }
        let mine = self.assignment.as_ref()?.get(&request.member_id)?.clone();
        Some(Ok(from_wire(Assignment::decode(mine).unwrap().assigned_partitions)))
    }
}

/// What a member waits for.
enum Waiting {
    Join(Str),
    Sync(sync_group::Request),
}

struct Party {
    machine: ClassicMachine,
    /// With the machine's round in which it began.
    waiting: Option<(u64, Waiting)>,
    /// What its application reads.
    owned: BTreeSet<Place>,
}

struct Together {
    coordinator: Coordinator,
    parties: Vec<Party>,
    rules: Rules,
    partitions: usize,
    now: Instant,
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
    Acts(usize),
}

impl Together {
    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Comes => {
                let machine = ClassicMachine::new(self.rules.clone(), self.now);
                self.parties.push(Party { machine, waiting: None, owned: BTreeSet::new() });
            }
            Happening::Goes(number) => {
                if let Some(index) = self.index(*number) {
                    let party = self.parties.swap_remove(index);
                    self.coordinator.forget(&party.machine.identity().member);
                }
            }
            Happening::IsForgotten(number) => {
                if let Some(index) = self.index(*number) {
                    let member = self.parties[index].machine.identity().member.clone();
                    self.coordinator.forget(&member);
                }
            }
            Happening::IsLate(number) => {
                if let Some(index) = self.index(*number) {
                    self.parties[index].machine.late();
                    self.act(index);
                    self.parties[index].machine.back(self.now);
                }
            }
            Happening::TopicGrows => self.partitions += 1,
            Happening::Acts(number) => {
                if let Some(index) = self.index(*number) {
                    self.act(index);
                }
            }
        }
    }

    fn index(&self, number: usize) -> Option<usize> {
        number.checked_rem(self.parties.len())
    }

    /// One member does what there is to do for it.
    fn act(&mut self, index: usize) {
        self.now += SECOND / 2;
        let (now, coordinator) = (self.now, &mut self.coordinator);
        let Party { machine, waiting, owned } = &mut self.parties[index];
        if machine.look(now).is_some() {
            machine.looked(found(self.partitions), now);
        }
        if machine.beat(now).is_some() {
            let sender = machine.identity();
            let outcome = coordinator.check(&sender.member, sender.generation);
            machine.beaten(outcome.map(|()| Heard::Classic).map_err(refusal), now);
        }
        let still = waiting.take().filter(|(begun, _)| *begun == machine.round());
        let still = match still {
            Some((_, what)) => wait(coordinator, machine, what, now),
            None => machine.step(now).and_then(|step| begin(coordinator, machine, step, now)),
        };
        *waiting = still.map(|what| (machine.round(), what));
        while let Some(effect) = machine.effect() {
            match effect {
                Effect::Assigned(places) => owned.extend(places),
                Effect::Lost(places) => owned.retain(|place| !places.contains(place)),
                Effect::TooLate => assert!(owned.is_empty()),
                Effect::Refused(error) | Effect::Fatal(error) => panic!("{error}"),
            }
        }
        owned.retain(|place| machine.member.owned.contains(place));
        self.check();
    }

    /// No two members that the coordinator knows have the same partition.
    fn check(&self) {
        let mut owned = BTreeSet::new();
        for Party { machine, owned: mine, .. } in &self.parties {
            if self.coordinator.members.contains_key(&machine.identity().member) {
                for place in mine {
                    assert!(owned.insert(place), "{place:?} has two owners");
                }
            }
        }
    }

    /// Nothing happens any more but what members do by themselves: each partition finds its owner.
    fn settle(&mut self) {
        for _ in 0..100 {
            (0..self.parties.len()).for_each(|index| self.act(index));
        }
        let owned: usize = self.parties.iter().map(|party| party.owned.len()).sum();
        assert_eq!(owned, if self.parties.is_empty() { 0 } else { self.partitions });
        assert!(self.parties.iter().all(|party| party.waiting.is_none()), "somebody waits");
    }
}

fn begin(
    coordinator: &mut Coordinator,
    machine: &mut ClassicMachine,
    step: Step,
    now: Instant,
) -> Option<Waiting> {
    match step {
        Step::GiveUp(places) => machine.member.gave_up(&places),
        Step::Leave(Departure::Classic(identity)) => {
            coordinator.forget(&identity.member);
            machine.done(Done::Left, now);
        }
        Step::Leave(other) => panic!("{other:?}"),
        Step::Sync(request) => return wait(coordinator, machine, Waiting::Sync(request), now),
        Step::Join(request) => match coordinator.join(&request) {
            None => return Some(Waiting::Join(request.member_id)),
            Some(refused) => machine.joined(Ok(answered(refused)), now),
        },
    }
    None
}

/// Gives what is to be waited for still.
fn wait(
    coordinator: &mut Coordinator,
    machine: &mut ClassicMachine,
    waiting: Waiting,
    now: Instant,
) -> Option<Waiting> {
    match &waiting {
        Waiting::Join(id) => match coordinator.joined.remove(id) {
            Some(answer) => {
                let protocol_name = Some(match machine.member.rules.assignors[0] {
                    Assignor::CooperativeSticky => "cooperative-sticky".into(),
                    _ => "sticky".into(),
                });
                let answer = join_group::Response { protocol_name, ..answer };
                machine.joined(Ok(answered(answer)), now);
            }
            None if coordinator.members.contains_key(id) => return Some(waiting),
            None => machine.joined(Err(refusal(ErrorCode::UNKNOWN_MEMBER_ID)), now),
        },
        Waiting::Sync(request) => match coordinator.sync(request) {
            Some(outcome) => machine.synced(outcome.map_err(refusal), now),
            None => return Some(waiting),
        },
    }
    None
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => Just(Happening::Comes),
        1 => (0..9usize).prop_map(Happening::Goes),
        1 => (0..9usize).prop_map(Happening::IsForgotten),
        1 => (0..9usize).prop_map(Happening::IsLate),
        1 => Just(Happening::TopicGrows),
        20 => (0..9usize).prop_map(Happening::Acts),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_group_settles_and_no_partition_ever_has_two_owners(
        happenings in prop::collection::vec(happening(), 0..200),
        assignor in prop_oneof![Just(Assignor::Sticky), Just(Assignor::CooperativeSticky)],
    ) {
        let mut together = Together {
            coordinator: Coordinator::default(),
            parties: Vec::new(),
            rules: Rules { topics_max_age: SECOND * 2, ..rules(assignor) },
            partitions: 7,
            now: clock::now(),
        };
        for happening in &happenings {
            together.happen(happening);
        }
        together.settle();
    }
}
