//! `floor`: what the machine itself can do at this minute, without any broker.
//!
//! Whoever takes in records must receive, checksum and write them; whoever hands them out must
//! send what lies in the page cache; whoever promises that they are safe must sync. No broker does
//! it for less than what is measured here.

mod files;
mod memory;
mod relay;
mod sockets;

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args as ClapArgs;

use crate::process::{MachineState, own_cpu_seconds};
use crate::report::Report;

pub(crate) use files::{PAGE, sync};
pub(crate) use relay::relay;
pub(crate) use sockets::round_trips;

const GIB: f64 = (1_u64 << 30) as f64;
const KIB: usize = 1 << 10;
/// KiB before a sync, among which the device does best with one or another.
const GROUPS_KIB: [usize; 4] = [64, 320, 1024, 4096];
/// Few enough for everything to fall asleep in between.
const IDLE_PER_SECOND: f64 = 200.0;
/// So few take longer to be measured.
const RELAY_SPANS: u32 = 4;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Where files are written: a folder on the disk that the brokers use
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// How long each of the measurements takes
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let span = Duration::try_from_secs_f64(args.seconds)?;
    let (began, cpu, machine) = (Instant::now(), own_cpu_seconds(), MachineState::look());
    let mut report = Report::new("floor");
    report.figure("first_touch_gb_per_s", memory::first_touch_gb_per_second());
    // The sync goes before the others: what they write would be written back beside it.
    let synced = sync(&Scratch::create(&args.dir)?.file, PAGE, span)?;
    report.figure("sync_per_s", synced.per_second);
    report.latencies("sync", &synced.latencies);
    let mut best = 0.0_f64;
    for kib in GROUPS_KIB {
        let synced = sync(&Scratch::create(&args.dir)?.file, kib * KIB, span)?;
        report.figure(format!("sync_{kib}_kib_mb_per_s"), synced.mb_per_second);
        best = best.max(synced.mb_per_second);
    }
    report.figure("sync_best_mb_per_s", best);

    let stream = sockets::stream(span)?;
    report.figure("stream_gb_per_s", stream.gb_per_second());
    report.figure("stream_send_cpu_s_per_gib", stream.send_cpu_per_gib());
    report.figure("stream_receive_cpu_s_per_gib", stream.receive_cpu_per_gib());

    let taken = sockets::receive_check_write(&Scratch::create(&args.dir)?.file, span)?;
    report.figure("produce_floor_gb_per_s", taken.gb_per_second());
    report.figure("produce_floor_cpu_s_per_gib", taken.receive_cpu_per_gib());

    let scratch = Scratch::create(&args.dir)?;
    files::fill(&scratch.file)?;
    let sent = sockets::sendfile(&scratch.file, span)?;
    report.figure("sendfile_gb_per_s", sent.gb_per_second());
    report.figure("sendfile_cpu_s_per_gib", sent.send_cpu_per_gib());
    let copied = sockets::read_and_send(&scratch.file, span)?;
    report.figure("pread_write_gb_per_s", copied.gb_per_second());
    report.figure("pread_write_cpu_s_per_gib", copied.send_cpu_per_gib());
    drop(scratch);

    report.latencies("round_trip", &round_trips(span)?);
    report.latencies("relay", &relay::relayed(IDLE_PER_SECOND, span * RELAY_SPANS)?);
    let written = files::append(&Scratch::create(&args.dir)?.file, span)?;
    report.figure("pwrite_64k_us", written.seconds_each() * 1e6);
    report.figure("pwrite_64k_cpu_s_per_gib", written.cpu_per_gib());
    report.figure("memcpy_gb_per_s", memory::copy_gb_per_second(span));
    report.figure("crc32c_64k_gb_per_s", memory::checksum_gb_per_second(span));

    report.figure("seconds", began.elapsed().as_secs_f64());
    if let (Some(then), Some(now)) = (machine, MachineState::look()) {
        let share = now.elsewhere_share(&then, own_cpu_seconds() - cpu);
        report.figure("elsewhere_cpu_share", share);
    }
    Ok(report)
}

/// A file that is gone when it is dropped.
pub(crate) struct Scratch {
    pub(crate) file: File,
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn create(dir: &std::path::Path) -> Result<Self> {
        let path = dir.join(format!("klamm-load-{}.scratch", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self { file, path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}
