//! Copying and checking bytes in memory.

use std::hint::black_box;
use std::time::{Duration, Instant};

use klamm_protocol::records::crc32c;

/// More than was free a moment ago.
const TOUCHED: usize = 1 << 30;
const PAGE: usize = 4096;
/// Larger than any cache.
const COPIED: usize = 128 << 20;
const CHECKED: usize = 64 * 1024;

/// How fast memory is copied that no cache holds.
pub(super) fn copy_gb_per_second(span: Duration) -> f64 {
    let (from, mut to) = (vec![7_u8; COPIED], vec![1_u8; COPIED]);
    rate(span, COPIED, || black_box(&mut to).copy_from_slice(black_box(&from)))
}

/// How fast a batch is checked that lies in the cache.
pub(super) fn checksum_gb_per_second(span: Duration) -> f64 {
    let block = vec![7_u8; CHECKED];
    rate(span, CHECKED, || {
        black_box(crc32c(black_box(&block)));
    })
}

/// How fast memory is written to for the first time: slowly where a guest has to ask its host.
pub(super) fn first_touch_gb_per_second() -> f64 {
    let mut memory = vec![0_u8; TOUCHED];
    let began = Instant::now();
    for page in memory.chunks_exact_mut(PAGE) {
        *black_box(&mut page[0]) = 1;
    }
    TOUCHED as f64 / began.elapsed().as_secs_f64() / 1e9
}

fn rate(span: Duration, bytes: usize, mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut count = 0_u64;
    while began.elapsed() < span {
        work();
        count += 1;
    }
    count as f64 * bytes as f64 / began.elapsed().as_secs_f64() / 1e9
}
