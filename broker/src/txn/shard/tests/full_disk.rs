//! What a shard does when its log takes no more.

use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Outcome;
use klamm_storage::ReadError;
use klamm_storage::disk::MemoryDisk;

use super::support::{ask, init, node};
use crate::node::Node;
use crate::txn::machine::{End, Generation, Partitions};
use crate::txn::shard::command::{Add, Command};

/// Commits a transaction with a partition that takes no marker, now or ever.
async fn commit_in_vain(node: &Arc<Node>) {
    let topic = node.auto_create(&"t".into()).await.unwrap();
    let producer = init(node, "tx").await.unwrap();
    topic.partition(0).unwrap().log().fail(ReadError::Closed);

    let generation = Generation::First;
    let partitions = Partitions::from([("t".into(), [0].into())]);
    let add = Add { producer, partitions, generation, is_patient: false };
    ask(node, |answer| Command::Add("tx".into(), add, answer)).await.unwrap();
    let end = End { producer, outcome: Outcome::Commit, generation };
    ask(node, |answer| Command::End("tx".into(), end, answer)).await.unwrap();
}

#[tokio::test]
async fn a_log_that_is_read_anew_leaves_no_writers_of_markers_behind() {
    let disk = MemoryDisk::new();
    let node = node(&disk).await;
    commit_in_vain(&node).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks(), 2, "the shard, and the markers of one transaction");

    disk.set_capacity(0);
    assert_eq!(init(&node, "other").await, Err(ErrorCode::COORDINATOR_NOT_AVAILABLE));
    disk.set_capacity(u64::MAX);
    // Once it answers again, the shard has read its log and had the markers written anew.
    while init(&node, "other").await.is_err() {}
    assert_eq!(tasks(), 2, "the shard, and the markers of one transaction");

    node.tasks.stop();
    node.tasks.ended().await;
    assert_eq!(tasks(), 0);
}
