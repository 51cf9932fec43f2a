use super::scene::check;

#[test]
fn a_silent_member_is_out_when_its_session_ends() {
    check(
        "
        > join a session=6s
        > join b session=20s
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > sync a a#1=x b#2=y
        stored: Stable, generation 1, a#1=x, b#2=y
        a has x
        > sync b
        b has y
        > wait 5s
        > beat b
        yes
        > wait 2s
        > beat b
        REBALANCE_IN_PROGRESS
        > join b
        b joins 2/range as b#2, leads b#2
        ",
    );
}

#[test]
fn heartbeats_and_commits_keep_a_session() {
    check(
        "
        > join a session=6s
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > sync a
        stored: Stable, generation 1, a#1=nothing
        a has nothing
        > wait 5s
        > beat a
        yes
        > wait 5s
        > commit a
        yes
        > wait 5s
        > sync a
        a has nothing
        > wait 5s
        > beat a generation=0
        ILLEGAL_GENERATION
        > wait 1s
        at 24s
        stored: Empty, generation 2
        ",
    );
}

#[test]
fn who_waits_is_alive() {
    check(
        "
        > join a session=20s
        > join b session=6s
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > sync b
        > wait 15s
        > beat a
        yes
        > sync a a#1=x b#2=y
        stored: Stable, generation 1, a#1=x, b#2=y
        a has x
        b has y
        > wait 5s
        > beat b
        yes
        > join b protocols=range:new
        > wait 10s
        > join a
        a joins 2/range as a#1, leads a#1 b#2
        b joins 2/range as b#2, led by a#1
        ",
    );
}

#[test]
fn who_dies_while_it_waits_is_missed_when_its_session_ends() {
    check(
        "
        > join a session=20s
        > join b session=6s
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > sync b
        > wait 8s
        > die b
        > wait 3s
        > beat a
        yes
        > wait 1s
        > beat a
        REBALANCE_IN_PROGRESS
        > join a
        a joins 2/range as a#1, leads a#1
        ",
    );
    check(
        "
        > join a session=10s
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > join b session=6s
        > die b
        > wait 5s
        > join a session=10s
        a joins 2/range as a#1, leads a#1 b#2
        > beat a
        yes
        > wait 1s
        > beat a
        REBALANCE_IN_PROGRESS
        ",
    );
}

#[test]
fn a_newcomer_that_waits_for_five_minutes_may_try_again() {
    check(
        "
        > join a session=1000s rebalance=1000s
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > join b rebalance=1000s
        > wait 300s
        at 303s
        b is told UNKNOWN_MEMBER_ID
        > join a session=1000s
        a joins 2/range as a#1, leads a#1
        ",
    );
}

#[test]
fn who_does_not_ask_for_its_assignment_is_out() {
    check(
        "
        > join a rebalance=20s session=100s
        > join b rebalance=20s session=100s
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > sync a a#1=x
        stored: Stable, generation 1, a#1=x, b#2=nothing
        a has x
        > wait 19s
        > beat b
        yes
        > wait 1s
        > beat b
        UNKNOWN_MEMBER_ID
        > join a
        a joins 2/range as a#1, leads a#1
        ",
    );
}

#[test]
fn a_leader_that_does_not_assign_is_out() {
    check(
        "
        > join a rebalance=20s session=100s
        > join b rebalance=20s session=100s
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > sync b
        > wait 20s
        at 26s
        b is told REBALANCE_IN_PROGRESS
        > join b
        b joins 2/range as b#2, leads b#2
        ",
    );
}

#[test]
fn a_group_whose_members_have_no_time_does_not_spin() {
    check(
        "
        > join a instance=i rebalance=0s
        > join b rebalance=0s
        > wait 2s
        > join a instance=i as=i#1 rebalance=0s
        a is told REBALANCE_IN_PROGRESS i#1
        > wait 1s
        at 3s
        a joins 1/range as i#1, leads b#2 i#1
        b joins 1/range as b#2, led by i#1
        at 3s
        stored: Empty, generation 2
        ",
    );
    check(
        "
        > join a instance=i
        > join b
        > wait 6s
        at 6s
        a joins 1/range as i#1, leads b#2 i#1
        b joins 1/range as b#2, led by i#1
        > join a rebalance=0s protocols=range:new
        > join b rebalance=0s
        a joins 2/range as i#1, leads b#2 i#1
        b joins 2/range as b#2, led by i#1
        > sync a
        stored: Stable, generation 2, b#2=nothing, i#1=nothing
        a has nothing
        > sync b
        b has nothing
        > leave b
        yes
        > wait 9s
        > join a instance=i
        a joins 3/range as i#1, leads i#1
        ",
    );
}
