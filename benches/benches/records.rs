//! Record batches: building and reading in every compression and a checksum, beside plain copies;
//! and what a broker looks at in a batch that came in, beside its checksum alone.
//! `cargo bench -p klamm-benches --bench records`

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions, Compression, crc32c};

/// Bytes of values in each batch, whatever the size of one.
const BATCH_VALUES_LEN: usize = 64 * 1024;
const VALUE_LENS: [usize; 2] = [100, 1024];
/// Where in a batch the bytes begin that its checksum covers.
const CRC_FROM: usize = 21;

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch build");
    for value_len in VALUE_LENS {
        let values = values(value_len);
        group.throughput(Throughput::Bytes(BATCH_VALUES_LEN as u64));
        for compression in Compression::ALL {
            let id = BenchmarkId::new(compression.name(), value_len);
            group.bench_with_input(id, &values, |bencher, values| {
                bencher.iter(|| batch(compression, values));
            });
        }
        floor(&mut group, value_len, &values.concat());
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch read");
    for value_len in VALUE_LENS {
        let values = values(value_len);
        group.throughput(Throughput::Bytes(BATCH_VALUES_LEN as u64));
        for compression in Compression::ALL {
            let batch = batch(compression, &values);
            let id = BenchmarkId::new(compression.name(), value_len);
            group.bench_with_input(id, &batch, |bencher, batch| {
                bencher.iter(|| read_all(batch));
            });
        }
        floor(&mut group, value_len, &values.concat());
    }
    group.finish();
}

fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    for len in [1024, 64 * 1024, 1024 * 1024] {
        let bytes = text(len);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_with_input(BenchmarkId::new("crc32c", len), &bytes, |bencher, bytes| {
            bencher.iter(|| crc32c(black_box(bytes)));
        });
        floor(&mut group, len, &bytes);
    }
    group.finish();
}

/// A plain copy.
fn floor(group: &mut BenchmarkGroup<'_, WallTime>, value: usize, bytes: &[u8]) {
    let mut copy = vec![0; bytes.len()];
    group.bench_with_input(BenchmarkId::new("floor", value), bytes, |bencher, bytes| {
        bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(bytes)));
    });
}

/// What a broker asks of a batch that a producer has sent, by its length.
fn validate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch validation");
    for values in [100, 1024, BATCH_VALUES_LEN] {
        let batch = batch(Compression::None, &[text(values)]);
        let bytes = batch.bytes();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_with_input(BenchmarkId::new("validate", values), bytes, |bencher, bytes| {
            bencher.iter(|| {
                let mut rest = black_box(bytes).clone();
                let batch = Batch::split_first(&mut rest).expect("the batch was built here");
                let batch = batch.expect("the batch was built here");
                batch.check_produced().expect("the batch was built here");
                batch
            });
        });
        let covered = bytes.slice(CRC_FROM..);
        group.bench_with_input(BenchmarkId::new("floor", values), &covered, |bencher, bytes| {
            bencher.iter(|| crc32c(black_box(bytes)));
        });
    }
    group.finish();
}

fn batch(compression: Compression, values: &[Vec<u8>]) -> Batch {
    let options = BatchOptions { compression, ..BatchOptions::default() };
    let mut builder = BatchBuilder::with_capacity(options, 2 * BATCH_VALUES_LEN);
    for (timestamp, value) in (1_700_000_000_000..).zip(values) {
        builder.push(timestamp, Some(b"key"), Some(value), &[]).expect("the batch is small");
    }
    builder.build(0).expect("the batch is small and has records")
}

/// Reads every record, and returns the bytes of their values.
fn read_all(batch: &Batch) -> usize {
    batch
        .records(4 * BATCH_VALUES_LEN)
        .expect("the batch was built here")
        .map(|record| record.expect("the batch was built here").value.map_or(0, |v| v.len()))
        .sum()
}

fn values(value_len: usize) -> Vec<Vec<u8>> {
    text(BATCH_VALUES_LEN).chunks(value_len).map(<[u8]>::to_vec).collect()
}

/// Text that compresses about as well as log lines do: words from a small vocabulary, between
/// numbers that do not repeat.
fn text(len: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = [
        "user=",
        " action=",
        "purchase ",
        "view ",
        "amount=",
        " currency=EUR ",
        "ok ",
        "region=eu-",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut text = Vec::with_capacity(len + 32);
    while text.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.extend_from_slice(WORDS[(state >> 61) as usize].as_bytes());
        text.extend_from_slice(((state >> 40) as u16).to_string().as_bytes());
    }
    text.truncate(len);
    text
}

criterion_group!(benches, build, read, checksum, validate);
criterion_main!(benches);
