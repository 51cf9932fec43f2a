use super::scene::check;

#[test]
fn a_transaction_is_begun_committed_and_begun_again() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > add t-0 u-1
        stored: Ongoing 1/0 t-0 u-1
        yes
        > add t-1
        stored: Ongoing 1/0 t-0 t-1 u-1
        yes
        > end commit
        stored: PrepareCommit 1/0 t-0 t-1 u-1
        to be marked: Commit 1/0 t-0 t-1 u-1
        told 1/0
        > mark t-1
        > mark t-0
        > mark u-1
        stored: CompleteCommit 1/0
        > add t-5
        stored: Ongoing 1/0 t-5
        yes
        > end abort
        stored: PrepareAbort 1/0 t-5
        to be marked: Abort 1/0 t-5
        told 1/0
        > mark t-5
        stored: CompleteAbort 1/0
        ",
    );
}

#[test]
fn what_takes_part_already_is_not_stored_again() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > add t-0 t-1
        stored: Ongoing 1/0 t-0 t-1
        yes
        > add t-1
        yes
        > add t-1 t-2
        stored: Ongoing 1/0 t-0 t-1 t-2
        yes
        ",
    );
}

#[test]
fn only_the_present_producer_adds_and_not_while_an_end_is_told() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > add t-0 as=2/0
        INVALID_PRODUCER_ID_MAPPING
        > add t-0 as=1/1
        PRODUCER_FENCED
        > add t-0
        stored: Ongoing 1/0 t-0
        yes
        > end commit
        stored: PrepareCommit 1/0 t-0
        to be marked: Commit 1/0 t-0
        told 1/0
        > add t-1
        CONCURRENT_TRANSACTIONS
        > add t-1 as=2/0
        CONCURRENT_TRANSACTIONS
        ",
    );
}

#[test]
fn a_partition_takes_part_if_it_was_added() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > verify t-0
        TRANSACTION_ABORTABLE
        > add t-0
        stored: Ongoing 1/0 t-0
        yes
        > verify t-0
        yes
        > verify t-1
        TRANSACTION_ABORTABLE
        > verify u-0
        TRANSACTION_ABORTABLE
        > verify t-0 as=2/0
        INVALID_PRODUCER_ID_MAPPING
        > verify t-0 as=1/1
        PRODUCER_FENCED
        > end abort
        stored: PrepareAbort 1/0 t-0
        to be marked: Abort 1/0 t-0
        told 1/0
        > verify t-0
        CONCURRENT_TRANSACTIONS
        > mark t-0
        stored: CompleteAbort 1/0
        > verify t-0
        TRANSACTION_ABORTABLE
        ",
    );
}
