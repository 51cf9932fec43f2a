//! What a catalog still knows after its broker ended, well or badly.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use klamm_storage::disk::{Disk, Fault, FaultyDisk, MemoryDisk, OpenMode};
use klamm_storage::{Append, LogOptions, NoListener, Storage, StorageOptions, TopicId};
use klamm_utils::clock::ManualClock;

use super::{id, plan, topic};
use crate::catalog::{Catalog, CatalogError, Image, NewTopic, new_id, snapshot};
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
    try_start_on(Arc::new(disk.clone()), config)
}

fn try_start_on(disk: Arc<dyn Disk>, config: &BrokerConfig) -> Result<Running, CatalogError> {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
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

/// A catalog with a snapshot after each change.
fn eager() -> BrokerConfig {
    config(&[("metadata.log.max.record.bytes.between.snapshots", "1")])
}

/// Only one that could be read and was damaged was survived.
#[tokio::test]
async fn a_disk_that_cannot_read_the_newest_snapshot_has_the_one_before_it() {
    let disk = MemoryDisk::new();
    let running = try_start(&disk, &eager()).unwrap();
    for name in ["one", "two", "three"] {
        create(&running, name).await;
    }
    let (image, disk) = (running.catalog.image(), disk.after_kill());
    let calls = {
        let disk = FaultyDisk::new(Arc::new(disk.after_kill()));
        try_start_on(Arc::new(disk.clone()), &eager()).unwrap();
        disk.calls()
    };
    for first in 1..=calls {
        let faulty = FaultyDisk::new(Arc::new(disk.after_kill()));
        faulty.fail(Some(Fault { first, count: 1, kind: ErrorKind::Other }));
        match try_start_on(Arc::new(faulty), &eager()) {
            Ok(running) => assert_eq!(running.catalog.image(), image, "call {first}"),
            Err(CatalogError::Disk { path, source }) => {
                let of_snapshot = path.extension() == Some("checkpoint".as_ref());
                assert!(!of_snapshot, "call {first}: {source}");
            }
            Err(error) => assert!(!matches!(error, CatalogError::NoSnapshot { .. })),
        }
    }
}

/// The topics that it made were gone, and their records were set aside.
#[tokio::test]
async fn a_log_that_lacks_durable_changes_is_not_taken_for_whole() {
    let disk = MemoryDisk::new();
    let running = start(&disk);
    create(&running, "a").await;
    create(&running, "b").await;
    let end = running.catalog.log().end;
    // Once the durable point is written.
    running.storage.abandon();
    keep_first_change(&disk);
    let check = |disk: &MemoryDisk, lost: std::ops::Range<i64>| {
        let refused = try_start(disk, &config(&[])).map(drop);
        let is_told = |error: &CatalogError| match error {
            CatalogError::Missing { offsets, .. } => *offsets == lost,
            _ => false,
        };
        assert!(refused.as_ref().is_err_and(is_told), "{refused:?}");
    };
    // A feature level, a topic and its two partitions.
    check(&disk, 4..end);
    check(&disk, 4..end);
    append_behind(&disk, "c");
    check(&disk, 4..end);
    let error = try_start(&disk, &config(&[])).map(drop).unwrap_err().to_string();
    let told = "/data/__cluster_metadata-0: the changes of topics and settings at offsets 4 to 6 \
                were stored and are lost; restore the folder from a backup, or, to do without them \
                and have topics that only they know set aside, remove durable.klamm from it";
    assert_eq!(error, told);
    disk.remove_file(&folder().join("durable.klamm")).unwrap();
    let image = start(&disk).catalog.image();
    assert_eq!(image.topics().map(|topic| topic.name.to_string()).collect::<Vec<_>>(), ["a"]);
}

/// What was stored then had offsets below the snapshot, and was passed over at the next start.
#[tokio::test]
async fn a_log_that_ends_before_its_snapshot_goes_on_behind_it() {
    let disk = MemoryDisk::new();
    let running = try_start(&disk, &eager()).unwrap();
    create(&running, "a").await;
    let disk = disk.after_kill();
    for name in ["00000000000000000000.log", "durable.klamm"] {
        disk.remove_file(&folder().join(name)).unwrap();
    }
    let running = start(&disk);
    create(&running, "b").await;
    for disk in [disk.after_kill(), disk.after_power_cut(1)] {
        let image = start(&disk).catalog.image();
        assert!(image.topic("a").is_some() && image.topic("b").is_some());
    }
}

/// Cuts the log behind its first batch.
fn keep_first_change(disk: &MemoryDisk) {
    let file = disk.open(&folder().join("00000000000000000000.log"), OpenMode::Existing).unwrap();
    let mut length = [0; 4];
    file.read_at(&mut length, 8).unwrap();
    file.set_len(12 + u64::from(u32::from_be_bytes(length))).unwrap();
}

/// Makes a topic as a broker did that took the log for whole.
fn append_behind(disk: &MemoryDisk, name: &str) {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let options = StorageOptions::default();
    let disk = Arc::new(disk.clone());
    let storage = Storage::open(disk, Path::new(DIR), &options, clock).unwrap();
    let (_, _, records) =
        plan(&Image::default(), |planner| planner.create_topic(&topic(name), id(3)).map(drop));
    let opened = storage.open_log(
        "__cluster_metadata-0",
        TopicId::ZERO,
        LogOptions::default(),
        Arc::new(NoListener),
    );
    let batch = snapshot::batch(&records, 1).unwrap();
    drop(opened.unwrap().0.enqueue(Append::new(1, vec![batch])).unwrap());
}

#[tokio::test]
async fn snapshots_that_a_full_disk_refuses_leave_nothing_behind() {
    let disk = MemoryDisk::new();
    let running = try_start(&disk, &eager()).unwrap();
    for index in 0..200 {
        create(&running, &format!("topic-{index}")).await;
    }
    let (whole, used) = (snapshots(&disk), u64::MAX - disk.space(Path::new(DIR)).unwrap().free);
    assert_eq!(whole.len(), 2);
    // Less than a snapshot, and more than what twenty changes need.
    disk.set_capacity(used + 16_000);
    for index in 0..20 {
        create(&running, &format!("more-{index}")).await;
    }
    assert_eq!((snapshots(&disk), unfinished(&disk)), (whole, Vec::<String>::new()));
}

#[tokio::test]
async fn a_snapshot_that_a_crash_left_unfinished_goes() {
    let disk = MemoryDisk::new();
    let running = start(&disk);
    create(&running, "one").await;
    let disk = disk.after_kill();
    for name in ["00000000000000000004-0000000001.checkpoint.part", "other.part"] {
        disk.open(&folder().join(name), OpenMode::Create).unwrap();
    }
    assert_eq!(start(&disk).catalog.image(), running.catalog.image());
    assert_eq!(unfinished(&disk), ["other.part"]);
}

fn unfinished(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.list(&folder()).unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.ends_with(".part")).collect()
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
