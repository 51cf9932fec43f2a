//! The machine, step by step.

use std::sync::Arc;
use std::time::Duration;

use klamm_client::{Error, Origin, Subject};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::BatchProducer;

use super::machine::{End, Generation, Machine, Place};

const PRODUCER: BatchProducer = BatchProducer { id: 7, epoch: 3, base_sequence: 0 };
const NEXT: BatchProducer = BatchProducer { epoch: 4, ..PRODUCER };

fn machine(generation: Generation) -> Machine {
    Machine::new("orders-1".into(), PRODUCER, generation)
}

fn open(generation: Generation) -> Machine {
    let mut machine = machine(generation);
    assert_eq!(machine.begin().unwrap(), 1);
    machine
}

fn place(partition: i32) -> Place {
    ("orders".into(), partition)
}

fn subject() -> Subject {
    Subject::Partition("orders".into(), 0)
}

fn refused(code: ErrorCode) -> Error {
    let origin = Origin { api: "AddPartitionsToTxn", address: "a:1".into() };
    origin.error(code, subject())
}

#[test]
fn partitions_of_the_first_generation_wait_until_they_are_included() {
    let mut machine = open(Generation::First);
    assert!(!machine.admits(1, &"orders".into(), 0));
    assert!(!machine.admits(1, &"orders".into(), 1));
    assert_eq!(machine.next_inclusion(), Some(vec![place(0), place(1)]));
    // What is wanted meanwhile waits for the next.
    assert!(!machine.admits(1, &"orders".into(), 2));
    assert_eq!(machine.next_inclusion(), None);
    assert!(!machine.is_quiet());
    machine.included(vec![place(0), place(1)], Ok(()));
    assert!(machine.is_quiet() && machine.admits(1, &"orders".into(), 1));
    assert_eq!(machine.next_inclusion(), Some(vec![place(2)]));
}

#[test]
fn what_is_accepted_before_a_commit_is_included_during_it() {
    let included_while = |end| {
        let mut machine = open(Generation::First);
        machine.end(1, end);
        machine.admits(1, &"orders".into(), 0);
        machine.next_inclusion().is_some()
    };
    assert!(included_while(End::Commit));
    assert!(!included_while(End::Abort));
}

#[test]
fn partitions_of_the_second_generation_do_not_wait() {
    let mut machine = open(Generation::Second);
    assert!(machine.admits(1, &"orders".into(), 0));
    assert_eq!(machine.next_inclusion(), None);
    let group = "billing".into();
    assert!(!machine.must_announce(&group));
    assert!(open(Generation::First).must_announce(&group));
}

#[test]
fn a_transaction_of_nothing_ends_without_a_question() {
    for generation in [Generation::First, Generation::Second] {
        let mut machine = open(generation);
        assert!(machine.end(1, End::Commit));
        assert!(machine.take_end() && !machine.take_end());
        assert_eq!(machine.decision(), None);
        machine.ended(Ok((PRODUCER, generation))).unwrap();
        machine.begin().unwrap();
        assert!(!machine.take_end());
    }
}

#[test]
fn the_next_transaction_has_the_epoch_that_the_last_one_gave() {
    let mut machine = open(Generation::Second);
    machine.reach_out();
    machine.end(1, End::Commit);
    assert_eq!(machine.decision(), Some(End::Commit));
    assert!(matches!(machine.begin(), Err(Error::InTransaction { .. })));
    machine.ended(Ok((NEXT, Generation::Second))).unwrap();
    assert_eq!(machine.producer(), NEXT);
    assert_eq!(machine.begin().unwrap(), 2);
    assert!(machine.end(2, End::Commit));
    assert_eq!(machine.decision(), None, "it has reached nobody yet");
}

#[test]
fn after_a_failure_a_commit_is_an_abort() {
    let mut machine = open(Generation::Second);
    machine.reach_out();
    let told = machine.fail_batch(refused(ErrorCode::INVALID_TIMESTAMP));
    assert!(told.requires_abort() && !told.is_fatal());
    assert!(machine.check(1).unwrap_err().requires_abort());
    assert!(machine.forsakes(1, subject()).requires_abort());
    machine.end(1, End::Commit);
    assert_eq!(machine.decision(), Some(End::Abort));
    let told = machine.ended(Ok((NEXT, Generation::Second))).unwrap_err();
    assert_eq!(told.code(), Some(ErrorCode::INVALID_TIMESTAMP));
    assert!(told.requires_abort());
    machine.begin().unwrap();
    machine.check(2).unwrap();
}

#[test]
fn who_aborts_gives_up_what_is_not_sent() {
    let mut machine = open(Generation::First);
    assert_eq!(machine.forsaken_through(), 0);
    machine.end(1, End::Abort);
    assert_eq!(machine.forsaken_through(), 1);
    assert!(matches!(machine.forsakes(1, subject()), Error::Aborted { .. }));
    assert!(matches!(machine.check(1), Err(Error::Closed)));
}

