//! `klamm log dump`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use klamm_protocol::records::{Batch, BatchHeader, EndTransaction, Outcome, Record, TimestampType};
use klamm_storage::disk::RealDisk;
use klamm_storage::verify::{self, Dumped};
use serde::Serialize;

use super::index::{self, Entry};
use crate::failure::{ErrorStyle, Failure};
use crate::output::{Bytes, Stdout};

/// The most that the records of one batch may take when they are decompressed.
const DECOMPRESSED_MAX: usize = 1 << 30;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files ending in .log, .index or .timeindex, or folders with such files
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Also print the records of each batch
    #[arg(long)]
    deep: bool,
    /// How the answer is printed
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Shape::Text)]
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Lines as kafka-dump-log prints them
    Text,
    /// One JSON object a line
    Jsonl,
}

/// A line of JSON: a batch, a record of it, damage, or an index entry.
#[derive(Debug, Serialize)]
struct Line<'a, T> {
    file: &'a Path,
    #[serde(flatten)]
    what: T,
}

/// A batch, under the names that `kafka-dump-log` gives.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchLine {
    base_offset: i64,
    last_offset: i64,
    count: i32,
    base_sequence: i32,
    last_sequence: i32,
    producer_id: i64,
    producer_epoch: i16,
    partition_leader_epoch: i32,
    is_transactional: bool,
    is_control: bool,
    delete_horizon_ms: Option<i64>,
    position: u64,
    timestamp_type: &'static str,
    timestamp: i64,
    size: usize,
    magic: i8,
    compresscodec: &'static str,
    crc: u32,
    isvalid: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordLine<'a> {
    offset: i64,
    timestamp: i64,
    sequence: i32,
    key: Option<Bytes<'a>>,
    value: Option<Bytes<'a>>,
    headers: Vec<(Bytes<'a>, Option<Bytes<'a>>)>,
    #[serde(flatten)]
    marker: Option<Marker>,
}

/// What a record of a control batch says, where it ends a transaction.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    end_txn_marker: &'static str,
    coordinator_epoch: i32,
}

#[derive(Debug, Serialize)]
struct DamageLine {
    position: u64,
    size: u64,
    isvalid: bool,
    damage: String,
}

impl Args {
    pub(super) fn errors(&self) -> ErrorStyle {
        if self.shape == Shape::Jsonl { ErrorStyle::Json } else { ErrorStyle::Text }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut dumper =
        Dumper { shape: args.shape, deep: args.deep, findings: 0, stdout: Stdout::new() };
    for path in files(&args.paths)? {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("index" | "timeindex") => dumper.index(&path)?,
            _ => dumper.segment(&path)?,
        }
    }
    dumper.stdout.finish()?;
    match dumper.findings {
        0 => Ok(()),
        findings => Err(Failure::Damaged { findings }.into()),
    }
}

/// The files that were named, and those in the folders that were named.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in path.read_dir().with_context(|| path.display().to_string())? {
            let file = entry?.path();
            let extension = file.extension().and_then(|extension| extension.to_str());
            if matches!(extension, Some("log" | "index" | "timeindex")) {
                inside.push(file);
            }
        }
        if inside.is_empty() {
            return Err(Failure::NotFound(format!("no log in {}", path.display())).into());
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

/// Prints one file after the other.
struct Dumper {
    shape: Shape,
    deep: bool,
    /// Places that are damaged, so far.
    findings: usize,
    stdout: Stdout,
}

impl Dumper {
    fn index(&mut self, path: &Path) -> anyhow::Result<()> {
        self.begin(path);
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let is_offsets = path.extension().is_some_and(|extension| extension == "index");
        let read = if is_offsets { index::offsets } else { index::times };
        read(&bytes, base_offset(path))
            .iter()
            .try_for_each(|entry| self.line(path, entry, Entry::text))
    }

    fn segment(&mut self, path: &Path) -> anyhow::Result<()> {
        self.begin(path);
        if self.shape == Shape::Text {
            let base = base_offset(path);
            self.stdout.text(&format!("Log starting offset: {base}\n"));
        }
        for dumped in verify::dump(&RealDisk, path)? {
            match dumped? {
                Dumped::Batch { position, header, batch } => {
                    let line = BatchLine::new(position, &header);
                    self.line(path, &line, BatchLine::text)?;
                    if self.deep {
                        self.records(path, &batch)?;
                    }
                }
                // Reserved space that is not yet used.
                Dumped::Damage { zeros: true, .. } => {}
                Dumped::Damage { position, bytes, damage, .. } => {
                    self.findings += 1;
                    let damage = damage.to_string();
                    let line = DamageLine { position, size: bytes, isvalid: false, damage };
                    self.line(path, &line, DamageLine::text)?;
                }
            }
        }
        Ok(())
    }

    fn records(&mut self, path: &Path, batch: &Batch) -> anyhow::Result<()> {
        let header = batch.header();
        for (record, place) in batch.records(DECOMPRESSED_MAX)?.zip(0..) {
            let record = record?;
            let line = RecordLine::new(header, &record, place);
            self.line(path, &line, |line| line.text(time_name(header)))?;
        }
        Ok(())
    }

    fn begin(&mut self, path: &Path) {
        if self.shape == Shape::Text {
            self.stdout.text(&format!("Dumping {}\n", path.display()));
        }
    }

    fn line<T: Serialize>(
        &mut self,
        path: &Path,
        line: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        match self.shape {
            Shape::Text => self.stdout.text(&text(line)),
            Shape::Jsonl => self.stdout.json_line(&Line { file: path, what: line })?,
        }
        self.stdout.relieve()
    }
}

/// The base offset that the name of a file says; 0 for a name that says none.
fn base_offset(path: &Path) -> i64 {
    path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or(0)
}

fn time_name(header: &BatchHeader) -> &'static str {
    match header.attributes.timestamp_type() {
        TimestampType::Create => "CreateTime",
        TimestampType::LogAppend => "LogAppendTime",
    }
}

