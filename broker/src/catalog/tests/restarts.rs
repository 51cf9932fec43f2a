//! What a catalog still knows after its broker ended, well or badly.

use std::path::Path;
use std::sync::Arc;

use klamm_storage::disk::{Disk, MemoryDisk, OpenMode};
use klamm_storage::{Storage, StorageOptions};
use klamm_utils::clock::ManualClock;

use super::topic;
use crate::catalog::{Catalog, CatalogError, NewTopic, new_id};
use crate::config::{BrokerConfig, Layers};

const DIR: &str = "/data";

/// A broker's catalog on a disk, with what keeps it open.
struct Running {
    catalog: Catalog,
    storage: Storage,
}

fn config(pairs: &[(&str, &str)]) -> BrokerConfig {
    let fixed = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    BrokerConfig::new(Layers { fixed, ..Layers::default() }).unwrap()
}

fn try_start(disk: &MemoryDisk, config: &BrokerConfig) -> Result<Running, CatalogError> {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let disk = Arc::new(disk.clone());
    let options = StorageOptions::default();
    let storage = Storage::open(disk, Path::new(DIR), &options, clock.clone())?;
    let catalog = Catalog::open(&storage, Arc::new(config.clone()), clock)?;
    Ok(Running { catalog, storage })
}

fn start(disk: &MemoryDisk) -> Running {
    try_start(disk, &config(&[])).unwrap()
}

async fn create(running: &Running, name: &str) {
    let new = NewTopic { partitions: 2, ..topic(name) };
    let made = running.catalog.change(|planner| planner.create_topic(&new, new_id()).map(drop));
    assert_eq!(made.await, Ok(Ok(())));
}

#[tokio::test]
async fn everything_is_there_after_any_end() {
    let disk = MemoryDisk::new();
    let running = start(&disk);
    create(&running, "one").await;
    create(&running, "two").await;
    assert_eq!(running.catalog.allocate_producer_ids().await, Ok(0..1000));
    let (image, cluster) = (running.catalog.image(), running.catalog.cluster_id().to_owned());
    let killed = disk.after_kill();
    let cuts: Vec<_> = (0..20).map(|seed| disk.after_power_cut(seed)).collect();
    running.storage.close().unwrap();
    drop(running);

    for disk in [disk, killed].into_iter().chain(cuts) {
        let running = start(&disk);
        assert_eq!(running.catalog.image(), image);
        assert_eq!(running.catalog.cluster_id(), cluster);
        create(&running, "three").await;
        assert_eq!(running.catalog.image().topics().count(), 3);
        assert_eq!(running.catalog.allocate_producer_ids().await, Ok(1000..2000));
    }
}

#[tokio::test]
async fn snapshots_bound_the_log_and_stand_in_for_it() {
    let disk = MemoryDisk::new();
    let config = config(&[("metadata.log.max.record.bytes.between.snapshots", "1000")]);
    let running = try_start(&disk, &config).unwrap();
    for index in 0..50 {
        create(&running, &format!("topic-{index}")).await;
    }
    let image = running.catalog.image();
    let snapshots = snapshots(&disk);
    assert_eq!(snapshots.len(), 2, "{snapshots:?}");
    drop(running);
    assert_eq!(try_start(&disk, &config).unwrap().catalog.image(), image);

    // The newest snapshot rots: the one before it and the log still say everything.
    damage(&disk, &snapshots[1]);
    assert_eq!(try_start(&disk, &config).unwrap().catalog.image(), image);
    // Without any, nothing may be guessed.
    damage(&disk, &snapshots[0]);
    let refused = try_start(&disk, &config).map(drop);
    assert!(matches!(refused, Err(CatalogError::NoSnapshot { .. })), "{refused:?}");
}

fn folder() -> std::path::PathBuf {
    Path::new(DIR).join("__cluster_metadata-0")
}

fn snapshots(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.list(&folder()).unwrap().into_iter().map(|entry| entry.name);
    let mut snapshots: Vec<_> = names.filter(|name| name.ends_with(".checkpoint")).collect();
    snapshots.sort_unstable();
    snapshots
}

fn damage(disk: &MemoryDisk, snapshot: &str) {
    let file = disk.open(&folder().join(snapshot), OpenMode::Existing).unwrap();
    file.write_all_at(&[b"rot"], 100).unwrap();
}

#[tokio::test]
async fn a_change_that_is_not_stored_is_not_made() {
    let disk = MemoryDisk::new();
    let running = start(&disk);
    create(&running, "one").await;
    let image = running.catalog.image();
    disk.set_capacity(0);
    // More than fits where zeros lie ready.
    let new = NewTopic { partitions: 1_000, ..topic("two") };
    let refused = running
        .catalog
        .change(|planner| planner.create_topic(&new, new_id()).map(drop))
        .await
        .unwrap_err();
    assert_eq!(refused.code, klamm_protocol::error_code::ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(running.catalog.image(), image);
    disk.set_capacity(u64::MAX);
    create(&running, "two").await;
}

#[tokio::test]
async fn changes_at_the_same_time_follow_each_other() {
    let running = start(&MemoryDisk::new());
    let names: Vec<_> = (0..32).map(|index| format!("topic-{index}")).collect();
    tokio::join!(
        async {
            for name in names.iter().step_by(2) {
                create(&running, name).await;
            }
        },
        async {
            for name in names.iter().skip(1).step_by(2) {
                create(&running, name).await;
            }
        },
    );
    assert_eq!(running.catalog.image().topics().count(), 32);
}

#[test]
fn data_of_another_broker_or_cluster_is_left_alone() {
    let disk = MemoryDisk::new();
    drop(try_start(&disk, &config(&[("cluster.id", "mine")])).unwrap());
    let check = |pairs: &[(&str, &str)], answer: &str| {
        let refused = try_start(&disk, &config(pairs)).map(drop).unwrap_err();
        assert_eq!(refused.to_string(), answer);
    };
    check(&[("node.id", "2")], "the data belongs to node 1, but node.id is 2");
    check(&[("cluster.id", "x")], "the data belongs to cluster mine, but cluster.id is x");
    assert_eq!(start(&disk).catalog.cluster_id(), "mine");
}

#[test]
fn a_preview_changes_nothing() {
    let running = start(&MemoryDisk::new());
    let new = topic("one");
    let partitions = running
        .catalog
        .plan(|planner| planner.create_topic(&new, new_id()).map(|topic| topic.partitions.len()));
    assert_eq!(partitions, Ok(1));
    assert!(running.catalog.image().is_new());
}
