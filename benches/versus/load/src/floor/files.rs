//! Writing to a file, with and without a sync.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::GIB;
use crate::latency::Latencies;
use crate::process::thread_cpu_seconds;

/// What is written before each sync.
const SYNCED: usize = 4096;
/// What is written at once without one.
const WRITTEN: usize = 64 * 1024;
/// Bytes of the file that is read from.
pub(super) const FILE: u64 = 256 << 20;
/// A file does not grow beyond this: memory and disk are not ours alone.
pub(super) const FILE_MAX: u64 = 4 << 30;

/// Syncs, one after the other.
pub(crate) struct Synced {
    pub(crate) per_second: f64,
    pub(crate) latencies: Latencies,
}

/// Appends four KiB and syncs the data, again and again: the device's own serial rate. It goes
/// through the C library, so that a delay put in front of it is seen, too.
pub(crate) fn sync(file: &File, span: Duration) -> Result<Synced> {
    let block = [7_u8; SYNCED];
    let mut latencies = Latencies::new();
    let began = Instant::now();
    let (mut at, mut before) = (0, began);
    while before - began < span {
        file.write_all_at(&block, at)?;
        file.sync_data()?;
        at += SYNCED as u64;
        let now = Instant::now();
        latencies.record(now - before);
        before = now;
    }
    let count = at / SYNCED as u64;
    Ok(Synced { per_second: count as f64 / (before - began).as_secs_f64(), latencies })
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
