//! Time: silent members, and members that keep what they shall not hold.

use super::scene::check;

#[test]
fn a_silent_member_is_out() {
    check(
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > wait 44s
        > join b reads=t
        b is at 3 and has nothing
        > wait 1s
        > beat b
        b is at 4 and has t0 t1
        > beat a
        a: UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn a_member_that_does_not_give_up_in_time_is_out() {
    check(
        "
        > topics t=2
        > join a reads=t timeout=10s
        a is at 2 and has t0 t1
        > join b reads=t
        b is at 3 and has nothing
        > beat a
        a is at 2 and has t0
        > wait 9s
        > beat a
        a is at 2
        > wait 1s
        > beat a
        a: UNKNOWN_MEMBER_ID
        > beat b
        b is at 4 and has t0 t1
        ",
    );
}

#[test]
fn sessions_begin_anew_with_the_broker() {
    check(
        "
        > topics t=2
        > join a reads=t timeout=10s
        a is at 2 and has t0 t1
        > wait 40s
        > restart
        > wait 40s
        > join b reads=t
        b is at 3 and has nothing
        > beat a
        a is at 2 and has t0
        > wait 5s
        > restart
        > wait 9s
        > beat a owns=t0
        a is at 3
        ",
    );
}