#[test]
fn a_producer_that_was_replaced_goes_no_further() {
    // Old coordinators say it by the epoch.
    for code in [ErrorCode::PRODUCER_FENCED, ErrorCode::INVALID_PRODUCER_EPOCH] {
        let mut machine = open(Generation::First);
        machine.begin_offsets(1).unwrap();
        let told = machine.offsets_committed(Err(refused(code))).unwrap_err();
        assert!(told.is_fatal() && told.code() == Some(ErrorCode::PRODUCER_FENCED), "{told}");
        assert!(!machine.end(1, End::Abort) && machine.is_settled());
        assert!(machine.begin().unwrap_err().is_fatal());
    }
    // A broker's word is not enough: the coordinator knows.
    let mut machine = open(Generation::First);
    machine.reach_out();
    let told = machine.fail_batch(refused(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert!(told.requires_abort());
    machine.end(1, End::Commit);
    let told = machine.ended(Err(refused(ErrorCode::PRODUCER_FENCED))).unwrap_err();
    assert!(told.is_fatal(), "{told}");
}

#[test]
fn what_cannot_be_mended_is_fatal_whatever_it_is() {
    let mut machine = open(Generation::First);
    machine.reach_out();
    machine.end(1, End::Commit);
    let told = machine.ended(Err(refused(ErrorCode::INVALID_TXN_STATE))).unwrap_err();
    assert!(matches!(told, Error::ProducerLost { .. }) && told.is_fatal());
}

#[test]
fn an_abort_of_what_the_coordinator_never_heard_of_is_done() {
    let unknown = refused(ErrorCode::INVALID_TXN_STATE);
    let mut machine = open(Generation::First);
    machine.admits(1, &"orders".into(), 0);
    let places = machine.next_inclusion().unwrap();
    machine.included(places, Err(refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED)));
    machine.end(1, End::Abort);
    assert_eq!(machine.decision(), Some(End::Abort), "it may have heard of it");
    assert!(machine.was_unknown(&unknown));

    let mut machine = open(Generation::First);
    machine.announced("billing".into());
    machine.end(1, End::Abort);
    assert!(!machine.was_unknown(&unknown));
}

#[test]
fn a_lost_sequence_needs_an_epoch_that_the_end_has_not_given() {
    let mut machine = open(Generation::First);
    machine.lose_sequence();
    assert!(machine.needs_epoch(PRODUCER) && !machine.needs_epoch(NEXT));
    machine.end(1, End::Abort);
    machine.ended(Ok((NEXT, Generation::First))).unwrap();
    assert!(!machine.needs_epoch(NEXT));
}

#[test]
fn offsets_that_are_under_way_hold_the_end_up() {
    let mut machine = open(Generation::Second);
    machine.begin_offsets(1).unwrap();
    machine.begin_offsets(1).unwrap();
    machine.end(1, End::Abort);
    machine.offsets_committed(Ok(())).unwrap();
    assert!(!machine.is_quiet());
    machine.offsets_committed(Ok(())).unwrap();
    assert!(machine.is_quiet());
    assert!(machine.begin_offsets(1).is_err());
}

/// A batch may begin to linger in one transaction and be looked at in the next.
#[test]
fn no_partition_is_included_for_another_transaction() {
    let mut machine = open(Generation::First);
    machine.end(1, End::Commit);
    machine.ended(Ok((PRODUCER, Generation::First))).unwrap();
    assert_eq!(machine.begin().unwrap(), 2);
    assert!(!machine.admits(1, &"orders".into(), 0));
    assert_eq!(machine.next_inclusion(), None);
    assert!(!machine.admits(2, &"orders".into(), 1));
    assert_eq!(machine.next_inclusion(), Some(vec![place(1)]));
}

#[test]
fn no_partition_is_included_once_the_end_is_asked_for() {
    let mut machine = open(Generation::First);
    machine.admits(1, &"orders".into(), 0);
    let places = machine.next_inclusion().unwrap();
    machine.end(1, End::Commit);
    assert!(!machine.conclude(), "an inclusion is under way");
    machine.included(places, Ok(()));
    assert!(machine.conclude());
    assert!(!machine.admits(1, &"orders".into(), 1));
    assert_eq!((machine.next_inclusion(), machine.forsaken_through()), (None, 1));
    assert_eq!(machine.decision(), Some(End::Commit));
}

#[test]
fn who_held_one_transaction_has_no_say_in_the_next() {
    let mut machine = open(Generation::Second);
    machine.end(1, End::Abort);
    machine.ended(Ok((NEXT, Generation::Second))).unwrap();
    assert_eq!(machine.begin().unwrap(), 2);
    assert!(machine.check(1).is_err() && machine.begin_offsets(1).is_err());
    assert!(!machine.end(1, End::Abort));
    machine.check(2).unwrap();
    assert!(matches!(machine.forsakes(1, subject()), Error::Aborted { .. }));
}

#[test]
fn a_closed_producer_begins_nothing() {
    let mut machine = open(Generation::Second);
    machine.close();
    assert_eq!(machine.ending(), Some(End::Abort));
    machine.ended(Ok((NEXT, Generation::Second))).unwrap();
    assert!(matches!(machine.begin(), Err(Error::Closed)));
    assert!(machine.is_settled() && machine.fatal().is_none());
    machine.cut();
    assert!(matches!(machine.fatal(), Some(Error::Closed)));
}

/// The question may be on its way still, and would find the next transaction under the same epoch.
#[test]
fn offsets_that_may_yet_be_committed_need_another_epoch() {
    let offsets_end = |error| {
        let mut machine = open(Generation::First);
        machine.begin_offsets(1).unwrap();
        assert!(machine.offsets_committed(Err(error)).unwrap_err().requires_abort());
        machine.end(1, End::Abort);
        machine.needs_epoch(PRODUCER)
    };
    let (address, api) = ("a:1".into(), "TxnOffsetCommit");
    let timeout = Error::Timeout { address, api, after: Duration::from_secs(1) };
    let last = refused(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    assert!(offsets_end(Error::Doubtful { last: Arc::new(last) }));
    assert!(offsets_end(timeout));
    assert!(!offsets_end(refused(ErrorCode::ILLEGAL_GENERATION)));
}
