//! How members come, share, and keep up.

use std::time::Duration;

use super::scene::{LIMITS, check, check_with};
use crate::group::consumer::Limits;

#[test]
fn the_first_member_has_everything_at_once() {
    check(
        "
        > topics t=3 u=1
        > join a reads=t,u
        a is at 2 and has t0 t1 t2 u0
        > describe
        Stable, epoch 2, target 2 by uniform
        a at 2 has t0 t1 t2 u0
        > beat a
        a is at 2
        > ack a
        a is at 2
        ",
    );
}

#[test]
fn a_partition_changes_hands_when_it_has_been_given_up() {
    check(
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > ack a
        a is at 2
        > join b reads=t
        b is at 3 and has nothing
        > describe
        Reconciling, epoch 3, target 3 by uniform
        a at 2 has t0 t1, shall have t0
        b at 3 has nothing, shall have t1
        > beat a
        a is at 2 and has t0
        > beat b
        b is at 3
        > beat a owns=t0,t1
        a is at 2
        > beat b
        b is at 3
        > beat a owns=t0
        a is at 3
        > beat b
        b is at 3 and has t1
        > describe
        Stable, epoch 3, target 3 by uniform
        a at 3 has t0
        b at 3 has t1
        ",
    );
}

#[test]
fn a_member_that_says_it_holds_less_need_not_give_up_twice() {
    check(
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > join b reads=t
        b is at 3 and has nothing
        > beat a owns=t0
        a is at 3 and has t0
        > beat b
        b is at 3 and has t1
        ",
    );
}

#[test]
fn a_lost_answer_is_told_again() {
    check(
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > beat a epoch=0 reads=t timeout=60s owns=
        a is at 2 and has t0 t1
        > join b reads=t
        b is at 3 and has nothing
        > beat a owns=t0
        a is at 3 and has t0
        > beat a epoch=2
        a: FENCED_MEMBER_EPOCH
        > beat a epoch=2 owns=t0,t1
        a: FENCED_MEMBER_EPOCH
        > beat a epoch=2 owns=t0
        a is at 3
        > beat a epoch=2 owns=t0 reads=t timeout=60s
        a is at 3 and has t0
        > beat a epoch=4
        a: FENCED_MEMBER_EPOCH
        > beat b epoch=2 owns=
        b: FENCED_MEMBER_EPOCH
        ",
    );
}

#[test]
fn strangers_are_unknown() {
    check(
        "
        > topics t=1
        > beat a epoch=2
        a: UNKNOWN_MEMBER_ID
        > beat a epoch=2 instance=i
        a: UNKNOWN_MEMBER_ID
        > leave a
        a: UNKNOWN_MEMBER_ID
        > away a instance=i
        a: UNKNOWN_MEMBER_ID
        > describe
        Empty, epoch 1, target 1 by uniform
        ",
    );
}

#[test]
fn a_member_that_joins_again_is_told_what_it_had() {
    check(
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > join b reads=t
        b is at 3 and has nothing
        > beat a
        a is at 2 and has t0
        > join a reads=t
        a is at 3 and has t0
        > beat b
        b is at 3 and has t1
        ",
    );
}

#[test]
fn a_group_is_full_one_day() {
    check_with(
        Limits { size_max: 1, ..LIMITS },
        "
        > topics t=1
        > join a reads=t
        a is at 2 and has t0
        > join b reads=t
        b: GROUP_MAX_SIZE_REACHED
        > join a reads=t
        a is at 2 and has t0
        ",
    );
}

#[test]
fn who_takes_a_place_in_a_full_group_needs_none() {
    check_with(
        Limits { size_max: 1, ..LIMITS },
        "
        > topics t=1
        > join a instance=one reads=t
        a is at 2 and has t0
        > away a instance=one
        a: fine
        > join a2 instance=one reads=t
        a2 is at 2 and has t0
        > cjoin b new instance=one reads=t
        b is AQEBAQEBAQEBAQEBAQEBAQ in generation 2
        ",
    );
}

#[test]
fn a_target_stays_for_a_time() {
    check_with(
        Limits { assignment_interval: Duration::from_secs(1), ..LIMITS },
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > join b reads=t
        b is at 2 and has nothing
        > describe
        Assigning, epoch 3, target 2 by uniform
        a at 2 has t0 t1
        b at 2 has nothing
        > wait 1s
        > beat b
        b is at 3
        > beat a owns=t0
        a is at 3 and has t0
        ",
    );
}

#[test]
fn most_members_choose_the_assignor() {
    check(
        "
        > topics t=4
        > join a reads=t
        a is at 2 and has t0 t1 t2 t3
        > join b reads=t assignor=range
        b is at 3 and has nothing
        > describe
        Reconciling, epoch 3, target 3 by range
        a at 2 has t0 t1 t2 t3, shall have t0 t1
        b at 3 has nothing, shall have t2 t3
        ",
    );
}

#[test]
fn what_is_committed_needs_the_epoch_or_what_was_held_before() {
    check(
        "
        > topics t=2
        > commit nobody t0
        nobody: fine
        > join a reads=t
        a is at 2 and has t0 t1
        > commit nobody t0
        nobody: UNKNOWN_MEMBER_ID
        > commit a t0
        a: fine
        > commit a old t0
        a: UNSUPPORTED_VERSION
        > join b reads=t
        b is at 3 and has nothing
        > beat a owns=t0
        a is at 3 and has t0
        > commit a epoch=2 t0
        a: fine
        > commit a epoch=2 t0 t1
        a: STALE_MEMBER_EPOCH
        > commit a epoch=4 t0
        a: STALE_MEMBER_EPOCH
        > commit nobody txn t0
        nobody: fine
        > commit a txn t0
        a: fine
        > commit a epoch=4 txn t0
        a: ILLEGAL_GENERATION
        > commit stranger epoch=3 txn t0
        stranger: UNKNOWN_MEMBER_ID
        > beat b
        b is at 3 and has t1
        > commit b epoch=2 t1
        b: STALE_MEMBER_EPOCH
        > fetch a
        a: fine
        > fetch a epoch=2
        a: STALE_MEMBER_EPOCH
        > fetch b
        b: fine
        ",
    );
}

#[test]
fn who_says_more_than_can_be_stored_is_refused() {
    check_with(
        Limits { record_bytes_max: 100, ..LIMITS },
        "
        > topics t=1
        > join a reads=t
        a is at 2 and has t0
        > join b reads=a-topic-with-a-very-long-name
        b: INVALID_REQUEST
        > beat a reads=t,another-topic-with-a-long-name
        a: INVALID_REQUEST
        > beat a pattern=t|a-pattern-that-is-very-long
        a: INVALID_REQUEST
        > cjoin c reads=t
        c: INVALID_REQUEST c
        > beat a
        a is at 2
        ",
    );
}
