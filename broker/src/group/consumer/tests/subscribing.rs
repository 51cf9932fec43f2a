//! What members read, and what there is to read.

use super::scene::check;

#[test]
fn topics_come_grow_and_go() {
    check(
        "
        > join a reads=t,u
        a is at 2 and has nothing
        > topics t=1
        > beat a
        a is at 3 and has t0
        > topics t=2 v=1
        > beat a
        a is at 4 and has t0 t1
        > topics t=2 v=2
        > beat a
        a is at 4
        > topics u=1
        > beat a
        a is at 4 and has nothing
        > beat a owns=
        a is at 5 and has u0
        ",
    );
}

#[test]
fn a_member_reads_what_its_pattern_matches() {
    check(
        "
        > topics t=1 u=1
        > join a pattern=[tv].*
        a is at 2 and has t0
        > topics t=1 u=1 v=2
        > beat a
        a is at 3 and has t0 v0 v1
        > beat a pattern=(
        a: INVALID_REGULAR_EXPRESSION
        > beat a pattern=u)|(t
        a: INVALID_REGULAR_EXPRESSION
        > beat a pattern=u
        a is at 3 and has nothing
        > ack a
        a is at 4 and has u0
        > beat a pattern= reads=t
        a is at 4 and has nothing
        > ack a
        a is at 5 and has t0
        ",
    );
}

#[test]
fn a_member_gives_up_what_it_reads_no_more_before_there_is_a_target() {
    use std::time::Duration;

    use super::scene::{LIMITS, check_with};
    use crate::group::consumer::Limits;

    check_with(
        Limits { assignment_interval: Duration::from_secs(60), ..LIMITS },
        "
        > topics t=1 u=1
        > join a reads=t,u
        a is at 2 and has t0 u0
        > beat a reads=u
        a is at 2 and has u0
        > join b reads=t
        b is at 2 and has nothing
        > ack a
        a is at 2
        > wait 30s
        > beat a
        a is at 2
        > beat b
        b is at 2
        > wait 30s
        > beat b
        b is at 4 and has t0
        ",
    );
}
