use super::scene::{check, check_small};

#[test]
fn a_newcomer_comes_back_with_the_id_it_is_given() {
    check(
        "
        > join a v4
        a is told MEMBER_ID_REQUIRED a#1
        > join a v4
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        ",
    );
}

#[test]
fn an_old_client_and_a_static_one_join_at_once() {
    check(
        "
        > join a
        > join b v4 instance=i
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 i#2
        b joins 1/range as i#2, led by a#1
        ",
    );
}

#[test]
fn an_id_that_nobody_comes_back_with_is_forgotten() {
    check(
        "
        > join a v4 session=6s
        a is told MEMBER_ID_REQUIRED a#1
        > wait 6s
        > join a v4
        a is told UNKNOWN_MEMBER_ID a#1
        ",
    );
}

#[test]
fn a_rebalance_waits_for_ids_that_are_out() {
    check(
        "
        > join a
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > join b v4 session=8s
        b is told MEMBER_ID_REQUIRED b#2
        > join a protocols=range:new
        > wait 7s
        > join b
        a joins 2/range as a#1, leads a#1 b#2
        b joins 2/range as b#2, led by a#1
        ",
    );
    check(
        "
        > join a
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > join b v4 session=8s
        b is told MEMBER_ID_REQUIRED b#2
        > join a protocols=range:new
        > wait 9s
        at 11s
        a joins 2/range as a#1, leads a#1
        ",
    );
}

#[test]
fn the_first_wait_goes_on_while_members_come_but_not_beyond_the_rebalance_timeout() {
    check(
        "
        > join a rebalance=7s
        > wait 2s
        > join b rebalance=7s
        > wait 2s
        > join c rebalance=7s
        > wait 2s
        > join d rebalance=7s
        > wait 2s
        at 7s
        a joins 1/range as a#1, leads a#1 b#2 c#3 d#4
        b joins 1/range as b#2, led by a#1
        c joins 1/range as c#3, led by a#1
        d joins 1/range as d#4, led by a#1
        ",
    );
}

