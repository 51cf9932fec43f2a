//! How members go.

use super::scene::check;

#[test]
fn others_get_what_a_member_had_when_it_leaves() {
    check(
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > join b reads=t
        b is at 3 and has nothing
        > leave a
        a: fine
        > describe
        Assigning, epoch 4, target 3 by uniform
        b at 3 has nothing, shall have t1
        > beat b
        b is at 4 and has t0 t1
        > leave b
        b: fine
        > describe
        Empty, epoch 5, target 4 by uniform
        > beat b
        b: UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn groups_outlive_the_broker() {
    check(
        "
        > topics t=2
        > join a reads=t
        a is at 2 and has t0 t1
        > join b pattern=t
        b is at 3 and has nothing
        > beat a
        a is at 2 and has t0
        > restart
        > describe
        Reconciling, epoch 3, target 3 by uniform
        a at 2 has t0 t1, shall have t0
        b at 3 has nothing, shall have t1
        > beat a
        a is at 2
        > beat a owns=t0
        a is at 3
        > beat b
        b is at 3 and has t1
        ",
    );
}
