use super::scene::check;

#[test]
fn the_first_generation_may_repeat_an_end_and_not_change_it() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > end commit
        INVALID_TXN_STATE
        > end abort
        INVALID_TXN_STATE
        > add t-0
        stored: Ongoing 1/0 t-0
        yes
        > end commit as=2/0
        INVALID_PRODUCER_ID_MAPPING
        > end commit as=1/1
        PRODUCER_FENCED
        > end commit
        stored: PrepareCommit 1/0 t-0
        to be marked: Commit 1/0 t-0
        told 1/0
        > end commit
        CONCURRENT_TRANSACTIONS
        > end abort
        CONCURRENT_TRANSACTIONS
        > end abort as=1/1
        PRODUCER_FENCED
        > mark t-0
        stored: CompleteCommit 1/0
        > end commit
        told 1/0
        > end abort
        INVALID_TXN_STATE
        ",
    );
}

#[test]
fn the_second_generation_gets_a_new_epoch_with_every_end() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > add t-0 v2
        stored: Ongoing 1/0 t-0
        yes
        > end commit v2
        stored: PrepareCommit 1/1 t-0
        to be marked: Commit 1/1 t-0
        told 1/1
        > end commit v2 as=1/0
        CONCURRENT_TRANSACTIONS
        > mark t-0
        stored: CompleteCommit 1/1
        > end commit v2 as=1/0
        told 1/1
        > end abort v2 as=1/0
        INVALID_TXN_STATE
        > end commit v2 as=1/1
        INVALID_TXN_STATE
        > end commit v2 as=1/2
        PRODUCER_FENCED
        > end commit v2 as=2/1
        INVALID_PRODUCER_ID_MAPPING
        > add t-0 v2 as=1/0
        PRODUCER_FENCED
        > add t-0 v2 as=1/1
        stored: Ongoing 1/1 t-0
        yes
        > end abort v2 as=1/0
        PRODUCER_FENCED
        > end abort v2 as=1/1
        stored: PrepareAbort 1/2 t-0
        to be marked: Abort 1/2 t-0
        told 1/2
        > mark t-0
        stored: CompleteAbort 1/2
        > end abort v2 as=1/1
        told 1/2
        > end commit v2 as=1/1
        INVALID_TXN_STATE
        ",
    );
}

#[test]
fn the_second_generation_may_abort_what_it_has_not_begun() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > end commit v2
        INVALID_TXN_STATE
        > end abort v2
        stored: PrepareAbort 1/1
        stored: CompleteAbort 1/1
        told 1/1
        > end abort v2
        stored: PrepareAbort 1/2
        stored: CompleteAbort 1/2
        told 1/2
        > end commit v2
        INVALID_TXN_STATE
        > add t-0 v2
        stored: Ongoing 1/2 t-0
        yes
        > end commit v2
        stored: PrepareCommit 1/3 t-0
        to be marked: Commit 1/3 t-0
        told 1/3
        > mark t-0
        stored: CompleteCommit 1/3
        > end abort v2
        stored: PrepareAbort 1/4
        stored: CompleteAbort 1/4
        told 1/4
        ",
    );
}

#[test]
fn behind_the_last_epoch_comes_a_new_id() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > age 32766
        > add t-0 v2 as=1/32766
        stored: Ongoing 1/32766 t-0
        yes
        > end commit v2 as=1/32766 spare=none
        COORDINATOR_LOAD_IN_PROGRESS
        > end commit v2 as=1/32766
        stored: PrepareCommit 1/32767, then 2 t-0
        to be marked: Commit 1/32767 t-0
        told 2/0
        > end commit v2 as=1/32766
        CONCURRENT_TRANSACTIONS
        > add t-0 v2 as=2/0
        CONCURRENT_TRANSACTIONS
        > mark t-0
        stored: CompleteCommit 2/0
        > end commit v2 as=1/32766
        told 2/0
        > end abort v2 as=1/32766
        INVALID_TXN_STATE
        > add t-0 v2 as=1/32766
        INVALID_PRODUCER_ID_MAPPING
        > add t-0 v2 as=2/0
        stored: Ongoing 2/0 t-0
        yes
        > end abort v2 as=1/32766
        INVALID_PRODUCER_ID_MAPPING
        ",
    );
}

#[test]
fn the_first_generation_uses_an_id_until_the_next_init() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > age 32765
        > init
        stored: Empty 1/32766
        told 1/32766
        > add t-0
        stored: Ongoing 1/32766 t-0
        yes
        > end commit
        stored: PrepareCommit 1/32766 t-0
        to be marked: Commit 1/32766 t-0
        told 1/32766
        > mark t-0
        stored: CompleteCommit 1/32766
        > init spare=none
        COORDINATOR_LOAD_IN_PROGRESS
        > init
        stored: Empty 2/0
        told 2/0
        ",
    );
}

#[test]
fn markers_of_another_end_are_not_counted() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > add t-0
        stored: Ongoing 1/0 t-0
        yes
        > mark t-0
        > end commit
        stored: PrepareCommit 1/0 t-0
        to be marked: Commit 1/0 t-0
        told 1/0
        > mark t-0 as=1/1
        > mark t-1
        > mark t-0
        stored: CompleteCommit 1/0
        > mark t-0
        ",
    );
}
