//! One member, scene by scene.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use klamm_client::config::{Assignor, GroupProtocol};
use klamm_client::{Error, Origin, Subject};
use klamm_protocol::api::consumer_group_heartbeat::Request;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};
use klamm_utils::clock;

use super::{Beat, ConsumerMachine, Departure, Done, Heard, Machine as _, Rules, Step};
use crate::assignment::Place;
use crate::group::machine::{Told, classic, effects};
use crate::group::subscription::{Found, Subscription};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const TOPIC: Uuid = Uuid([7; 16]);

pub(super) fn rules() -> Rules {
    classic::tests::rules(Assignor::Range)
}

pub(super) fn refusal(code: ErrorCode) -> Error {
    let origin = Origin { api: "ConsumerGroupHeartbeat", address: "a:1".into() };
    origin.error(code, Subject::Name("g".into()))
}

pub(super) fn parse(topics: &[&str]) -> Subscription {
    let topics = topics.iter().map(|topic| Str::from(*topic));
    Subscription::parse(topics, GroupProtocol::Consumer).unwrap()
}

/// The topic `t`, with its id.
pub(super) fn found(partitions: usize) -> Found {
    let names = [(TOPIC, "t".into())].into();
    Found { names, ..classic::tests::found(partitions) }
}

fn places(numbers: &[i32]) -> Vec<Place> {
    numbers.iter().map(|number| ("t".into(), *number)).collect()
}

/// A machine, and the moment up to which it has lived.
struct Scene {
    machine: ConsumerMachine,
    now: Instant,
}

impl Scene {
    fn new(rules: Rules, topics: &[&str]) -> Self {
        let now = clock::now();
        let mut machine = ConsumerMachine::new(rules, parse(topics), now);
        assert_eq!(machine.look(now), Some(BTreeSet::new()));
        machine.looked(found(4), now);
        Self { machine, now }
    }

    /// A member at epoch 1 that has these partitions, and has said so.
    fn member(rules: Rules, assigned: &[i32]) -> Self {
        let mut scene = Self::new(rules, &["t"]);
        scene.beat(1, Some(assigned));
        scene.beat(1, None);
        scene
    }

    /// The heartbeat that is due at once.
    fn says(&mut self) -> Request {
        let Some(Beat::Consumer(request)) = self.machine.beat(self.now) else {
            panic!("nothing is to be said")
        };
        *request
    }

    /// A heartbeat, due at once, and its answer.
    fn beat(&mut self, epoch: i32, assigned: Option<&[i32]>) -> Request {
        let request = self.says();
        let assigned = assigned.map(|given| given.iter().map(|index| (TOPIC, *index)).collect());
        let told = Told { epoch, interval: SECOND * 5, assigned };
        self.machine.beaten(Ok(Heard::Consumer(told)), self.now);
        request
    }

    fn refuse(&mut self, code: ErrorCode) {
        self.now += SECOND * 5;
        self.says();
        self.machine.beaten(Err(refusal(code)), self.now);
    }

    fn effects(&mut self) -> Vec<String> {
        effects(&mut self.machine)
    }
}

/// The partitions that a request says the member has, if it says so.
fn owned(request: &Request) -> Option<Vec<i32>> {
    let topics = request.topic_partitions.as_ref()?;
    Some(topics.iter().flat_map(|topic| topic.partitions.clone()).collect())
}

#[test]
fn who_joins_says_everything_and_then_only_what_is_new() {
    let rules = Rules {
        instance: Some("one".into()),
        rack: Some("r".into()),
        remote_assignor: Some("range".into()),
        ..rules()
    };
    let mut scene = Scene::new(rules, &["t", "re:a.*"]);
    let joins = scene.beat(3, Some(&[0, 2]));
    assert_eq!(joins.member_id.len(), 22);
    let expected = Request {
        group_id: "g".into(),
        member_id: joins.member_id.clone(),
        member_epoch: 0,
        instance_id: Some("one".into()),
        rack_id: Some("r".into()),
        rebalance_timeout_ms: 300_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        subscribed_topic_regex: Some("a.*".into()),
        server_assignor: Some("range".into()),
        topic_partitions: Some(Vec::new()),
    };
    assert_eq!(joins, expected);
    assert_eq!(scene.effects(), ["assigned 0 2"]);
    let nothing = Request {
        group_id: "g".into(),
        member_id: joins.member_id.clone(),
        member_epoch: 3,
        instance_id: Some("one".into()),
        ..Request::default()
    };
    let takes = scene.beat(3, None);
    assert_eq!(owned(&takes), Some(vec![0, 2]));
    assert_eq!(
        takes,
        Request { topic_partitions: takes.topic_partitions.clone(), ..nothing.clone() }
    );
    assert_eq!(scene.machine.beat(scene.now + SECOND * 4), None, "as often as it was told");
    scene.now += SECOND * 5;
    assert_eq!(scene.beat(3, None), nothing);
    // Without the pattern, and with another name.
    scene.machine.resubscribed(&parse(&["t", "u"]), scene.now);
    let changed = scene.beat(3, None);
    let names = Some(vec!["t".into(), "u".into()]);
    let pattern = Some(Str::default());
    let expected =
        Request { subscribed_topic_names: names, subscribed_topic_regex: pattern, ..nothing };
    assert_eq!(changed, expected);
}

