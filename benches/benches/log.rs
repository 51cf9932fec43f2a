//! The log: appending to the page cache and to memory, beside a plain `pwrite`; reading what is
//! sealed and what was written last, beside a plain `pread`.
//! `cargo bench -p klamm-benches --bench log`

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use klamm_benches::place::Place;
use klamm_benches::requests::batch;
use klamm_protocol::records::Batch;
use klamm_storage::disk::{Disk, MemoryDisk, RealDisk};
use klamm_storage::{Bound, LogOptions};

const VALUE_LENS: [usize; 3] = [100, 1024, 16 * 1024];
/// What a batch is filled with where it holds many records.
const BATCH_VALUES_LEN: usize = 64 * 1024;
/// What a read asks for, as a consumer does by default.
const READ_LEN: usize = 1024 * 1024;
/// What lies in a log that is read, and what is kept of one that is written.
const LOG_LEN: usize = 64 << 20;

/// A log that keeps little, so that a long run does not fill the disk.
fn place(disk: impl Disk) -> Place {
    Place::new(
        disk,
        LogOptions {
            segment_bytes: 16 << 20,
            retention_bytes: Some(LOG_LEN as u64),
            file_delete_delay: Duration::ZERO,
            ..LogOptions::default()
        },
    )
}

fn shapes() -> impl Iterator<Item = (String, Batch)> {
    VALUE_LENS.into_iter().flat_map(|len| {
        let many = (BATCH_VALUES_LEN / len).max(1);
        [(format!("1 x {len}"), batch(1, len)), (format!("{many} x {len}"), batch(many, len))]
    })
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log append");
    for (name, batch) in shapes() {
        let len = batch.bytes().len();
        group.throughput(Throughput::Bytes(len as u64));
        append_to(&mut group, BenchmarkId::new("page cache", &name), &batch, place(RealDisk));
        append_to(&mut group, BenchmarkId::new("memory", &name), &batch, place(MemoryDisk::new()));
        let floor = tempfile::tempfile().expect("there is a temporary folder");
        let mut position = 0;
        group.bench_function(BenchmarkId::new("floor", &name), |bencher| {
            bencher.iter(|| {
                // As the log does, a new file now and then: what was written already costs less.
                if position + len > LOG_LEN {
                    floor.set_len(0).expect("the file can be cut");
                    position = 0;
                }
                floor.write_all_at(batch.bytes(), position as u64).expect("the file takes it");
                position += len;
            });
        });
    }
    group.finish();
}

fn append_to(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    batch: &Batch,
    place: Place,
) {
    let mut appended = 0;
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            appended += batch.bytes().len();
            if appended > LOG_LEN {
                appended = 0;
                place.log().apply_retention(0).expect("retention works");
            }
            place.append(batch.clone())
        });
    });
    place.end();
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log read");
    for (name, batch) in shapes() {
        let len = batch.bytes().len();
        let place = place(RealDisk);
        let mut end = 0;
        for _ in 0..LOG_LEN / len {
            end = place.append(batch.clone());
        }
        group.throughput(Throughput::Bytes(READ_LEN as u64));
        let mut from = 0;
        group.bench_function(BenchmarkId::new("through", &name), |bencher| {
            bencher.iter(|| {
                let next = read_at(&place, from, READ_LEN);
                from = if next >= end { 0 } else { next };
            });
        });
        let whole = file(&batch);
        let mut position = 0;
        let mut buffer = vec![0; READ_LEN];
        group.bench_function(BenchmarkId::new("floor", &name), |bencher| {
            bencher.iter(|| {
                whole.read_exact_at(&mut buffer, position as u64).expect("the file is there");
                position = (position + READ_LEN) % (LOG_LEN - READ_LEN);
            });
        });
        place.end();
    }
    group.finish();
    tail(criterion);
}

/// Each batch once it has been written: what a consumer does that keeps up.
fn tail(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log read of the last batch");
    for (name, batch) in shapes() {
        let place = place(RealDisk);
        for _ in 0..100 {
            place.append(batch.clone());
        }
        let last = place.append(batch.clone());
        let len = batch.bytes().len();
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new("log", &name), |bencher| {
            bencher.iter(|| read_at(&place, last, READ_LEN));
        });
        let whole = file(&batch);
        let mut buffer = vec![0; len];
        group.bench_function(BenchmarkId::new("floor", &name), |bencher| {
            bencher.iter(|| whole.read_exact_at(&mut buffer, 0).expect("the file is there"));
        });
        place.end();
    }
    group.finish();
}

fn read_at(place: &Place, from: i64, len: usize) -> i64 {
    let slice = place.log().read(from, len, true, Bound::HighWatermark);
    slice.expect("the log is readable").next_offset
}

/// A plain file as long as a log that is read.
fn file(batch: &Batch) -> File {
    let file = tempfile::tempfile().expect("there is a temporary folder");
    let bytes = batch.bytes();
    for position in (0..LOG_LEN).step_by(bytes.len()) {
        file.write_all_at(bytes, position as u64).expect("the file takes it");
    }
    file
}

criterion_group!(benches, append, read);
criterion_main!(benches);
