//! One member, scene by scene.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use klamm_client::config::Assignor;
use klamm_client::{Answer, Error, Origin, Subject};
use klamm_protocol::api::join_group;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::backoff::Backoff;
use klamm_utils::clock;

use super::{ClassicMachine, Heard, Identity, Machine as _, Rules, Step};
use crate::assignment::Place;
use crate::group::assignor::Topics;
use crate::group::machine::{Done, effects};
use crate::group::subscription::{Found, Subscription};

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(in crate::group::machine) fn rules(assignor: Assignor) -> Rules {
    Rules {
        group: "g".into(),
        instance: None,
        assignors: vec![assignor],
        remote_assignor: None,
        rack: None,
        session_timeout: 45 * SECOND,
        rebalance_timeout: 300 * SECOND,
        heartbeat_interval: 3 * SECOND,
        topics_max_age: 300 * SECOND,
        missing_max_age: SECOND,
        backoff: Backoff::new(SECOND / 10, SECOND),
    }
}

pub(super) fn refusal(code: ErrorCode) -> Error {
    origin().error(code, Subject::Name("g".into()))
}

pub(super) fn answered<T>(body: T) -> Answer<T> {
    Answer { body, origin: origin() }
}

fn origin() -> Origin {
    Origin { api: "JoinGroup", address: "a:1".into() }
}

/// The topic `t` with so many partitions, to which all subscribe.
pub(in crate::group::machine) fn found(partitions: usize) -> Found {
    let topics = Topics::from([("t".into(), vec![BTreeSet::new(); partitions])]);
    let wanted = BTreeSet::from(["t".into()]);
    Found { asked: wanted.clone(), wanted, topics, ..Found::default() }
}

fn places(numbers: impl IntoIterator<Item = i32>) -> Vec<Place> {
    numbers.into_iter().map(|number| ("t".into(), number)).collect()
}

/// A machine, and the moment up to which it has lived.
struct Scene {
    machine: ClassicMachine,
    now: Instant,
}

impl Scene {
    /// Knows the topic, which has four partitions.
    fn new(rules: Rules) -> Self {
        let now = clock::now();
        let mut machine = ClassicMachine::new(rules, now);
        assert_eq!(machine.step(now), None, "it must see the topics before it joins");
        assert_eq!(machine.look(now), Some(BTreeSet::new()));
        machine.looked(found(4), now);
        Self { machine, now }
    }

    /// A follower with these partitions.
    fn member(rules: Rules, assigned: &[i32]) -> Self {
        let mut scene = Self::new(rules);
        scene.join(1);
        scene.sync(assigned);
        scene
    }

    fn step(&mut self) -> Option<Step> {
        // Whatever pause there is, is over.
        self.now += SECOND * 2;
        self.machine.step(self.now)
    }

    fn join(&mut self, generation_id: i32) {
        let Some(Step::Join(request)) = self.step() else { panic!("it does not join") };
        self.joined(&request, generation_id);
    }

    fn joined(&mut self, request: &join_group::Request, generation_id: i32) {
        let answer = join_group::Response {
            generation_id,
            protocol_name: Some(request.protocols[0].name.clone()),
            member_id: "me".into(),
            leader: "other".into(),
            ..join_group::Response::default()
        };
        self.machine.joined(Ok(answered(answer)), self.now);
    }

    fn sync(&mut self, assigned: &[i32]) {
        let Some(Step::Sync(request)) = self.step() else { panic!("it does not sync") };
        assert_eq!(request.assignments, []);
        self.machine.synced(Ok(places(assigned.iter().copied())), self.now);
    }

    fn give_up(&mut self, expected: &[i32]) {
        let step = self.step();
        assert_eq!(step, Some(Step::GiveUp(places(expected.iter().copied()))));
        self.machine.member.gave_up(&places(expected.iter().copied()));
    }

    fn beat(&mut self, outcome: Result<(), ErrorCode>) {
        self.now += SECOND * 3;
        assert!(self.machine.beat(self.now).is_some(), "no heartbeat is due");
        let outcome = outcome.map(|()| Heard::Classic).map_err(refusal);
        self.machine.beaten(outcome, self.now);
    }

    fn effects(&mut self) -> Vec<String> {
        effects(&mut self.machine)
    }
}

#[test]
fn a_new_member_is_given_an_id_first() {
    let mut scene = Scene::new(rules(Assignor::Range));
    let Some(Step::Join(first)) = scene.step() else { panic!("it does not join") };
    assert_eq!(first.member_id, "");
    let answer = join_group::Response {
        error_code: ErrorCode::MEMBER_ID_REQUIRED,
        member_id: "me".into(),
        ..join_group::Response::default()
    };
    scene.machine.joined(Ok(answered(answer)), scene.now);
    // At once, without a pause.
    let Some(Step::Join(second)) = scene.machine.step(scene.now) else { panic!("not again") };
    assert_eq!(second.member_id, "me");
}

