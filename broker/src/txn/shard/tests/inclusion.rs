//! Partitions that are included while the last transaction is still being ended.

use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions, BatchProducer, Outcome};
use klamm_storage::disk::MemoryDisk;

use super::support::{ask, init, node};
use crate::txn::inclusion::{Asking, Inclusion, include};
use crate::txn::machine::{End, Generation, Producer};
use crate::txn::shard::command::Command;

fn batch(producer: Producer) -> Batch {
    let Producer { id, epoch } = producer;
    let options = BatchOptions { transactional: true, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    builder.set_producer(BatchProducer { id, epoch, base_sequence: 0 });
    builder.push(0, None, Some(b"value"), &[]).unwrap();
    builder.build(0).unwrap()
}

#[tokio::test]
async fn a_marker_that_comes_meanwhile_does_not_take_away_what_was_included() {
    let node = node(&MemoryDisk::new()).await;
    let topic = node.auto_create(&"t".into()).await.unwrap();
    let partition = topic.partition(0).unwrap();
    let write = async |producer, asking| {
        let included = include(&node, &"tx".into(), vec![asking], Inclusion::ByWrite).await;
        let appended = partition.append(batch(producer), Some(included[0].unwrap()), 0);
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