#[test]
fn a_member_that_does_not_join_again_is_out() {
    check(
        "
        > join a rebalance=5s
        > join b rebalance=5s
        > wait 6s
        at 5s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > join b protocols=range:new rebalance=5s
        > beat a
        REBALANCE_IN_PROGRESS
        > wait 5s
        at 11s
        b joins 2/range as b#2, leads b#2
        > beat a
        UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn a_member_whose_answer_was_lost_gets_it_again() {
    check(
        "
        > join a
        > join b
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > join a
        a joins 1/range as a#1, leads a#1 b#2
        > join b
        b joins 1/range as b#2, led by a#1
        > sync a a#1=x b#2=y
        stored: Stable, generation 1, a#1=x, b#2=y
        a has x
        > join b
        b joins 1/range as b#2, led by a#1
        > sync b
        b has y
        ",
    );
}

#[test]
fn a_leader_or_new_metadata_make_a_rebalance() {
    check(
        "
        > join a
        > join b
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > sync a a#1=x b#2=y
        stored: Stable, generation 1, a#1=x, b#2=y
        a has x
        > join a
        > beat b
        REBALANCE_IN_PROGRESS
        > join b
        a joins 2/range as a#1, leads a#1 b#2
        b joins 2/range as b#2, led by a#1
        > sync a a#1=x b#2=y
        stored: Stable, generation 2, a#1=x, b#2=y
        a has x
        > join b protocols=range:more
        > join a
        a joins 3/range as a#1, leads a#1 b#2
        b joins 3/range as b#2, led by a#1
        ",
    );
}

#[test]
fn who_asks_again_while_it_waits_is_answered_once_more() {
    check(
        "
        > join a
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > join b
        > join a
        a joins 2/range as a#1, leads a#1 b#2
        b joins 2/range as b#2, led by a#1
        > join a protocols=range:new
        > join a protocols=range:new
        a is told REBALANCE_IN_PROGRESS a#1
        > join b
        a joins 3/range as a#1, leads a#1 b#2
        b joins 3/range as b#2, led by a#1
        ",
    );
}

#[test]
fn members_vote_among_the_protocols_that_all_know() {
    check(
        "
        > join a protocols=sticky,range,mine
        > join b protocols=range,sticky
        > join c protocols=range,yours,sticky
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2 c#3
        b joins 1/range as b#2, led by a#1
        c joins 1/range as c#3, led by a#1
        ",
    );
    check(
        "
        > join a protocols=sticky,range
        > join b protocols=range,sticky
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        ",
    );
}

#[test]
fn a_protocol_named_twice_counts_once() {
    check(
        "
        > join a protocols=range,range
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        ",
    );
}

#[test]
fn who_has_nothing_in_common_is_refused() {
    check(
        "
        > join a protocols=
        a is told INCONSISTENT_GROUP_PROTOCOL
        > join a type=
        a is told INCONSISTENT_GROUP_PROTOCOL
        > join a
        > join b type=connect
        b is told INCONSISTENT_GROUP_PROTOCOL
        > join b protocols=sticky
        b is told INCONSISTENT_GROUP_PROTOCOL
        > join b protocols=
        b is told INCONSISTENT_GROUP_PROTOCOL
        > join b protocols=sticky,range
        > wait 6s
        at 6s
        a joins 1/range as a#3, leads a#3 b#7
        b joins 1/range as b#7, led by a#3
        ",
    );
}

#[test]
fn an_id_that_nobody_gave_is_refused() {
    check(
        "
        > join a as=a#7
        a is told UNKNOWN_MEMBER_ID a#7
        > join b
        > join a as=a#7
        a is told UNKNOWN_MEMBER_ID a#7
        ",
    );
}

#[test]
fn a_full_group_refuses_newcomers() {
    check_small(
        2,
        "
        > join a
        > join b
        > join c
        c is told GROUP_MAX_SIZE_REACHED
        > join a as=a#1
        a is told REBALANCE_IN_PROGRESS a#1
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > join c
        c is told GROUP_MAX_SIZE_REACHED
        > sync a a#1=x b#2=y
        stored: Stable, generation 1, a#1=x, b#2=y
        a has x
        > join c
        c is told GROUP_MAX_SIZE_REACHED
        > join b
        b joins 1/range as b#2, led by a#1
        ",
    );
}

#[test]
fn more_ids_than_places_may_be_out_but_the_last_are_refused() {
    check_small(
        2,
        "
        > join a v4
        a is told MEMBER_ID_REQUIRED a#1
        > join b v4
        b is told MEMBER_ID_REQUIRED b#2
        > join c v4
        c is told MEMBER_ID_REQUIRED c#3
        > join c v4
        > join b v4
        > join a v4
        a is told GROUP_MAX_SIZE_REACHED
        ",
    );
}

#[test]
fn nobody_waits_for_a_newcomer_that_was_refused() {
    check_small(
        2,
        "
        > join a v4
        a is told MEMBER_ID_REQUIRED a#1
        > join b v4
        b is told MEMBER_ID_REQUIRED b#2
        > join c v4
        c is told MEMBER_ID_REQUIRED c#3
        > join a v4
        > join b v4
        > join c v4
        c is told GROUP_MAX_SIZE_REACHED
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > sync a a#1=x b#2=y
        stored: Stable, generation 1, a#1=x, b#2=y
        a has x
        > join a
        > join b
        a joins 2/range as a#1, leads a#1 b#2
        b joins 2/range as b#2, led by a#1
        ",
    );
}

#[test]
fn a_member_id_can_be_written_however_long_the_client_id_is() {
    let long = "ü".repeat(16_000);
    check(&format!(
        "
        > join a
        > join {long} v4 instance={long}
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 {long}#2
        {long} joins 1/range as {long}#2, led by a#1
        "
    ));
    let id = super::super::join::new_member_id(&"ü".repeat(16_383), [0; 16]);
    assert!(id.len() <= 32_767 && id.starts_with('ü'), "{}", id.len());
}