#[test]
fn an_eager_member_gives_everything_up_before_it_joins_again() {
    let mut scene = Scene::member(rules(Assignor::Range), &[0, 1]);
    assert_eq!(scene.effects(), ["assigned 0 1"]);
    scene.beat(Ok(()));
    assert_eq!(scene.step(), None);
    scene.beat(Err(ErrorCode::REBALANCE_IN_PROGRESS));
    let step = scene.step();
    assert_eq!(step, Some(Step::GiveUp(places([0, 1]))));
    // However long that takes, heartbeats go on.
    scene.beat(Err(ErrorCode::REBALANCE_IN_PROGRESS));
    scene.machine.member.gave_up(&places([0, 1]));
    scene.join(2);
    scene.sync(&[1]);
    assert_eq!(scene.effects(), ["assigned 1"]);
}

#[test]
fn a_heartbeat_that_is_answered_during_a_join_costs_no_other_rebalance() {
    let mut scene = Scene::member(rules(Assignor::CooperativeSticky), &[0]);
    scene.now += SECOND * 3;
    assert!(scene.machine.beat(scene.now).is_some(), "no heartbeat is due");
    let wanted = BTreeSet::from(["t".into(), "u".into()]);
    scene.machine.looked(Found { wanted, ..found(4) }, scene.now);
    let Some(Step::Join(request)) = scene.step() else { panic!("it does not join") };
    scene.machine.beaten(Err(refusal(ErrorCode::REBALANCE_IN_PROGRESS)), scene.now);
    scene.joined(&request, 2);
    scene.sync(&[0]);
    assert_eq!(scene.step(), None);
}

#[test]
fn a_cooperative_member_keeps_what_it_can_and_joins_again_for_the_rest() {
    let mut scene = Scene::member(rules(Assignor::CooperativeSticky), &[0, 1, 2]);
    scene.beat(Err(ErrorCode::REBALANCE_IN_PROGRESS));
    scene.join(2);
    scene.sync(&[0, 3]);
    assert_eq!(scene.effects(), ["assigned 0 1 2", "assigned 3"]);
    scene.give_up(&[1, 2]);
    scene.join(3);
    scene.sync(&[0, 3]);
    assert_eq!((scene.effects(), scene.step()), (Vec::new(), None));
}

#[test]
fn what_a_refusal_means() {
    use ErrorCode as E;
    for (code, member, effects) in [
        (E::UNKNOWN_MEMBER_ID, "", &["assigned 0", "lost 0"][..]),
        (E::ILLEGAL_GENERATION, "me", &["assigned 0", "lost 0"]),
        (E::FENCED_INSTANCE_ID, "me", &["assigned 0", "lost 0", "fatal 82"]),
        (E::GROUP_AUTHORIZATION_FAILED, "me", &["assigned 0", "lost 0", "fatal 30"]),
        (E::NOT_COORDINATOR, "me", &["assigned 0"]),
        (E::COORDINATOR_LOAD_IN_PROGRESS, "me", &["assigned 0"]),
        (E::UNKNOWN_SERVER_ERROR, "me", &["assigned 0"]),
    ] {
        let mut scene = Scene::member(rules(Assignor::CooperativeSticky), &[0]);
        scene.beat(Err(code));
        assert_eq!(scene.machine.identity().member, member, "{code}");
        assert_eq!(scene.effects(), effects, "{code}");
        let joins = matches!(scene.step(), Some(Step::Join(_)));
        assert_eq!(joins, effects.len() == 2, "{code}");
    }
}

#[test]
fn a_round_that_is_overtaken_or_fails_begins_anew() {
    use ErrorCode as E;
    for code in [E::REBALANCE_IN_PROGRESS, E::NOT_COORDINATOR, E::UNKNOWN_SERVER_ERROR] {
        let mut scene = Scene::new(rules(Assignor::Range));
        assert!(matches!(scene.step(), Some(Step::Join(_))));
        let refused = join_group::Response { error_code: code, ..Default::default() };
        scene.machine.joined(Ok(answered(refused)), scene.now);
        assert_eq!(scene.machine.step(scene.now), None, "after a pause");
        scene.join(1);
        assert!(matches!(scene.step(), Some(Step::Sync(_))));
        scene.machine.synced(Err(refusal(code)), scene.now);
        assert_eq!(scene.machine.step(scene.now), None, "after a pause");
        scene.join(2);
        scene.sync(&[2]);
        assert_eq!(scene.effects(), ["assigned 2"]);
    }
}

