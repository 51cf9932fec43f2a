use super::scene::{check, check_small};

const TWO_STABLE: &str = "
    > join a instance=i
    > join b instance=j
    > wait 6s
    at 6s
    a joins 1/range as i#1, leads i#1 j#2
    b joins 1/range as j#2, led by i#1
    > sync a i#1=x j#2=y
    stored: Stable, generation 1, i#1=x, j#2=y
    a has x
    > sync b
    b has y
";

#[track_caller]
fn check_two_stable(rest: &str) {
    check(&format!("{TWO_STABLE}{rest}"));
}

/// It was refused until its own old session had ended.
#[test]
fn who_starts_again_needs_no_room_in_a_group_that_is_full() {
    check_small(
        2,
        &format!(
            "{TWO_STABLE}
        > join b2 instance=j
        stored: Stable, generation 1, i#1=x, j#3=y
        b2 joins 1/range as j#3, led by i#1
        > join c instance=k
        c is told GROUP_MAX_SIZE_REACHED
        "
        ),
    );
}

#[test]
fn a_follower_that_starts_again_goes_on_with_what_it_had() {
    check_two_stable(
        "
        > join b2 instance=j
        stored: Stable, generation 1, i#1=x, j#3=y
        b2 joins 1/range as j#3, led by i#1
        > sync b2 instance=j
        b2 has y
        > beat a instance=i
        yes
        > beat b instance=j
        FENCED_INSTANCE_ID
        > beat b
        UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn a_leader_that_starts_again_does_not_assign() {
    check_two_stable(
        "
        > join a2 instance=i
        stored: Stable, generation 1, i#3=x, j#2=y
        a2 joins 1/range as i#3, led by i#1
        > join a3 instance=i v9
        stored: Stable, generation 1, i#4=x, j#2=y
        a3 joins 1/range as i#4, leads i#4 j#2 as they are
        > sync a3 instance=i
        a3 has x
        ",
    );
}

#[test]
fn another_protocol_of_a_member_that_starts_again_makes_a_rebalance() {
    check(
        "
        > join a instance=i protocols=range,sticky
        > wait 3s
        at 3s
        a joins 1/range as i#1, leads i#1
        > sync a i#1=x
        stored: Stable, generation 1, i#1=x
        a has x
        > join a2 instance=i protocols=range:more,sticky
        stored: Stable, generation 1, i#2=x
        a2 joins 1/range as i#2, led by i#1
        > join a3 instance=i protocols=sticky,range
        a3 joins 2/sticky as i#3, leads i#3
        ",
    );
}

#[test]
fn the_one_before_is_fenced_wherever_it_waits() {
    check(
        "
        > join a instance=i
        > join a2 instance=i
        a is told FENCED_INSTANCE_ID i#1
        > wait 6s
        at 3s
        a2 joins 1/range as i#2, leads i#2
        > join b
        > join a2 instance=i
        a2 joins 2/range as i#2, leads b#3 i#2
        b joins 2/range as b#3, led by i#2
        > sync a2 as=b#3
        > join a3 instance=i
        a2 is told REBALANCE_IN_PROGRESS
        > join b
        a3 joins 3/range as i#5, leads b#3 i#5
        b joins 3/range as b#3, led by i#5
        ",
    );
}

#[test]
fn a_static_member_keeps_its_place_while_others_go_on() {
    check(
        "
        > join a rebalance=2s
        > join b instance=j rebalance=2s
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1 j#2
        b joins 1/range as j#2, led by a#1
        > sync a a#1=x j#2=y
        stored: Stable, generation 1, a#1=x, j#2=y
        a has x
        > sync b
        b has y
        > join c rebalance=2s
        > join a rebalance=2s
        > wait 2s
        at 5s
        a joins 2/range as a#1, leads a#1 c#3 j#2
        c joins 2/range as c#3, led by a#1
        > sync a a#1=x j#2=y c#3=z
        stored: Stable, generation 2, a#1=x, c#3=z, j#2=y
        a has x
        > sync c
        c has z
        > beat b
        ILLEGAL_GENERATION
        > join b instance=j rebalance=2s
        b joins 2/range as j#2, led by a#1
        > sync b
        b has y
        > wait 9s
        > beat b
        yes
        ",
    );
}

#[test]
fn a_static_member_that_stays_away_loses_its_place() {
    check_two_stable(
        "
        > leave a
        yes
        > wait 9s
        > beat b
        REBALANCE_IN_PROGRESS
        > wait 9s
        > wait 1s
        at 25s
        stored: Empty, generation 2
        ",
    );
}

#[test]
fn an_id_is_checked_against_the_instance() {
    check_two_stable(
        "
        > join a instance=j
        a is told FENCED_INSTANCE_ID i#1
        > join a instance=k
        a is told UNKNOWN_MEMBER_ID i#1
        > sync a instance=j
        a is told FENCED_INSTANCE_ID
        > commit a instance=j
        FENCED_INSTANCE_ID
        > commit a instance=i
        yes
        ",
    );
}

#[test]
fn an_id_to_come_back_with_is_not_for_static_members() {
    check(
        "
        > join a v4
        a is told MEMBER_ID_REQUIRED a#1
        > join a instance=i
        a is told UNKNOWN_SERVER_ERROR a#1
        ",
    );
}
