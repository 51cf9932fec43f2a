use super::scene::check;

#[test]
fn the_last_to_leave_leaves_an_empty_group() {
    check(
        "
        > join a
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > sync a a#1=x
        stored: Stable, generation 1, a#1=x
        a has x
        > leave a
        yes
        stored: Empty, generation 2
        > describe
        Empty, \"consumer\" by \"\"
        > beat a
        UNKNOWN_MEMBER_ID
        > leave a
        UNKNOWN_MEMBER_ID
        > join b type=connect
        > wait 3s
        at 6s
        b joins 3/range as b#2, leads b#2
        ",
    );
}

#[test]
fn who_stays_shares_what_is_left() {
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
        > leave a
        yes
        > beat b
        REBALANCE_IN_PROGRESS
        > join b
        b joins 2/range as b#2, leads b#2
        ",
    );
}

#[test]
fn the_rest_goes_on_when_the_one_they_wait_for_leaves() {
    check(
        "
        > join a
        > join b
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > join b protocols=range:new
        > leave a
        yes
        b joins 2/range as b#2, leads b#2
        ",
    );
}

#[test]
fn who_waits_and_leaves_is_told_that_it_is_not_known() {
    check(
        "
        > join a
        > join b
        > leave a#1
        yes
        a is told UNKNOWN_MEMBER_ID
        > wait 6s
        at 6s
        b joins 1/range as b#2, leads b#2
        > join c
        > join b
        b joins 2/range as b#2, leads b#2 c#3
        c joins 2/range as c#3, led by b#2
        > sync c
        > leave c#3
        yes
        c is told UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn all_may_leave_before_the_first_generation() {
    check(
        "
        > join a
        > join b
        > leave a#1 b#2
        yes, yes
        a is told UNKNOWN_MEMBER_ID
        b is told UNKNOWN_MEMBER_ID
        > wait 6s
        at 6s
        stored: Empty, generation 1
        ",
    );
}

#[test]
fn an_id_may_be_given_back() {
    check(
        "
        > join a v4
        a is told MEMBER_ID_REQUIRED a#1
        > leave a
        yes
        > join a
        a is told UNKNOWN_MEMBER_ID a#1
        ",
    );
}

#[test]
fn static_members_are_taken_out_by_their_instance_alone() {
    check(
        "
        > join a instance=i
        > join b instance=j
        > join c
        > wait 6s
        at 6s
        a joins 1/range as i#1, leads c#3 i#1 j#2
        b joins 1/range as j#2, led by i#1
        c joins 1/range as c#3, led by i#1
        > leave instance=i instance=x instance=j c
        yes, UNKNOWN_MEMBER_ID, yes, yes
        stored: Empty, generation 2
        ",
    );
}