#[test]
fn an_answer_to_who_it_was_before_counts_for_nothing() {
    let mut scene = Scene::member(rules(Assignor::CooperativeSticky), &[0]);
    scene.now += SECOND * 3;
    assert!(scene.machine.beat(scene.now).is_some());
    let after = Identity { generation: 2, ..scene.machine.identity().clone() };
    scene.machine.member.identity = after;
    let stale = Err(refusal(ErrorCode::ILLEGAL_GENERATION));
    scene.machine.beaten(stale, scene.now);
    assert_eq!((scene.effects(), scene.step()), (vec!["assigned 0".to_owned()], None));
}

#[test]
fn a_member_whose_application_is_away_leaves_until_it_comes_back() {
    for (instance, leaves) in [(None, true), (Some(Str::from("one")), false)] {
        let mut scene = Scene::member(Rules { instance, ..rules(Assignor::Range) }, &[0]);
        let round = scene.machine.round();
        scene.machine.late();
        assert_ne!(scene.machine.round(), round);
        assert_eq!(scene.effects(), ["assigned 0", "lost 0", "too late"]);
        assert_eq!(scene.machine.departure().is_some(), leaves, "if it were closed now");
        assert_eq!(matches!(scene.step(), Some(Step::Leave(_))), leaves);
        assert_eq!((scene.step(), scene.machine.beat(scene.now)), (None, None));
        assert_eq!(scene.machine.departure().is_some(), leaves, "nobody has answered");
        scene.machine.back(scene.now);
        assert_eq!(scene.step().is_some(), !leaves, "it has not left yet");
        scene.machine.done(Done::Left, scene.now);
        let Some(Step::Join(request)) = scene.step() else { panic!("it does not come back") };
        assert_eq!(request.member_id, "");
    }
}

#[test]
fn a_leader_looks_at_the_topics_of_others_before_it_assigns() {
    let mut scene = Scene::new(rules(Assignor::Range));
    let Some(Step::Join(request)) = scene.step() else { panic!("it does not join") };
    let other = crate::group::assignor::to_wire(&[]);
    let subscription = klamm_protocol::consumer_protocol::Subscription {
        topics: vec!["u".into()],
        owned_partitions: other,
        ..Default::default()
    };
    let member = |id: &str, metadata| join_group::Member {
        member_id: id.into(),
        metadata,
        ..join_group::Member::default()
    };
    let members = vec![
        member("me", request.protocols[0].metadata.clone()),
        member("you", subscription.encode(3).unwrap()),
        member("odd", bytes::Bytes::from_static(b"nonsense")),
    ];
    let answer = join_group::Response {
        generation_id: 1,
        protocol_name: Some("range".into()),
        member_id: "me".into(),
        leader: "me".into(),
        members,
        ..join_group::Response::default()
    };
    scene.machine.joined(Ok(answered(answer)), scene.now);
    assert_eq!(scene.step(), None);
    let others = scene.machine.look(scene.now).unwrap();
    assert!(others.contains("u"));
    let mut found = found(4);
    found.asked.extend(others);
    found.topics.insert("u".into(), vec![BTreeSet::new(); 2]);
    scene.machine.looked(found.clone(), scene.now);
    let Some(Step::Sync(request)) = scene.step() else { panic!("it does not assign") };
    let given: Vec<_> = request.assignments.iter().map(|given| &*given.member_id).collect();
    assert_eq!(given, ["me", "odd", "you"]);
    scene.machine.synced(Ok(places(0..4)), scene.now);
    assert_eq!(scene.step(), None);
    // More partitions of anybody's topic are a reason for another round.
    found.topics.insert("u".into(), vec![BTreeSet::new(); 3]);
    scene.machine.looked(found, scene.now);
    scene.give_up(&[0, 1, 2, 3]);
    assert!(matches!(scene.step(), Some(Step::Join(_))));
}

#[test]
fn another_subscription_is_a_reason_to_join_again() {
    let mut scene = Scene::member(rules(Assignor::CooperativeSticky), &[0]);
    scene.machine.resubscribed(&Subscription::default(), scene.now);
    assert!(scene.machine.look(scene.now).is_some());
    scene.machine.looked(Found::default(), scene.now);
    // What is wanted no longer is given up first, even by a cooperative member.
    scene.give_up(&[0]);
    let Some(Step::Join(request)) = scene.step() else { panic!("it does not join") };
    assert_eq!(request.member_id, "me");
}
