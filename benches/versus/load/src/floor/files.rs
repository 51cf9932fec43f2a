//! Writing to a file, with and without a sync.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::GIB;
use crate::latency::Latencies;
use crate::process::thread_cpu_seconds;

/// What is written before each sync when nothing waits but one small record.
pub(crate) const PAGE: usize = 4096;
/// What is written at once.
const WRITTEN: usize = 64 * 1024;
/// Bytes of the file that is read from.
pub(super) const FILE: u64 = 256 << 20;
/// A file does not grow beyond this: memory and disk are not ours alone.
pub(super) const FILE_MAX: u64 = 4 << 30;

/// Syncs, one after the other.
pub(crate) struct Synced {
    pub(crate) per_second: f64,
    pub(crate) mb_per_second: f64,
    pub(crate) latencies: Latencies,
}

/// Appends so many bytes and syncs the data, again and again: what the device does serially. It
/// goes through the C library, so that a delay put in front of it is seen, too.
pub(crate) fn sync(file: &File, group: usize, span: Duration) -> Result<Synced> {
    let block = vec![7_u8; group.min(WRITTEN)];
    let mut latencies = Latencies::new();
    let began = Instant::now();
    let (mut at, mut before) = (0, began);
    while before - began < span {
        for _ in 0..group / block.len() {
            file.write_all_at(&block, at)?;
            at += block.len() as u64;
        }
        file.sync_data()?;
        let now = Instant::now();
        latencies.record(now - before);
        before = now;
    }
    let seconds = (before - began).as_secs_f64();
    let per_second = at as f64 / group as f64 / seconds;
    Ok(Synced { per_second, mb_per_second: at as f64 / seconds / 1e6, latencies })
}

/// Fills the file that is read from, so that it lies in the page cache.
pub(super) fn fill(file: &File) -> Result<()> {
    let block = vec![7_u8; 1 << 20];
    for at in (0..FILE).step_by(block.len()) {
        file.write_all_at(&block, at)?;
    }
    Ok(())
}

/// Writes without a sync.
pub(super) struct Written {
    count: u64,
    seconds: f64,
    cpu_seconds: f64,
}

impl Written {
    pub(super) fn seconds_each(&self) -> f64 {
        self.seconds / self.count as f64
    }

    pub(super) fn cpu_per_gib(&self) -> f64 {
        self.cpu_seconds * GIB / (self.count as f64 * WRITTEN as f64)
    }
}

/// Appends 64 KiB to the page cache, again and again.
pub(super) fn append(file: &File, span: Duration) -> Result<Written> {
    let block = [7_u8; WRITTEN];
    let (began, cpu) = (Instant::now(), thread_cpu_seconds());
    let mut count = 0;
    while began.elapsed() < span && count * (WRITTEN as u64) < FILE_MAX {
        file.write_all_at(&block, count * WRITTEN as u64)?;
        count += 1;
    }
    Ok(Written {
        count,
        seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: thread_cpu_seconds() - cpu,
    })
}
