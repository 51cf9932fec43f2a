use super::scene::check;

#[test]
fn offsets_may_be_committed_from_outside_while_nobody_is_in() {
    check(
        "
        > commit x
        yes
        > commit x generation=0
        UNKNOWN_MEMBER_ID
        > join a
        > commit x
        UNKNOWN_MEMBER_ID
        > commit a
        UNKNOWN_MEMBER_ID
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > commit a
        REBALANCE_IN_PROGRESS
        > sync a
        stored: Stable, generation 1, a#1=nothing
        a has nothing
        > commit a
        yes
        > commit a generation=0
        ILLEGAL_GENERATION
        > commit a generation=-1
        ILLEGAL_GENERATION
        > commit x
        UNKNOWN_MEMBER_ID
        > join b
        > commit a
        yes
        > commit b generation=1
        UNKNOWN_MEMBER_ID
        ",
    );
}

#[test]
fn a_group_tells_what_it_consumes() {
    check(
        "
        > ask t
        delete: yes; delete offsets: yes; subscribed: false; expiry: SinceCommit
        > join a protocols=range:@t+u
        > join b protocols=range:@u+v
        > ask t
        delete: NON_EMPTY_GROUP; delete offsets: yes; subscribed: true; expiry: Never
        > wait 6s
        at 6s
        a joins 1/range as a#1, leads a#1 b#2
        b joins 1/range as b#2, led by a#1
        > sync a
        stored: Stable, generation 1, a#1=nothing, b#2=nothing
        a has nothing
        > ask t
        delete: NON_EMPTY_GROUP; delete offsets: yes; subscribed: true; expiry: SinceCommit
        > ask w
        delete: NON_EMPTY_GROUP; delete offsets: yes; subscribed: false; expiry: SinceCommit
        > restart
        > ask v
        delete: NON_EMPTY_GROUP; delete offsets: yes; subscribed: true; expiry: SinceCommit
        > ask w
        delete: NON_EMPTY_GROUP; delete offsets: yes; subscribed: false; expiry: SinceCommit
        > leave a b
        yes, yes
        stored: Empty, generation 2
        > ask t
        delete: yes; delete offsets: yes; subscribed: false; expiry: Since(6000)
        ",
    );
}

#[test]
fn of_groups_that_cannot_be_read_nothing_grows_old() {
    check(
        "
        > join a protocols=range:??
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > sync a
        stored: Stable, generation 1, a#1=nothing
        a has nothing
        > ask t
        delete: NON_EMPTY_GROUP; delete offsets: yes; subscribed: true; expiry: Never
        ",
    );
    check(
        "
        > join a type=connect
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > sync a
        stored: Stable, generation 1, a#1=nothing
        a has nothing
        > ask t
        delete: NON_EMPTY_GROUP; delete offsets: NON_EMPTY_GROUP; subscribed: false; expiry: Never
        ",
    );
}

#[test]
fn only_a_stable_group_shows_metadata_and_assignments() {
    check(
        "
        > join a protocols=range:m
        > describe
        PreparingRebalance, \"consumer\" by \"\"
        a#1: a at /here, b\"\" gives b\"\"
        > wait 3s
        at 3s
        a joins 1/range as a#1, leads a#1
        > describe
        CompletingRebalance, \"consumer\" by \"\"
        a#1: a at /here, b\"\" gives b\"\"
        > sync a a#1=x
        stored: Stable, generation 1, a#1=x
        a has x
        > describe
        Stable, \"consumer\" by \"range\"
        a#1: a at /here, b\"m\" gives b\"x\"
        ",
    );
}
