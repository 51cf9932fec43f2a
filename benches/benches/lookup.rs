//! Looking up: by offset in a log of small batches, and by time in one of 50 GiB in sparse files,
//! with what was read lately in memory and without. The floors are one plain `pread` of what must
//! be read at the least: a batch. `cargo bench -p klamm-benches --bench lookup`

use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use klamm_benches::place::Place;
use klamm_benches::requests::batch;
use klamm_benches::sparse::SparseDisk;
use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions};
use klamm_storage::disk::RealDisk;
use klamm_storage::{Bound, LogOptions};
use klamm_utils::clock;
use rustix::fs::{Advice, fadvise};

/// Batches of one small record, in segments of this size.
const SMALL: i64 = 400_000;
const SMALL_SEGMENT: u32 = 16 << 20;
/// Segments of 1 GiB, in batches of 1 MiB.
const SEGMENTS: i64 = 50;
const LARGE: usize = 1 << 20;
const LARGE_BATCHES: i64 = SEGMENTS * 1023;
const FIRST_TIME: i64 = 1_700_000_000_000;
/// Milliseconds from one batch to the next.
const STEP: i64 = 10;
/// From one thing that is looked for to the next: a prime, so that they lie all over the log.
const STRIDE: i64 = 104_729;

fn by_offset(criterion: &mut Criterion) {
    let options = LogOptions { segment_bytes: SMALL_SEGMENT, ..LogOptions::default() };
    let place = Place::new(RealDisk, options);
    let one = batch(1, 100);
    for _ in 0..SMALL {
        place.append(one.clone());
    }
    let mut group = criterion.benchmark_group("lookup by offset");
    let name = format!("{} MB", one.bytes().len() as i64 * SMALL / 1_000_000);
    let mut offset = 0;
    group.bench_function(BenchmarkId::new("log", &name), |bencher| {
        bencher.iter(|| {
            offset = (offset + STRIDE) % SMALL;
            let slice = place.log().read(offset, 1, true, Bound::HighWatermark);
            slice.expect("the log is readable").next_offset
        });
    });
    let file = first_segment(place.log().dir());
    let mut buffer = vec![0; one.bytes().len()];
    group.bench_function(BenchmarkId::new("floor", &name), |bencher| {
        bencher.iter(|| {
            offset = (offset + STRIDE) % (i64::from(SMALL_SEGMENT) - 4096);
            file.read_exact_at(&mut buffer, offset as u64).expect("the file is there");
        });
    });
    group.finish();
    place.end();
}

fn by_time(criterion: &mut Criterion) {
    let place = Place::new(SparseDisk, LogOptions::default());
    for at in 0..LARGE_BATCHES {
        place.append(hole(FIRST_TIME + at * STEP));
    }
    let mut group = criterion.benchmark_group("lookup by time in 50 GiB");
    let mut at = 0;
    let mut next = || {
        at = (at + STRIDE) % LARGE_BATCHES;
        at
    };
    let mut buffer = vec![0; LARGE];
    group.bench_function(BenchmarkId::new("log", "warm"), |bencher| {
        bencher.iter(|| find(&place, next()));
    });
    let dir = place.log().dir().to_owned();
    let file = first_segment(&dir);
    group.bench_function(BenchmarkId::new("floor", "warm"), |bencher| {
        bencher.iter(|| read_batch(&file, &mut buffer, next()));
    });
    group.sample_size(10);
    // Opened anew each time: what it has mapped would stay in memory.
    let mut place = Some(place);
    group.bench_function(BenchmarkId::new("log", "cold"), |bencher| {
        bencher.iter_custom(|times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                let before = place.take().expect("it is put back");
                let place = place.insert(before.reopened(forget));
                let at = next();
                let started = clock::now();
                find(place, at);
                took += started.elapsed();
            }
            took
        });
    });
    group.bench_function(BenchmarkId::new("floor", "cold"), |bencher| {
        bencher.iter_batched(
            || forget(&dir),
            |()| read_batch(&file, &mut buffer, next()),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    place.into_iter().for_each(Place::end);
}

/// A batch of 1 MiB with one record of zeros.
fn hole(timestamp: i64) -> Batch {
    static ZEROS: [u8; LARGE - 100] = [0; LARGE - 100];
    let mut builder = BatchBuilder::with_capacity(BatchOptions::default(), LARGE);
    builder.push(timestamp, None, Some(&ZEROS), &[]).expect("a batch holds this");
    builder.build(0).expect("a batch has records")
}

/// Finds the batch at this place by its time.
fn find(place: &Place, at: i64) {
    let found = place.log().offset_for_timestamp(FIRST_TIME + at * STEP);
    let found = found.expect("the log is readable").expect("there is a record of that time");
    assert_eq!(found.offset, at);
}

fn read_batch(file: &File, buffer: &mut [u8], at: i64) {
    let position = at as u64 % 1000 * LARGE as u64;
    file.read_exact_at(black_box(buffer), position).expect("the file is there");
}

fn first_segment(dir: &Path) -> File {
    File::open(dir.join("00000000000000000000.log")).expect("the log has a segment")
}

/// Drops from memory what the system holds of the files in a folder and the folders in it.
fn forget(folder: &Path) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            forget(&path);
            continue;
        }
        let file = File::open(&path).expect("the file is there");
        file.sync_data().expect("the file can be synced");
        fadvise(&file, 0, None, Advice::DontNeed).expect("the system takes advice");
    }
}

criterion_group!(benches, by_offset, by_time);
criterion_main!(benches);
