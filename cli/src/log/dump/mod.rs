//! `klamm log dump`.

mod consumer_groups;
mod lines;
mod offsets;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use klamm_protocol::records::Batch;
use klamm_storage::disk::RealDisk;
use klamm_storage::verify::{self, Dumped};
use serde::Serialize;

use super::index::{self, Entry};
use crate::failure::{ErrorStyle, Failure};
use crate::output::Stdout;

use lines::{BatchLine, DamageLine, RecordLine, time_name};

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
    /// Also print the records, and those that belong to the brokers in readable form
    #[arg(long, value_enum, value_name = "RECORDS")]
    decode: Option<Decoder>,
    /// How the answer is printed
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Shape::Text)]
    shape: Shape,
}

/// Which records are printed in readable form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Decoder {
    /// Those of __consumer_offsets: groups, and what they have committed
    Offsets,
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

impl Args {
    pub(super) fn errors(&self) -> ErrorStyle {
        if self.shape == Shape::Jsonl { ErrorStyle::Json } else { ErrorStyle::Text }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut dumper = Dumper {
        shape: args.shape,
        deep: args.deep || args.decode.is_some(),
        decoder: args.decode,
        findings: 0,
        stdout: Stdout::new(),
    };
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
    decoder: Option<Decoder>,
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
            let mut line = RecordLine::new(header, &record, place);
            if self.decoder == Some(Decoder::Offsets) && !header.attributes.is_control() {
                line.decode_offsets(&record);
            }
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
