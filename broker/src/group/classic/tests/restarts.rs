use super::scene::{check, check_small};

#[test]
fn a_stable_group_goes_on_without_a_rebalance() {
    check(
        "
        > join a protocols=range:ma,sticky:sa
        > join b instance=j protocols=range:mb
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 j#2
        b joins 1/range as j#2, led by a#1
        > sync a a#1=x j#2=y
        stored: Stable, generation 1, a#1=x, j#2=y
        a has x
        > wait 9s
        > restart
        > wait 9s
        > beat a
        yes
        > describe
        Stable, \"consumer\" by \"range\"
        a#1: a at /here, b\"ma\" gives b\"x\"
        j#2 (j): b at /here, b\"mb\" gives b\"y\"
        > join b2 instance=j protocols=range:mb
        stored: Stable, generation 1, a#1=x, j#3=y
        b2 joins 1/range as j#3, led by a#1
        > wait 9s
        > beat b2
        yes
        > wait 1s
        > beat b2
        REBALANCE_IN_PROGRESS
        ",
    );
}

#[test]
fn a_generation_that_was_not_assigned_is_gone() {
    check(
        "
        > join a
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > sync a a#1=x
        stored: Stable, generation 1, a#1=x
        a has x
        > join b
        > join a
        a joins 2/range as a#1, leads a#1 b#2
        b joins 2/range as b#2, led by a#1
        > restart
        > sync a a#1=x b#2=y
        a is told ILLEGAL_GENERATION
        > sync b
        b is told UNKNOWN_MEMBER_ID
        > join a
        a joins 2/range as a#1, leads a#1
        ",
    );
}

#[test]
fn an_empty_group_stays_what_it_was() {
    check(
        "
        > join a
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > leave a
        yes
        stored: Empty, generation 2
        > restart
        > wait 9s
        > describe
        Empty, \"consumer\" by \"\"
        > ask t
        delete: yes; delete offsets: yes; subscribed: false; expiry: Since(3000)
        ",
    );
}

#[test]
fn a_group_that_has_become_too_great_loses_the_last_to_join() {
    check_small(
        3,
        "
        > join a
        > join b
        > join c
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2 c#3
        b joins 1/range as b#2, led by a#1
        c joins 1/range as c#3, led by a#1
        > sync a a#1=x b#2=y c#3=z
        stored: Stable, generation 1, a#1=x, b#2=y, c#3=z
        a has x
        > restart size=2
        > beat a
        REBALANCE_IN_PROGRESS
        > join c
        > join b
        > join a
        a is told GROUP_MAX_SIZE_REACHED
        b joins 2/range as b#2, leads b#2 c#3
        c joins 2/range as c#3, led by b#2
        ",
    );
}
