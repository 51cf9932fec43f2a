//! Members of the classic protocol among those of this one.

use super::scene::check;

#[test]
fn a_client_of_the_classic_protocol_shares_with_the_others() {
    check(
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > cjoin b new reads=t
        b: MEMBER_ID_REQUIRED AQEBAQEBAQEBAQEBAQEBAQ
        > cjoin b reads=t
        b is b in generation 3
        > csync b
        b has nothing
        > cbeat b
        b: fine
        > beat a
        a is at 2 and has t0
        > beat a owns=t0
        a is at 3
        > cbeat b
        b: REBALANCE_IN_PROGRESS
        > cjoin b reads=t
        b is b in generation 3
        > csync b
        b has t1
        > cbeat b
        b: fine
        > describe
        Stable, epoch 3, target 3 by uniform
        a at 3 has t0
        b at 3 has t1
        ",
    );
}

#[test]
fn it_is_asked_to_join_again_and_gives_up_first() {
    check(
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > cjoin b reads=t
        b is b in generation 3
        > leave a
        a: fine
        > cbeat b
        b: REBALANCE_IN_PROGRESS
        > csync b
        b: REBALANCE_IN_PROGRESS
        > cjoin b reads=t
        b is b in generation 4
        > csync b
        b has t0 t1
        > join c reads=t
        c is at 5 and has nothing
        > cbeat b
        b: REBALANCE_IN_PROGRESS
        > cjoin b reads=t owns=t0,t1
        b is b in generation 4
        > csync b
        b has t0
        > beat c
        c is at 5
        > cbeat b
        b: REBALANCE_IN_PROGRESS
        > cjoin b reads=t owns=t0
        b is b in generation 5
        > beat c
        c is at 5 and has t1
        > cleave b
        b: fine
        > beat c
        c is at 6 and has t0 t1
        ",
    );
}

#[test]
fn it_is_out_if_it_does_not_join_or_sync_in_time() {
    check(
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > cjoin b reads=t timeout=5s
        b is b in generation 3
        > wait 5s
        > csync b
        b: UNKNOWN_MEMBER_ID
        > cjoin b reads=t timeout=5s
        b is b in generation 5
        > csync b
        b has nothing
        > beat a owns=t0
        a is at 5 and has t0
        > cbeat b
        b: REBALANCE_IN_PROGRESS
        > wait 4s
        > cbeat b
        b: REBALANCE_IN_PROGRESS
        > wait 1s
        > cbeat b
        b: UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn it_must_speak_as_consumers_do() {
    check(
        "
        > topics t=1
        > join a reads=t
        a is at 2 and has t0
        > cjoin b reads=t protocols=range
        b is b in generation 3
        > cjoin c reads=t protocols=mine
        c: INCONSISTENT_GROUP_PROTOCOL c
        > csync a
        a: UNKNOWN_MEMBER_ID
        > cbeat a
        a: UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn a_static_client_changes_its_protocol_and_keeps_what_it_has() {
    check(
        "
        > topics t=1
        > join a instance=one reads=t
        a is at 2 and has t0
        > cjoin b new instance=one reads=t
        b is AQEBAQEBAQEBAQEBAQEBAQ in generation 2
        > describe
        Stable, epoch 2, target 2 by uniform
        AQEBAQEBAQEBAQEBAQEBAQ at 2 has t0
        > join c instance=one reads=t
        c is at 2 and has t0
        ",
    );
}
