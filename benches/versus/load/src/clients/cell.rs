//! What is measured, and what came of it.

use std::fmt::{Display, Formatter};

use super::{Args, target};
use crate::args::Target;
use crate::latency::Latencies;
use crate::payload::{PayloadKind, Payloads};
use crate::process::own_cpu_seconds;

/// Different values: more than a batch holds, else it would compress to next to nothing.
const VALUES: usize = 8192;
/// Records a second whose latency is measured.
pub(super) const RATE: f64 = 1000.0;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Produce,
    Consume,
    EndToEnd,
}

/// One task for both clients.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) direction: Direction,
    pub(super) target: Target,
    pub(super) size: usize,
    pub(super) records: u64,
    pub(super) compression: &'static str,
    pub(super) batch_size: usize,
}

impl Cell {
    pub(super) fn all(args: &Args) -> Vec<Self> {
        let mut cells = Vec::new();
        for direction in [Direction::Produce, Direction::Consume] {
            for size in [100, 1024] {
                for partitions in [1, 12] {
                    for compression in ["none", "lz4"] {
                        let records = args.megabytes * 1_000_000 / size as u64;
                        cells.push(Self::new(
                            args,
                            direction,
                            (size, partitions),
                            compression,
                            records,
                        ));
                    }
                }
            }
        }
        let records = (args.seconds * RATE) as u64;
        cells.push(Self::new(args, Direction::EndToEnd, (100, 1), "none", records));
        cells
    }

    fn new(
        args: &Args,
        direction: Direction,
        (size, partitions): (usize, i32),
        compression: &'static str,
        records: u64,
    ) -> Self {
        let shape = format!("{direction:?}-{size}-{partitions}-{compression}");
        let target = target(&args.broker, &shape, partitions);
        Self { direction, target, size, records, compression, batch_size: args.batch_size }
    }

    pub(super) fn name(&self) -> String {
        let Self { size, compression, .. } = self;
        let partitions = self.target.topic.partitions;
        match self.direction {
            Direction::Produce => format!("produce {size} B, {partitions}, {compression}"),
            Direction::Consume => format!("consume {size} B, {partitions}, {compression}"),
            Direction::EndToEnd => format!("end to end at {RATE} records/s"),
        }
    }

    /// The values that records have in turn.
    pub(super) fn values(&self) -> Vec<Vec<u8>> {
        let mut payloads = Payloads::new(PayloadKind::Text);
        (0..VALUES).map(|_| payloads.next(self.size)).collect()
    }
}

/// What both clients are set to. By Kafka's names, which both understand.
pub(super) fn producer_settings(cell: &Cell) -> [(&'static str, String); 8] {
    let linger = if cell.direction == Direction::EndToEnd { 0 } else { 5 };
    [
        ("bootstrap.servers", cell.target.broker.address.clone()),
        ("acks", "all".into()),
        ("enable.idempotence", "true".into()),
        ("max.in.flight.requests.per.connection", "5".into()),
        ("linger.ms", linger.to_string()),
        ("batch.size", cell.batch_size.to_string()),
        ("compression.type", cell.compression.into()),
        ("client.id", "clients".into()),
    ]
}

/// As [`producer_settings`].
pub(super) fn consumer_settings(cell: &Cell) -> [(&'static str, String); 6] {
    [
        ("bootstrap.servers", cell.target.broker.address.clone()),
        ("fetch.min.bytes", "1".into()),
        ("fetch.max.bytes", "52428800".into()),
        ("max.partition.fetch.bytes", "1048576".into()),
        ("check.crcs", "true".into()),
        ("client.id", "clients".into()),
    ]
}

/// What one client did in one cell.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) records: u64,
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    /// End to end alone.
    pub(super) latencies: Option<Latencies>,
}

impl Measured {
    pub(super) fn records_per_second(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    pub(super) fn records_per_cpu_second(&self) -> f64 {
        self.records as f64 / self.cpu_seconds
    }
}

impl Display for Measured {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0} records/s, {:.0} per CPU second",
            self.records_per_second(),
            self.records_per_cpu_second()
        )?;
        let Some(latencies) = &self.latencies else { return Ok(()) };
        let [p50, p99] = [0.5, 0.99].map(|share| latencies.quantile_us(share));
        write!(f, ", p50 {p50:.0} µs, p99 {p99:.0} µs")
    }
}

/// CPU seconds of this process since it was started.
#[derive(Debug)]
pub(super) struct Cpu(f64);

impl Cpu {
    pub(super) fn start() -> Self {
        Self(own_cpu_seconds())
    }

    pub(super) fn seconds(&self) -> f64 {
        own_cpu_seconds() - self.0
    }
}
