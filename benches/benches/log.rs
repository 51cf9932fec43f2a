//! The log: appending and reading batches of one record, and of 64 KiB, beside a plain `pwrite`.
//! `cargo bench -p klamm-benches --bench log`

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions};
use klamm_storage::disk::RealDisk;
use klamm_storage::{
    Append, Bound, Durability, Log, LogOptions, NoListener, Storage, StorageOptions, TopicId,
};
use klamm_utils::clock::SystemClock;
use tempfile::TempDir;

const VALUE_LENS: [usize; 3] = [100, 1024, 16 * 1024];
/// What a batch is filled with where it holds many records.
const BATCH_VALUES_LEN: usize = 64 * 1024;
/// What a read asks for, as a consumer does by default.
const READ_LEN: usize = 1024 * 1024;

/// A log on a folder that goes with it. Nothing waits for the disk: what is measured is ours.
struct Place {
    log: Log,
    storage: Storage,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let clock = Arc::new(SystemClock::new());
        let disk = Arc::new(RealDisk);
        let storage = Storage::open(disk, folder.path(), &StorageOptions::default(), clock)
            .expect("an empty folder opens");
        let durability = Durability::OsCached;
        // Little is kept, so that a long run does not fill the disk.
        let options = LogOptions {
            durability,
            segment_bytes: 64 << 20,
            retention_bytes: Some(256 << 20),
            ..LogOptions::default()
        };
        let (log, _) = storage
            .open_log("bench-0", TopicId([7; 16]), options, Arc::new(NoListener))
            .expect("a new log opens");
        Self { log, storage, folder }
    }

    fn append(&self, batch: &Batch) -> i64 {
        let append = Append::new(0, vec![batch.clone()]);
        self.log.enqueue(append).expect("the log takes appends").base_offset()
    }

    fn end(self) {
        self.storage.close().expect("the log closes");
        drop(self.folder);
    }
}

fn batch(value_len: usize, records: usize) -> Batch {
    let value: Vec<u8> = (0..value_len).map(|at| (at * 31 % 251) as u8).collect();
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for _ in 0..records {
        builder.push(1_700_000_000_000, None, Some(&value), &[]).expect("a batch holds this");
    }
    builder.build(0).expect("a batch has records")
}

fn shapes() -> impl Iterator<Item = (String, Batch)> {
    VALUE_LENS.into_iter().flat_map(|len| {
        let many = (BATCH_VALUES_LEN / len).max(1);
        [(format!("1 x {len}"), batch(len, 1)), (format!("{many} x {len}"), batch(len, many))]
    })
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log append");
    for (name, batch) in shapes() {
        group.throughput(Throughput::Bytes(batch.bytes().len() as u64));
        let place = Place::new();
        let mut appended = 0u64;
        group.bench_function(BenchmarkId::new("log", &name), |bencher| {
            bencher.iter(|| {
                appended += batch.bytes().len() as u64;
                if appended > 256 << 20 {
                    appended = 0;
                    place.log.apply_retention(0).expect("retention works");
                }
                place.append(&batch)
            });
        });
        place.end();
        let floor = tempfile::tempfile().expect("there is a temporary folder");
        let mut position = 0;
        group.bench_function(BenchmarkId::new("pwrite", &name), |bencher| {
            bencher.iter(|| {
                floor.write_all_at(batch.bytes(), position).expect("the file takes it");
                position = (position + batch.bytes().len() as u64) % (256 << 20);
            });
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log read");
    for (name, batch) in shapes() {
        let place = Place::new();
        let mut end = 0;
        let mut size = 0;
        while size < 64 << 20 {
            end = place.append(&batch);
            size += batch.bytes().len();
        }
        group.throughput(Throughput::Bytes(READ_LEN as u64));
        let mut from = 0;
        group.bench_function(BenchmarkId::new("log", &name), |bencher| {
            bencher.iter(|| {
                let slice = place.log.read(from, READ_LEN, true, Bound::HighWatermark);
                let slice = slice.expect("the log is readable");
                from = if slice.next_offset >= end { 0 } else { slice.next_offset };
                slice.bytes.len()
            });
        });
        place.end();
    }
    group.finish();
}

criterion_group!(benches, append, read);
criterion_main!(benches);