#[test]
fn what_is_to_go_is_given_up_and_acknowledged_before_anything_is_taken() {
    let mut scene = Scene::member(rules(), &[0, 1]);
    scene.now += SECOND * 5;
    scene.beat(1, Some(&[1, 2]));
    assert_eq!(scene.machine.step(scene.now), Some(Step::GiveUp(places(&[0]))));
    // However long that takes, heartbeats go on and say nothing of it.
    scene.now += SECOND * 5;
    assert_eq!(owned(&scene.beat(1, None)), None);
    assert_eq!(scene.machine.beat(scene.now), None);
    scene.machine.done(Done::GaveUp(places(&[0])), scene.now);
    assert_eq!(scene.effects(), ["assigned 0 1"]);
    assert_eq!(owned(&scene.beat(2, None)), Some(vec![1]));
    assert_eq!(scene.effects(), ["assigned 2"]);
    assert_eq!(owned(&scene.beat(2, None)), Some(vec![1, 2]));
    assert_eq!(scene.machine.beat(scene.now), None);
}

#[test]
fn topics_are_taken_when_their_names_are_known() {
    let mut scene = Scene::new(rules(), &["re:t"]);
    scene.machine.looked(Found::default(), scene.now);
    scene.beat(1, Some(&[0]));
    assert_eq!(owned(&scene.beat(1, None)), Some(Vec::new()));
    assert_eq!((scene.effects(), scene.machine.beat(scene.now)), (Vec::new(), None));
    assert!(scene.machine.look(scene.now).is_some(), "it looks at once");
    assert_eq!(scene.machine.look(scene.now), None);
    scene.machine.looked(found(1), scene.now);
    assert_eq!(scene.effects(), ["assigned 0"]);
    assert_eq!(owned(&scene.says()), Some(vec![0]));
}

#[test]
fn what_is_taken_away_is_acknowledged_by_who_never_had_it() {
    let mut scene = Scene::new(rules(), &["t"]);
    scene.machine.looked(Found::default(), scene.now);
    for assigned in [&[0][..], &[]] {
        scene.beat(1, Some(assigned));
        assert_eq!(owned(&scene.beat(1, None)), Some(Vec::new()));
        assert_eq!(scene.machine.beat(scene.now), None);
        scene.now += SECOND * 5;
    }
    assert_eq!(scene.effects(), [""; 0]);
}

#[test]
fn a_topic_made_anew_is_another_one() {
    let mut scene = Scene::member(rules(), &[0]);
    let anew = Uuid([8; 16]);
    scene.machine.looked(Found { names: [(anew, "t".into())].into(), ..found(1) }, scene.now);
    scene.now += SECOND * 5;
    scene.says();
    let told = Told { epoch: 2, interval: SECOND * 5, assigned: Some([(anew, 0)].into()) };
    scene.machine.beaten(Ok(Heard::Consumer(told)), scene.now);
    assert_eq!(scene.machine.step(scene.now), Some(Step::GiveUp(places(&[0]))));
    scene.machine.done(Done::GaveUp(places(&[0])), scene.now);
    assert_eq!(owned(&scene.beat(2, None)), Some(Vec::new()));
    assert_eq!(scene.effects(), ["assigned 0", "assigned 0"]);
    let takes = scene.says().topic_partitions.unwrap();
    assert_eq!(takes[0].topic_id, anew);
}

#[test]
fn after_an_answer_that_never_came_everything_is_said_again() {
    let mut scene = Scene::member(rules(), &[0, 1]);
    scene.refuse(ErrorCode::NOT_COORDINATOR);
    assert_eq!(scene.machine.beat(scene.now), None, "after a pause");
    scene.now += SECOND;
    let again = scene.beat(1, Some(&[0, 1]));
    assert_eq!((again.member_epoch, owned(&again)), (1, Some(vec![0, 1])));
    assert_eq!(again.rebalance_timeout_ms, 300_000);
    assert_eq!(scene.effects(), ["assigned 0 1"]);
}

