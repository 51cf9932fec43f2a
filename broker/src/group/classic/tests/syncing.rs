use super::scene::check;

const TWO_JOINED: &str = "
    > join a
    > join b
    > wait 6s
    at 6s
    a joins 1/range as a#1, leads a#1 b#2
    b joins 1/range as b#2, led by a#1
";

#[track_caller]
fn check_two_joined(rest: &str) {
    check(&format!("{TWO_JOINED}{rest}"));
}

#[test]
fn followers_wait_for_the_leader() {
    check_two_joined(
        "
        > sync b b#2=mine
        > sync a a#1=x b#2=y
        stored: Stable, generation 1, a#1=x, b#2=y
        a has x
        b has y
        > sync a
        a has x
        ",
    );
}

#[test]
fn whom_the_leader_forgets_has_nothing() {
    check_two_joined(
        "
        > sync a a#1=x c#9=z
        stored: Stable, generation 1, a#1=x, b#2=nothing
        a has x
        > sync b
        b has nothing
        ",
    );
}

#[test]
fn who_asks_twice_is_answered_twice() {
    check_two_joined(
        "
        > sync b
        > sync b
        b is told REBALANCE_IN_PROGRESS
        > sync a b#2=y
        stored: Stable, generation 1, a#1=nothing, b#2=y
        a has nothing
        b has y
        ",
    );
}

#[test]
fn a_join_ends_the_wait_for_the_leader() {
    check_two_joined(
        "
        > sync b
        > join c
        b is told REBALANCE_IN_PROGRESS
        > sync a a#1=x
        a is told REBALANCE_IN_PROGRESS
        > join a
        > join b
        a joins 2/range as a#1, leads a#1 b#2 c#3
        b joins 2/range as b#2, led by a#1
        c joins 2/range as c#3, led by a#1
        > sync a generation=1
        a is told ILLEGAL_GENERATION
        ",
    );
}

#[test]
fn strangers_and_the_mistaken_are_refused() {
    check_two_joined(
        "
        > sync c
        c is told UNKNOWN_MEMBER_ID
        > sync a as=a#7
        a is told UNKNOWN_MEMBER_ID
        > sync a instance=i
        a is told UNKNOWN_MEMBER_ID
        > sync a generation=2
        a is told ILLEGAL_GENERATION
        > sync a generation=-1
        a is told ILLEGAL_GENERATION
        > sync a type=connect
        a is told INCONSISTENT_GROUP_PROTOCOL
        > sync a protocol=sticky
        a is told INCONSISTENT_GROUP_PROTOCOL
        > sync a type=consumer protocol=range
        stored: Stable, generation 1, a#1=nothing, b#2=nothing
        a has nothing
        ",
    );
}

#[test]
fn assignments_that_cannot_be_stored_are_refused() {
    let huge = "x".repeat(100_000);
    check_two_joined(&format!(
        "
        > sync b
        > sync a a#1={huge}
        a is told UNKNOWN_SERVER_ERROR
        b is told UNKNOWN_SERVER_ERROR
        > beat a
        REBALANCE_IN_PROGRESS
        "
    ));
}
