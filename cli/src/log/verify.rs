//! `klamm log verify`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use klamm_storage::DiskError;
use klamm_storage::disk::RealDisk;
use klamm_storage::verify::{Fault, Problem, VerifyReport, segments, verify};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{OutputArgs, Progress, Row};

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 7 says that damage was found. Zeros at the end of the last \
segment's files are no damage: a broker that runs, or was killed, has reserved that space.")]
pub(crate) struct Args {
    /// The folder of a partition, or one whose folders are partitions
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// One log, and what is wrong with it.
#[derive(Debug, Serialize)]
struct Verified {
    log: PathBuf,
    segments: usize,
    batches: u64,
    bytes: u64,
    index_entries: u64,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    file: PathBuf,
    position: u64,
    problem: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let logs = logs(&args.dir)?;
    let mut verified = Vec::with_capacity(logs.len());
    let progress = Progress::of(Some(logs.len() as u64), "logs");
    for log in logs {
        progress.reach(verified.len() as u64);
        // First: what is the last segment now may not be that when all is read.
        let reserved = Reserved::of(&log);
        verified.push(match verify(&RealDisk, &log) {
            Ok(report) => Verified::new(report, &reserved, log),
            Err(error) => Verified::unreadable(&error, log),
        });
    }
    drop(progress);
    let findings = verified.iter().map(|log| log.findings.len()).sum();
    args.output.print_as(&verified, |stdout, logs| {
        for finding in logs.iter().flat_map(|log| &log.findings) {
            let Finding { file, position, problem } = finding;
            stdout.text(&format!("{} at {position}: {problem}\n", file.display()));
        }
        stdout.text(&summary(logs));
    })?;
    if findings == 0 { Ok(()) } else { Err(Failure::Damaged { findings }.into()) }
}

/// The folder itself if it is a log, otherwise the logs in it.
fn logs(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !segments(&RealDisk, dir)?.is_empty() {
        return Ok(vec![dir.to_owned()]);
    }
    let mut logs = Vec::new();
    for entry in dir.read_dir().with_context(|| dir.display().to_string())? {
        let folder = entry?.path();
        // What cannot be read is told of if it must be a log: `lost+found` is none.
        let is_log = || match segments(&RealDisk, &folder) {
            Ok(bases) => !bases.is_empty(),
            Err(_) => has_partition_name(&folder),
        };
        if folder.is_dir() && is_log() {
            logs.push(folder);
        }
    }
    if logs.is_empty() {
        return Err(Failure::NotFound(format!("no log in {}", dir.display())).into());
    }
    logs.sort();
    Ok(logs)
}

/// Whether a folder is named as that of a partition, `<topic>-<number>`.
fn has_partition_name(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.rsplit_once('-')).map(|(_topic, number)| number);
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

fn summary(logs: &[Verified]) -> String {
    let sum = |count: fn(&Verified) -> u64| logs.iter().map(count).sum::<u64>();
    let findings = sum(|log| log.findings.len() as u64);
    let found =
        if findings == 0 { "nothing is wrong".into() } else { format!("{findings} findings") };
    format!(
        "{} logs, {} segments, {} batches, {} bytes, {} index entries: {found}\n",
        logs.len(),
        sum(|log| log.segments as u64),
        sum(|log| log.batches),
        sum(|log| log.bytes),
        sum(|log| log.index_entries),
    )
}

impl Verified {
    fn new(report: VerifyReport, reserved: &Reserved, log: PathBuf) -> Self {
        let is_damage = |problem: &Problem| !reserved.holds(problem);
        let finding = |problem: Problem| Finding {
            problem: describe(problem.fault),
            file: problem.file,
            position: problem.position,
        };
        Self {
            segments: report.segments,
            batches: report.batches,
            bytes: report.bytes,
            index_entries: report.index_entries,
            findings: report.problems.into_iter().filter(is_damage).map(finding).collect(),
            log,
        }
    }

    /// A log that could not be looked at to its end.
    fn unreadable(error: &DiskError, log: PathBuf) -> Self {
        let problem = error.to_string();
        let findings = vec![Finding { file: error.path.clone(), position: 0, problem }];
        Self { log, segments: 0, batches: 0, bytes: 0, index_entries: 0, findings }
    }
}

/// The space at the end of the last segment's files that a broker has reserved and not used.
struct Reserved {
    /// The name of the files, without what follows the dot.
    stem: String,
    /// Where the zeros begin in each index file.
    index: u64,
    time_index: u64,
}

impl Reserved {
    fn of(log: &Path) -> Self {
        let base = segments(&RealDisk, log).ok().and_then(|bases| bases.last().copied());
        let stem = format!("{:020}", base.unwrap_or(0));
        let used = |extension| {
            let bytes = std::fs::read(log.join(format!("{stem}.{extension}"))).unwrap_or_default();
            bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
        };
        Self { index: used("index"), time_index: used("timeindex"), stem }
    }

    /// Whether the problem is nothing but reserved space.
    fn holds(&self, problem: &Problem) -> bool {
        if problem.file.file_stem().and_then(|stem| stem.to_str()) != Some(&self.stem) {
            return false;
        }
        match problem.file.extension().and_then(|extension| extension.to_str()) {
            Some("log") => matches!(problem.fault, Fault::Zeros { .. }),
            Some("index") => problem.position >= self.index,
            Some("timeindex") => problem.position >= self.time_index,
            _ => false,
        }
    }
}

fn describe(fault: Fault) -> String {
    match fault {
        Fault::Damage { damage, bytes } => format!("{damage}; {bytes} bytes are lost"),
        Fault::Zeros { bytes } => format!("{bytes} zeros, and other segments follow"),
        Fault::PartialEntry => "the file ends within an entry".into(),
        Fault::EntryOrder => "the entry does not rise above the one before it".into(),
        Fault::WrongPosition { offset, position } => {
            format!("no batch that ends with offset {offset} starts at {position}")
        }
        Fault::WrongTimestamp { timestamp, offset } => {
            format!("no batch ends with offset {offset} and has brought the timestamp {timestamp}")
        }
    }
}

impl Row for Verified {
    const HEADINGS: &'static [&'static str] = &["LOG"];

    fn cells(&self) -> Vec<String> {
        vec![self.log.display().to_string()]
    }
}
