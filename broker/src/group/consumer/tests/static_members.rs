//! Members that come back as who they were.

use super::scene::check;

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    check(
        "
        > topics t=2
        > join a instance=one reads=t
        a is at 2 and has t0 t1
        > join b instance=two reads=t
        b is at 3 and has nothing
        > beat a instance=one owns=t0
        a is at 3 and has t0
        > beat b instance=two
        b is at 3 and has t1
        > away a instance=one
        a: fine
        > describe
        Reconciling, epoch 3, target 3 by uniform
        a at -2 has t0
        b at 3 has t1
        > beat b instance=two
        b is at 3
        > join a2 instance=one reads=t
        a2 is at 3 and has t0
        > describe
        Stable, epoch 3, target 3 by uniform
        a2 at 3 has t0
        b at 3 has t1
        > beat a instance=one epoch=3
        a: FENCED_INSTANCE_ID
        > leave a instance=one
        a: FENCED_INSTANCE_ID
        > leave a2 instance=one
        a2: fine
        > beat b
        b is at 4 and has t0 t1
        ",
    );
}

/// Who had not heard that it had joined was refused for its own sake, and ended.
#[test]
fn a_static_member_that_joins_again_is_welcome() {
    check(
        "
        > topics t=1
        > join a instance=one reads=t
        a is at 2 and has t0
        > join a instance=one reads=t
        a is at 2 and has t0
        ",
    );
}

#[test]
fn an_instance_is_not_given_to_a_second_one() {
    check(
        "
        > topics t=1
        > join a instance=one reads=t
        a is at 2 and has t0
        > join a2 instance=one reads=t
        a2: UNRELEASED_INSTANCE_ID
        > wait 45s
        > join a2 instance=one reads=t
        a2 is at 4 and has t0
        ",
    );
}

#[test]
fn who_does_not_come_back_in_time_is_out() {
    check(
        "
        > topics t=1
        > join a instance=one reads=t
        a is at 2 and has t0
        > wait 20s
        > away a instance=one
        a: fine
        > wait 25s
        > join b reads=t
        b is at 4 and has t0
        ",
    );
}
