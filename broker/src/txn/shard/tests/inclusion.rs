//! Partitions that are included while the last transaction is still being ended.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions, BatchProducer, Outcome};
use klamm_storage::disk::MemoryDisk;

use super::support::{ask, init, node};
use crate::txn::inclusion::{Asking, Inclusion, include};
use crate::txn::machine::{End, Generation, Producer};
use crate::txn::shard::command::Command;

fn batch(producer: Producer, base_sequence: i32) -> Batch {
    let Producer { id, epoch } = producer;
    let options = BatchOptions { transactional: true, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    builder.set_producer(BatchProducer { id, epoch, base_sequence });
    builder.push(0, None, Some(b"value"), &[]).unwrap();
    builder.build(0).unwrap()
}

/// What came behind was stored, and the batch could not come again.
#[tokio::test]
async fn what_comes_behind_a_batch_that_has_to_come_again_waits_for_it() {
    let node = node(&MemoryDisk::new()).await;
    let topic = node.auto_create(&"t".into()).await.unwrap();
    let partition = topic.partition(0).unwrap();
    let producer = Producer { id: 1, epoch: 0 };
    let answered = |sequence, outcome| {
        Asking::begin(&partition, producer, sequence).unwrap().answered(outcome)
    };
    let append = |sequence, verification| {
        let appended = partition.append(batch(producer, sequence), Some(verification), 0);
        appended.map(|_| ()).map_err(|rejection| rejection.code)
    };
    let transient = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    assert_eq!(answered(0, Err(transient)), Err(transient));
    let behind = answered(1, Ok(())).unwrap();
    assert_eq!(append(1, behind), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(append(0, answered(0, Ok(())).unwrap()), Ok(()));
    assert_eq!(append(1, behind), Ok(()));
    node.tasks.stop();
}

#[tokio::test]
async fn a_marker_that_comes_meanwhile_does_not_take_away_what_was_included() {
    let node = node(&MemoryDisk::new()).await;
    let topic = node.auto_create(&"t".into()).await.unwrap();
    let partition = topic.partition(0).unwrap();
    let write = async |producer, asking| {
        let included = include(&node, &"tx".into(), vec![asking], Inclusion::ByWrite).await;
        let appended = partition.append(batch(producer, 0), Some(included[0].unwrap()), 0);
        appended.map(|_| ()).map_err(|rejection| rejection.message)
    };

    let first = init(&node, "tx").await.unwrap();
    let asking = Asking::begin(&partition, first, 0).unwrap();
    assert_eq!(write(first, asking).await, Ok(()));
    // The next transaction is as fast as can be: it asks before the last one has its marker.
    let second = Producer { epoch: first.epoch + 1, ..first };
    let asking = Asking::begin(&partition, second, 0).unwrap();
    let (outcome, generation) = (Outcome::Commit, Generation::Second);
    let end = End { producer: first, outcome, generation };
    let next = ask(&node, |answer| Command::End("tx".into(), end, answer)).await;
    assert_eq!(next, Ok(second));
    assert_eq!(write(second, asking).await, Ok(()));
    node.tasks.stop();
}
