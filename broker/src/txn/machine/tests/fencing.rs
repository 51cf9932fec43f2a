use super::scene::check;

#[test]
fn who_comes_fences_who_was_there() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > init
        stored: Empty 1/1
        told 1/1
        > add t-0 as=1/0
        PRODUCER_FENCED
        > add t-0
        stored: Ongoing 1/1 t-0
        yes
        > end commit as=1/0
        PRODUCER_FENCED
        ",
    );
}

/// It was told the epoch of who had come after it, whose transaction of the first generation had
/// ended as it wanted to end its own.
#[test]
fn who_was_replaced_does_not_take_an_end_for_its_own() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > init
        stored: Empty 1/1
        told 1/1
        > add t-0
        stored: Ongoing 1/1 t-0
        yes
        > end abort
        stored: PrepareAbort 1/1 t-0
        to be marked: Abort 1/1 t-0
        told 1/1
        > mark t-0
        stored: CompleteAbort 1/1
        > end abort v2 as=1/0
        PRODUCER_FENCED
        ",
    );
}

#[test]
fn what_is_open_is_aborted_first() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > add t-0
        stored: Ongoing 1/0 t-0
        yes
        > init
        stored: PrepareAbort 1/2 t-0
        to be marked: Abort 1/2 t-0
        CONCURRENT_TRANSACTIONS
        > init
        CONCURRENT_TRANSACTIONS
        > end commit as=1/0
        PRODUCER_FENCED
        > end commit as=1/0 v2
        CONCURRENT_TRANSACTIONS
        > mark t-0
        stored: CompleteAbort 1/2
        > end commit as=1/0 v2
        PRODUCER_FENCED
        > init
        stored: Empty 1/3
        told 1/3
        ",
    );
}

#[test]
fn an_id_that_is_fenced_in_its_last_epoch_is_replaced() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > age 32766
        > add t-0 as=1/32766
        stored: Ongoing 1/32766 t-0
        yes
        > init
        stored: PrepareAbort 1/32767 t-0
        to be marked: Abort 1/32767 t-0
        CONCURRENT_TRANSACTIONS
        > mark t-0
        stored: CompleteAbort 1/32767
        > init
        stored: Empty 2/0
        told 2/0
        ",
    );
}

#[test]
fn who_was_fenced_in_its_last_epoch_does_not_take_the_end_for_its_own() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > age 32766
        > add t-0 v2 as=1/32766
        stored: Ongoing 1/32766 t-0
        yes
        > init
        stored: PrepareAbort 1/32767 t-0
        to be marked: Abort 1/32767 t-0
        CONCURRENT_TRANSACTIONS
        > mark t-0
        stored: CompleteAbort 1/32767
        > end abort v2 as=1/32766
        PRODUCER_FENCED
        ",
    );
}

#[test]
fn a_producer_that_names_itself_goes_on_if_nobody_came_between() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > init known=1/0
        stored: Empty 1/1
        told 1/1
        > init known=1/0
        stored: Empty 1/1
        told 1/1
        > init known=1/1
        stored: Empty 1/2
        told 1/2
        > init known=1/0
        PRODUCER_FENCED
        > init known=9/2
        PRODUCER_FENCED
        > init
        stored: Empty 1/3
        told 1/3
        > init known=1/2
        PRODUCER_FENCED
        ",
    );
}

#[test]
fn a_producer_that_names_itself_gets_a_new_id_behind_its_last_epoch() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > age 32766
        > init known=1/32766
        stored: Empty 2/0
        told 2/0
        > init known=1/32766
        stored: Empty 2/0
        told 2/0
        > init known=2/0
        stored: Empty 2/1
        told 2/1
        > init known=1/32766
        PRODUCER_FENCED
        ",
    );
}

#[test]
fn an_id_that_nobody_had_is_given_to_a_producer_that_names_another() {
    check(
        "
        > init known=7/3
        stored: Empty 1/0
        told 1/0
        > init known=7/3
        PRODUCER_FENCED
        ",
    );
}

#[test]
fn a_fenced_producer_that_names_itself_does_not_abort_what_is_open() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > add t-0
        stored: Ongoing 1/0 t-0
        yes
        > init known=9/0
        PRODUCER_FENCED
        > init known=1/0
        stored: PrepareAbort 1/2 t-0
        to be marked: Abort 1/2 t-0
        CONCURRENT_TRANSACTIONS
        > mark t-0
        stored: CompleteAbort 1/2
        > init known=1/0
        PRODUCER_FENCED
        ",
    );
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted() {
    check(
        "
        > init timeout=10s
        stored: Empty 1/0
        told 1/0
        > wait 20s
        > add t-0
        stored: Ongoing 1/0 t-0
        yes
        > wait 9s
        > add t-1
        stored: Ongoing 1/0 t-0 t-1
        yes
        > wait 5s
        at 30s
        stored: PrepareAbort 1/2 t-0 t-1
        to be marked: Abort 1/2 t-0 t-1
        > end commit
        PRODUCER_FENCED
        > mark t-0
        > mark t-1
        stored: CompleteAbort 1/2
        > add t-0
        PRODUCER_FENCED
        > end commit v2
        PRODUCER_FENCED
        > wait 100s
        ",
    );
}
