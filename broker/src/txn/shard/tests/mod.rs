//! What a coordinator does against what its records say.

mod full_disk;
mod inclusion;
mod support;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Outcome;
use tokio::sync::oneshot::{self, Receiver};

use super::command::{Add, Command};
use super::coordinator::{Coordinator, Step};
use super::replay::Replay;
use crate::shard::Answer;
use crate::txn::machine::{
    End, Generation, Init, Markers, Partitions, Producer, Snapshot, State, Turn,
};

#[derive(Default)]
struct World {
    coordinator: Coordinator,
    /// Everything that was asked to be written.
    log: Replay,
    /// What is to be marked, newest last.
    markers: Vec<Markers>,
    ids: i64,
    now_ms: i64,
}

impl World {
    fn ask<T>(&mut self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, ErrorCode> {
        let (answer, asked) = oneshot::channel();
        self.handle(command(answer));
        told(asked)
    }

    fn handle(&mut self, command: Command) {
        let mut turn = Turn { spare_id: Some(self.ids + 1), ..Turn::at(self.now_ms) };
        let step = self.coordinator.handle(command, &mut turn);
        self.ids += i64::from(turn.spare_id.is_none());
        self.write(step);
    }

    /// Everything is durable at once here.
    fn write(&mut self, step: Step) {
        for record in step.records {
            self.log.apply(record).expect("it was made here");
        }
        step.answers.into_iter().for_each(|release| release(Ok(())));
        self.markers.extend(step.markers.into_iter().map(|(_, markers)| markers));
    }

    fn init(&mut self, id: &str) -> Result<Producer, ErrorCode> {
        let init = Init { known: None, timeout_ms: 1_000 };
        self.ask(|answer| Command::Init(id.into(), init, answer))
    }

    fn add(&mut self, id: &str, producer: Producer, partition: i32) -> Result<(), ErrorCode> {
        let partitions = Partitions::from([("t".into(), [partition].into())]);
        let generation = Generation::Second;
        let add = Add { producer, partitions, generation, is_patient: false };
        self.ask(|answer| Command::Add(id.into(), add, answer))
    }

    /// Adds a partition as soon as the last transaction is complete.
    fn add_patiently(
        &mut self,
        id: &str,
        producer: Producer,
        partition: i32,
    ) -> Receiver<Result<(), ErrorCode>> {
        let (answer, asked) = oneshot::channel();
        let partitions = Partitions::from([("t".into(), [partition].into())]);
        let generation = Generation::Second;
        let add = Add { producer, partitions, generation, is_patient: true };
        self.handle(Command::Add(id.into(), add, answer));
        asked
    }

    fn end(&mut self, id: &str, producer: Producer) -> Result<Producer, ErrorCode> {
        let end = End { producer, outcome: Outcome::Commit, generation: Generation::Second };
        self.ask(|answer| Command::End(id.into(), end, answer))
    }

    fn mark(&mut self, id: &str, producer: Producer, partition: i32) {
        let topic = "t".into();
        self.handle(Command::Marked { transactional_id: id.into(), producer, topic, partition });
    }

    fn describe(&mut self, id: &str) -> Result<Snapshot, ErrorCode> {
        self.ask(|answer| Command::Describe(id.into(), answer))
    }

    /// The broker starts again.
    fn restart(&mut self) {
        self.coordinator = self.log.clone().finish();
        self.write(self.coordinator.resume());
    }
}

fn told<T>(mut asked: Receiver<Result<T, ErrorCode>>) -> Result<T, ErrorCode> {
    asked.try_recv().expect("everything is durable")
}

#[test]
fn each_transactional_id_goes_its_own_way() {
    let mut world = World::default();
    let (a, b) = (world.init("a").unwrap(), world.init("b").unwrap());
    assert_eq!((a.id, b.id), (1, 2));
    assert_eq!(world.add("b", a, 0), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    world.add("a", a, 0).unwrap();
    world.add("b", b, 1).unwrap();
    let next = world.end("a", a).unwrap();
    assert_eq!(world.markers.pop().unwrap().producer, next);
    assert_eq!(world.describe("a").unwrap().state, State::Prepare(Outcome::Commit));
    world.mark("a", next, 0);
    assert_eq!(world.describe("a").unwrap().state, State::Complete(Outcome::Commit));
    assert_eq!(world.describe("b").unwrap().state, State::Ongoing);
}

#[test]
fn who_is_not_known_is_told_so() {
    let mut world = World::default();
    let producer = Producer { id: 1, epoch: 0 };
    let unknown = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    assert_eq!(world.add("a", producer, 0), Err(unknown));
    assert_eq!(world.end("a", producer), Err(unknown));
    let verified = world.ask(|answer| Command::Verify("a".into(), producer, vec![], answer));
    assert_eq!(verified, Err(unknown));
    assert_eq!(world.describe("a"), Err(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND));
    world.mark("a", producer, 0);
    assert_eq!(world.ask(Command::List), Ok(vec![]));
}

#[test]
fn nobody_becomes_a_producer_without_an_id_to_give() {
    let mut coordinator = Coordinator::default();
    let (answer, mut asked) = oneshot::channel();
    let init = Init { known: None, timeout_ms: 1_000 };
    let command = Command::Init("a".into(), init, answer);
    let step = coordinator.handle(command, &mut Turn::at(0));
    step.answers.into_iter().for_each(|release| release(Ok(())));
    assert_eq!(asked.try_recv(), Ok(Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)));
    assert!(step.records.is_empty());
}

#[test]
fn who_is_patient_is_answered_when_the_last_transaction_is_complete() {
    let mut world = World::default();
    let a = world.init("a").unwrap();
    world.add("a", a, 0).unwrap();
    world.add("a", a, 1).unwrap();
    let next = world.end("a", a).unwrap();
    assert_eq!(world.add("a", next, 2), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    let gone = world.add_patiently("a", next, 3);
    drop(gone);
    let mut patient = world.add_patiently("a", next, 2);
    world.mark("a", next, 0);
    assert!(patient.try_recv().is_err());
    world.mark("a", next, 1);
    assert_eq!(told(patient), Ok(()));
    let described = world.describe("a").unwrap();
    assert_eq!(described.state, State::Ongoing);
    assert_eq!(described.partitions, Partitions::from([("t".into(), [2].into())]));
    let stranger = world.add_patiently("a", a, 2);
    assert_eq!(told(stranger), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_restart_ends_what_was_decided_and_nothing_else() {
    let mut world = World::default();
    let (a, b) = (world.init("a").unwrap(), world.init("b").unwrap());
    world.add("a", a, 0).unwrap();
    world.add("b", b, 1).unwrap();
    let next = world.end("a", a).unwrap();
    let markers = world.markers.pop().unwrap();
    let before = [world.describe("a"), world.describe("b")];
    world.restart();
    assert_eq!([world.describe("a"), world.describe("b")], before);
    assert_eq!(world.markers, [markers]);
    world.mark("a", next, 0);
    world.restart();
    assert_eq!(world.describe("a").unwrap().state, State::Complete(Outcome::Commit));
    assert_eq!(world.markers.len(), 1);
}

#[test]
fn what_is_open_for_too_long_is_aborted_in_time() {
    let mut world = World::default();
    let a = world.init("a").unwrap();
    assert_eq!(world.coordinator.deadline_ms(), None);
    world.now_ms = 500;
    world.add("a", a, 0).unwrap();
    world.restart();
    assert_eq!(world.coordinator.deadline_ms(), Some(1_500));
    assert!(world.coordinator.expire(1_499).is_none());
    let step = world.coordinator.expire(1_500).unwrap();
    world.write(step);
    assert_eq!(world.markers.pop().unwrap().outcome, Outcome::Abort);
    assert_eq!(world.coordinator.deadline_ms(), None);
}

#[test]
fn what_nobody_uses_is_forgotten() {
    let mut world = World::default();
    world.init("a").unwrap();
    world.now_ms = 10;
    let b = world.init("b").unwrap();
    let open = world.init("open").unwrap();
    world.add("open", open, 0).unwrap();
    let step = world.coordinator.forget_unused(9);
    assert_eq!(step.records.len(), 1);
    world.write(step);
    assert_eq!(world.describe("a"), Err(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND));
    world.restart();
    let mut left = world.ask(Command::List).unwrap();
    left.sort_by(|one, other| one.transactional_id.cmp(&other.transactional_id));
    let left: Vec<_> = left.iter().map(|it| (&*it.transactional_id, it.producer_id)).collect();
    assert_eq!(left, [("b", b.id), ("open", open.id)]);
}