#[test]
fn what_a_refusal_means() {
    use ErrorCode as E;
    let (fenced, fatal) = (vec!["assigned 0", "lost 0"], |text| vec!["assigned 0", "lost 0", text]);
    for (code, effects) in [
        (E::FENCED_MEMBER_EPOCH, fenced.clone()),
        (E::UNKNOWN_MEMBER_ID, fenced.clone()),
        (E::GROUP_ID_NOT_FOUND, fenced),
        (E::COORDINATOR_LOAD_IN_PROGRESS, vec!["assigned 0"]),
        (E::FENCED_INSTANCE_ID, fatal("fatal 82")),
        (E::UNRELEASED_INSTANCE_ID, fatal("fatal 111")),
        (E::UNSUPPORTED_ASSIGNOR, fatal("fatal 112")),
        (E::INVALID_REGULAR_EXPRESSION, fatal("fatal 128")),
        (E::GROUP_MAX_SIZE_REACHED, fatal("fatal 81")),
    ] {
        let mut scene = Scene::member(rules(), &[0]);
        let id = scene.machine.identity().member.clone();
        scene.refuse(code);
        assert_eq!(scene.effects(), effects, "{code}");
        scene.now += SECOND;
        let Some(Beat::Consumer(next)) = scene.machine.beat(scene.now) else {
            assert_eq!(effects.len(), 3, "{code}");
            continue;
        };
        let epoch = if effects.len() == 2 { 0 } else { 1 };
        assert_eq!((next.member_epoch, &next.member_id), (epoch, &id), "{code}");
    }
}

/// It ended the membership, and the consumer with it.
#[test]
fn a_topic_that_is_forbidden_is_told_once_and_asked_for_again() {
    let mut scene = Scene::member(rules(), &[0]);
    for _ in 0..3 {
        scene.refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        scene.now += SECOND * 5;
    }
    assert_eq!(scene.effects(), ["assigned 0", "refused 29"]);
    let again = scene.beat(1, Some(&[0]));
    assert_eq!((again.member_epoch, owned(&again)), (1, Some(vec![0])));
    // Somebody takes the permission back.
    scene.refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(scene.effects().last().unwrap(), "refused 29");
}

#[test]
fn a_member_whose_application_is_away_leaves_until_it_comes_back() {
    for (instance, epoch) in [(None, -1), (Some(Str::from("one")), -2)] {
        let mut scene = Scene::member(Rules { instance: instance.clone(), ..rules() }, &[0]);
        let id = scene.machine.identity().member.clone();
        // An answer that comes when it has left counts for nothing.
        scene.now += SECOND * 5;
        scene.says();
        let round = scene.machine.round();
        scene.machine.late();
        assert_ne!(scene.machine.round(), round);
        let told = Told { epoch: 9, interval: SECOND, assigned: Some([(TOPIC, 3)].into()) };
        scene.machine.beaten(Ok(Heard::Consumer(told)), scene.now);
        assert_eq!(scene.effects(), ["assigned 0", "lost 0", "too late"]);
        let Some(Step::Leave(Departure::Consumer(leave))) = scene.machine.step(scene.now) else {
            panic!("it does not leave")
        };
        let said = (leave.member_epoch, &leave.member_id, &leave.instance_id);
        assert_eq!(said, (epoch, &id, &instance));
        scene.machine.back(scene.now);
        assert_eq!(scene.machine.beat(scene.now), None, "it is leaving still");
        scene.machine.done(Done::Left, scene.now);
        assert_eq!(scene.machine.departure(), None, "it has left");
        assert_eq!(scene.says().member_epoch, 0);
    }
}

#[test]
fn who_has_said_nothing_need_not_leave() {
    let mut scene = Scene::new(rules(), &["t"]);
    assert_eq!(scene.machine.departure(), None);
    // The broker may have heard it, though it has not answered.
    scene.says();
    assert!(scene.machine.departure().is_some());
    let unreleased = Err(refusal(ErrorCode::UNRELEASED_INSTANCE_ID));
    scene.machine.beaten(unreleased, scene.now);
    assert_eq!(scene.machine.departure(), None);
    let mut fenced = Scene::member(rules(), &[0]);
    fenced.refuse(ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(fenced.machine.departure(), None);
}

#[test]
fn who_is_late_and_closed_at_once_leaves() {
    let mut scene = Scene::member(rules(), &[0]);
    scene.machine.late();
    assert!(scene.machine.departure().is_some(), "nobody has said it yet");
    assert!(matches!(scene.machine.step(scene.now), Some(Step::Leave(_))));
    assert!(scene.machine.departure().is_some(), "nor has the coordinator answered");
    scene.machine.done(Done::Left, scene.now);
    assert_eq!(scene.machine.departure(), None);
}