impl BatchLine {
    fn new(position: u64, header: &BatchHeader) -> Self {
        let attributes = header.attributes;
        Self {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            count: header.record_count,
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            partition_leader_epoch: header.leader_epoch,
            is_transactional: attributes.is_transactional(),
            is_control: attributes.is_control(),
            delete_horizon_ms: attributes.has_delete_horizon().then_some(header.base_timestamp),
            position,
            timestamp_type: time_name(header),
            timestamp: header.max_timestamp,
            size: header.size(),
            magic: header.magic,
            compresscodec: attributes.compression().map_or("unknown", |codec| codec.name()),
            crc: header.crc,
            isvalid: true,
        }
    }

    fn text(&self) -> String {
        let horizon = self.delete_horizon_ms;
        let horizon =
            horizon.map_or("OptionalLong.empty".to_owned(), |ms| format!("OptionalLong[{ms}]"));
        format!(
            "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} \
             producerId: {} producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} \
             isControl: {} deleteHorizonMs: {horizon} position: {} {}: {} size: {} magic: {} \
             compresscodec: {} crc: {} isvalid: {}\n",
            self.base_offset,
            self.last_offset,
            self.count,
            self.base_sequence,
            self.last_sequence,
            self.producer_id,
            self.producer_epoch,
            self.partition_leader_epoch,
            self.is_transactional,
            self.is_control,
            self.position,
            self.timestamp_type,
            self.timestamp,
            self.size,
            self.magic,
            self.compresscodec,
            self.crc,
            self.isvalid,
        )
    }
}

impl<'a> RecordLine<'a> {
    /// The record at a place in its batch.
    fn new(header: &BatchHeader, record: &'a Record, place: i32) -> Self {
        let base = header.base_sequence;
        let headers = record.headers.iter();
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            sequence: if base < 0 { -1 } else { base.wrapping_add(place) & i32::MAX },
            key: record.key.as_deref().map(Bytes),
            value: record.value.as_deref().map(Bytes),
            headers: headers
                .map(|header| (Bytes(&header.key), header.value.as_deref().map(Bytes)))
                .collect(),
            marker: header.attributes.is_control().then(|| Marker::of(record)).flatten(),
        }
    }

    fn text(&self, time_name: &str) -> String {
        let size = |bytes: &Option<Bytes<'_>>| {
            bytes.as_ref().map_or("-1".to_owned(), |bytes| bytes.0.len().to_string())
        };
        let text = |bytes: &Bytes<'_>| String::from_utf8_lossy(bytes.0).into_owned();
        let labelled = |label: &str, bytes: &Option<Bytes<'_>>| {
            bytes.as_ref().map(|bytes| format!(" {label}: {}", text(bytes))).unwrap_or_default()
        };
        let headers: Vec<_> = self.headers.iter().map(|(key, _)| text(key)).collect();
        let content = match &self.marker {
            Some(Marker { end_txn_marker, coordinator_epoch }) => {
                format!(" endTxnMarker: {end_txn_marker} coordinatorEpoch: {coordinator_epoch}")
            }
            None => labelled("key", &self.key) + &labelled("payload", &self.value),
        };
        format!(
            "| offset: {} {time_name}: {} keySize: {} valueSize: {} sequence: {} \
             headerKeys: [{}]{content}\n",
            self.offset,
            self.timestamp,
            size(&self.key),
            size(&self.value),
            self.sequence,
            headers.join(","),
        )
    }
}

impl Marker {
    fn of(record: &Record) -> Option<Self> {
        let EndTransaction { outcome, coordinator_epoch } = EndTransaction::parse(record)?;
        let end_txn_marker = match outcome {
            Outcome::Commit => "COMMIT",
            Outcome::Abort => "ABORT",
        };
        Some(Self { end_txn_marker, coordinator_epoch })
    }
}

impl DamageLine {
    fn text(&self) -> String {
        format!(
            "position: {} size: {} isvalid: false damage: {}\n",
            self.position, self.size, self.damage
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_transaction_is_named() {
        let marker = EndTransaction { outcome: Outcome::Abort, coordinator_epoch: 7 };
        let batch = marker.batch(4001, 3, 1_700_000_000_000).unwrap();
        let record = batch.records(0).unwrap().next().unwrap().unwrap();
        let line = RecordLine::new(batch.header(), &record, 0);
        assert_eq!(
            line.text("CreateTime"),
            "| offset: 0 CreateTime: 1700000000000 keySize: 4 valueSize: 6 sequence: -1 \
             headerKeys: [] endTxnMarker: ABORT coordinatorEpoch: 7\n"
        );
        let json = serde_json::to_value(&line).unwrap();
        assert_eq!(
            (&json["endTxnMarker"], &json["coordinatorEpoch"]),
            (&"ABORT".into(), &7.into())
        );
    }
}
