//! What is told of changes that are not durable yet, or never will be.

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_storage::disk::{Disk as _, Fault, FaultyDisk, MemoryDisk};
use klamm_storage::{Storage, StorageOptions};
use klamm_utils::clock::ManualClock;

use super::topic;
use crate::Broker;
use crate::catalog::{Catalog, CatalogError, Refusal, new_id};
use crate::config::BrokerConfig;

/// A catalog in which there is the topic "there", on a disk that can be held up.
async fn start(disk: &FaultyDisk) -> (Catalog, Storage) {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let options = StorageOptions::default();
    let storage =
        Storage::open(Arc::new(disk.clone()), Path::new("/data"), &options, clock.clone()).unwrap();
    let catalog = Catalog::open(&storage, Arc::new(BrokerConfig::default()), clock).unwrap();
    assert_eq!(create(&catalog, "there").await, Ok(Ok(())));
    (catalog, storage)
}

fn faulty() -> FaultyDisk {
    FaultyDisk::new(Arc::new(MemoryDisk::new()))
}

type Changed = Result<Result<(), Refusal>, Refusal>;

fn create(catalog: &Catalog, name: &str) -> impl Future<Output = Changed> {
    let new = topic(name);
    catalog.change(move |planner| planner.create_topic(&new, new_id()).map(drop))
}

async fn is_pending<T>(mut future: Pin<&mut impl Future<Output = T>>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// The code with which a change was not stored.
fn lost(changed: Changed) -> Option<ErrorCode> {
    changed.err().map(|refusal| refusal.code)
}

#[tokio::test]
async fn who_is_told_that_a_topic_exists_finds_it() {
    let disk = faulty();
    let (catalog, _storage) = start(&disk).await;
    let held = disk.hold_syncs();
    let mut first = pin!(create(&catalog, "new"));
    let mut second = pin!(create(&catalog, "new"));
    assert!(is_pending(first.as_mut()).await && is_pending(second.as_mut()).await);
    assert!(catalog.image().topic("new").is_none());
    drop(held);
    let refusal = second.await.unwrap().unwrap_err();
    assert_eq!(refusal.code, ErrorCode::TOPIC_ALREADY_EXISTS);
    assert!(catalog.image().topic("new").is_some());
    assert_eq!(first.await, Ok(Ok(())));
}

#[tokio::test]
async fn who_is_told_that_a_topic_exists_finds_it_though_its_maker_has_gone() {
    let disk = faulty();
    let (catalog, _storage) = start(&disk).await;
    let held = disk.hold_syncs();
    let mut first = Box::pin(create(&catalog, "new"));
    assert!(is_pending(first.as_mut()).await);
    drop((first, held));
    let refusal = create(&catalog, "new").await.unwrap().unwrap_err();
    assert_eq!(refusal.code, ErrorCode::TOPIC_ALREADY_EXISTS);
    assert!(catalog.image().topic("new").is_some());
}

#[tokio::test]
async fn after_a_lost_sync_nothing_is_said_of_what_was_lost() {
    let disk = faulty();
    let (catalog, _storage) = start(&disk).await;
    let held = disk.hold_syncs();
    let mut first = pin!(create(&catalog, "new"));
    let mut second = pin!(create(&catalog, "new"));
    assert!(is_pending(first.as_mut()).await && is_pending(second.as_mut()).await);
    let fault = Fault { first: disk.calls() + 1, count: u64::MAX, kind: ErrorKind::Other };
    disk.fail(Some(fault));
    drop(held);
    for changed in [first.await, second.await, create(&catalog, "new").await] {
        assert_eq!(lost(changed), Some(ErrorCode::KAFKA_STORAGE_ERROR));
    }
    disk.fail(None);
    assert_eq!(lost(create(&catalog, "new").await), Some(ErrorCode::KAFKA_STORAGE_ERROR));
    assert_eq!(lost(create(&catalog, "other").await), Some(ErrorCode::KAFKA_STORAGE_ERROR));
    assert!(catalog.image().topic("new").is_none());
}

#[tokio::test]
async fn old_snapshots_go_also_where_the_log_cannot_be_cut() {
    let disk = faulty();
    let (catalog, _storage) = start(&disk).await;
    let write_snapshot = || {
        let version = catalog.version();
        catalog.0.store.write_snapshot(&version.image, version.end, 1)
    };
    write_snapshot().unwrap();
    assert_eq!(create(&catalog, "one").await, Ok(Ok(())));
    write_snapshot().unwrap();
    assert_eq!(create(&catalog, "two").await, Ok(Ok(())));
    let fault = Fault { first: disk.calls() + 1, count: u64::MAX, kind: ErrorKind::Other };
    disk.fail(Some(fault));
    assert!(lost(create(&catalog, "three").await).is_some());
    disk.fail(None);
    let written = write_snapshot();
    assert!(matches!(written, Err(CatalogError::Trim(_))), "{written:?}");
    let entries = disk.list(Path::new("/data/__cluster_metadata-0")).unwrap();
    let snapshots = entries.iter().filter(|entry| entry.name.ends_with(".checkpoint"));
    assert_eq!(snapshots.count(), 2);
}

#[tokio::test]
async fn two_who_have_the_same_topic_made_both_get_it() {
    let disk = faulty();
    let broker = Broker::builder().ephemeral().disk(Arc::new(disk.clone()));
    let broker = broker.start().await.unwrap();
    let node = broker.node();
    node.auto_create(&Str::from_static("there")).await.unwrap();
    let name = Str::from_static("new");
    let held = disk.hold_syncs();
    let mut first = pin!(node.auto_create(&name));
    let mut second = pin!(node.auto_create(&name));
    assert!(is_pending(first.as_mut()).await && is_pending(second.as_mut()).await);
    drop(held);
    // In this order: it is the second that could find nothing.
    let second = second.await.unwrap();
    assert_eq!(first.await.unwrap().id, second.id);
}

#[tokio::test]
async fn a_broker_that_can_store_no_change_says_so() {
    let disk = faulty();
    let broker = Broker::builder().ephemeral().disk(Arc::new(disk.clone()));
    let broker = broker.start().await.unwrap();
    let node = broker.node();
    assert!(node.read_only().is_empty());
    let fault = Fault { first: disk.calls() + 1, count: u64::MAX, kind: ErrorKind::Other };
    disk.fail(Some(fault));
    let refused = node.auto_create(&Str::from_static("new")).await;
    disk.fail(None);
    assert_eq!(refused.err(), Some(ErrorCode::KAFKA_STORAGE_ERROR));
    assert_eq!(node.read_only(), ["__cluster_metadata-0"]);
}
