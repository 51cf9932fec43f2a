use super::super::*;
use super::scene::check;

#[test]
fn an_end_that_is_decided_is_told_again_after_a_restart() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > add t-0 t-1 v2
        stored: Ongoing 1/0 t-0 t-1
        yes
        > end commit v2
        stored: PrepareCommit 1/1 t-0 t-1
        to be marked: Commit 1/1 t-0 t-1
        told 1/1
        > mark t-0
        > restart
        > end abort v2 as=1/0
        CONCURRENT_TRANSACTIONS
        > mark t-1
        > mark t-0
        stored: CompleteCommit 1/1
        > end commit v2 as=1/0
        told 1/1
        ",
    );
}

#[test]
fn the_next_id_outlives_a_restart() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > age 32766
        > add t-0 v2 as=1/32766
        stored: Ongoing 1/32766 t-0
        yes
        > end abort v2 as=1/32766
        stored: PrepareAbort 1/32767, then 2 t-0
        to be marked: Abort 1/32767 t-0
        told 2/0
        > restart
        > mark t-0
        stored: CompleteAbort 2/0
        > restart
        > end abort v2 as=1/32766
        told 2/0
        > add t-0 v2
        stored: Ongoing 2/0 t-0
        yes
        ",
    );
}

#[test]
fn the_time_that_a_transaction_has_goes_on_through_a_restart() {
    check(
        "
        > init timeout=10s
        stored: Empty 1/0
        told 1/0
        > add t-0
        stored: Ongoing 1/0 t-0
        yes
        > wait 5s
        > restart
        > wait 4s
        > wait 1s
        at 10s
        stored: PrepareAbort 1/2 t-0
        to be marked: Abort 1/2 t-0
        ",
    );
}

#[test]
fn a_repeated_init_is_fenced_after_a_restart() {
    check(
        "
        > init
        stored: Empty 1/0
        told 1/0
        > init known=1/0
        stored: Empty 1/1
        told 1/1
        > restart
        > init known=1/0
        PRODUCER_FENCED
        > init known=1/1
        stored: Empty 1/2
        told 1/2
        ",
    );
}

#[test]
fn an_id_at_rest_may_be_forgotten() {
    let mut transaction = Transaction::new(1);
    let init = Init { known: None, timeout_ms: 10 };
    let producer = transaction.init(init, &mut Turn::at(1_000)).unwrap();
    assert!(transaction.is_unused_since(1_000) && !transaction.is_unused_since(999));
    let partitions = Partitions::from([("t".into(), [0].into())]);
    transaction.add(producer, &partitions, Generation::First, &mut Turn::at(2_000)).unwrap();
    assert!(!transaction.is_unused_since(9_000));
    transaction.expire(&mut Turn::at(2_010));
    assert!(!transaction.is_unused_since(9_000));
    let marked = transaction.markers().unwrap().producer;
    transaction.marked(marked, "t", 0, &mut Turn::at(3_000));
    assert!(transaction.is_unused_since(3_000));
}

#[test]
fn a_transaction_without_a_bound_is_never_late() {
    let mut transaction = Transaction::new(1);
    let init = Init { known: None, timeout_ms: i32::MAX };
    let producer = transaction.init(init, &mut Turn::at(0)).unwrap();
    let partitions = Partitions::from([("t".into(), [0].into())]);
    transaction.add(producer, &partitions, Generation::First, &mut Turn::at(0)).unwrap();
    assert_eq!(transaction.deadline_ms(), None);
}
