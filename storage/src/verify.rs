//! Looking at the files of a log without opening it, for `klamm log dump` and `klamm log verify`.
//!
//! Nothing here writes, or could. A log that is in use may be looked at: what is appended meanwhile
//! may or may not be seen.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use klamm_protocol::records::{Batch, BatchHeader};

use crate::disk::{self, Disk, DiskFile, OpenMode};
use crate::error::{At, DiskError};
use crate::index::{IndexEntry, OffsetEntry, TimeEntry};
use crate::scan::{Damage, ScanError, Scanner};
use crate::segment;

/// How often to look at bytes that seem damaged.
const LOOKS_MAX: usize = 3;
/// An index larger than this is not looked at.
const INDEX_LEN_MAX: u64 = 1 << 30;

/// What is wrong with a log, or what was counted when nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Segments that were read.
    pub segments: usize,
    /// Batches whose checksums are right.
    pub batches: u64,
    /// Bytes of those batches.
    pub bytes: u64,
    /// Index entries that fit their batches.
    pub index_entries: u64,
    /// All that is wrong, in the order of the files.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub position: u64,
    /// What is wrong there.
    pub fault: Fault,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No sound batch starts here. `bytes` are passed over until one does, or to the end.
    Damage {
        /// What is wrong with them.
        damage: Damage,
        /// How many bytes.
        bytes: u64,
    },
    /// Only zeros follow to the end of the file.
    Zeros {
        /// How many bytes.
        bytes: u64,
    },
    /// The index file ends within an entry.
    PartialEntry,
    /// An index entry does not rise above the one before it.
    EntryOrder,
    /// An offset index entry points to where no batch with that last offset starts.
    WrongPosition {
        /// The offset in the entry, base offset included.
        offset: i64,
        /// The position in the entry.
        position: u32,
    },
    /// A time index entry names a batch that does not exist or has another timestamp.
    WrongTimestamp {
        /// The timestamp in the entry.
        timestamp: i64,
        /// The offset in the entry, base offset included.
        offset: i64,
    },
}

/// A batch of a segment file, or what is there instead.
#[derive(Clone, Debug)]
pub enum Dumped {
    /// A sound batch.
    Batch {
        /// Where it starts.
        position: u64,
        /// Its header.
        header: BatchHeader,
        /// All of it.
        batch: Batch,
    },
    /// Bytes that are no sound batch.
    Damage {
        /// Where they start.
        position: u64,
        /// How many until the next sound batch or the end.
        bytes: u64,
        /// What is wrong with them.
        damage: Damage,
        /// Whether there are only zeros to the end of the file.
        zeros: bool,
    },
}

/// The base offsets of the segments in a log's folder, in order.
pub fn segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<i64>, DiskError> {
    let entries = disk.list(dir).at("list", dir)?;
    let bases = entries.iter().filter_map(|entry| segment::base_of(&entry.name, segment::LOG));
    let mut bases: Vec<_> = bases.collect();
    bases.sort_unstable();
    Ok(bases)
}

/// The batches of one segment file, in order. Ends at the end of the file or at the first error
/// of the disk.
pub fn dump(disk: &dyn Disk, path: &Path) -> Result<Dump, DiskError> {
    let file = disk.open(path, OpenMode::ReadOnly).at("open", path)?;
    let end = file.len().at("read", path)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let offset_min = segment::base_of(name, segment::LOG).unwrap_or(0);
    Ok(Dump { file, path: path.to_owned(), position: 0, end, offset_min })
}

/// Iterator of [`dump`].
#[derive(Debug)]
pub struct Dump {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    position: u64,
    end: u64,
    offset_min: i64,
}

impl Iterator for Dump {
    type Item = Result<Dumped, DiskError>;

    fn next(&mut self) -> Option<Self::Item> {
        let offsets = self.offset_min..i64::MAX;
        let mut scanner = Scanner::new(&*self.file, self.position..self.end, offsets);
        let next = step(&mut scanner);
        (self.position, self.offset_min) = (scanner.position(), scanner.offset_min());
        match next {
            Ok(dumped) => dumped.map(Ok),
            Err(error) => {
                self.position = self.end;
                Some(Err(error).at("read", &self.path))
            }
        }
    }
}

fn step(scanner: &mut Scanner<'_>) -> std::io::Result<Option<Dumped>> {
    let position = scanner.position();
    let mut looks = 0;
    loop {
        looks += 1;
        let damage = match scanner.next_batch() {
            Ok(found) => {
                return Ok(found.map(|(found, batch)| {
                    let header = found.header;
                    Dumped::Batch { position, header, batch }
                }));
            }
            Err(ScanError::Io(error)) => return Err(error),
            Err(ScanError::Damage(damage)) => damage,
        };
        let zeros = scanner.only_zeros_follow()?;
        if zeros {
            scanner.jump_to_end();
        } else if looks < LOOKS_MAX {
            // A broker may have replaced zeros by a batch meanwhile, or be about it.
            scanner.look_again();
            continue;
        } else {
            scanner.resync()?;
        }
        let bytes = scanner.position() - position;
        return Ok(Some(Dumped::Damage { position, bytes, damage, zeros }));
    }
}

/// Reads a log's folder: every batch with its checksum, and every index entry against the batches.
pub fn verify(disk: &dyn Disk, dir: &Path) -> Result<VerifyReport, DiskError> {
    let mut report = VerifyReport::default();
    let bases = segments(disk, dir)?;
    for (i, &base) in bases.iter().enumerate() {
        report.segments += 1;
        let path = |extension| dir.join(format!("{base:020}.{extension}"));
        let next = bases.get(i + 1).copied();
        let headers = verify_batches(disk, &path(segment::LOG), next, &mut report)?;
        let index = entries::<OffsetEntry>(disk, &path(segment::INDEX), &mut report)?;
        verify_index(base, &headers, &path(segment::INDEX), &index, &mut report);
        let times = entries::<TimeEntry>(disk, &path(segment::TIME_INDEX), &mut report)?;
        verify_times(base, &headers, &path(segment::TIME_INDEX), &times, &mut report);
    }
    Ok(report)
}

/// Where a batch starts, its last offset, and the greatest timestamp up to and including it.
type Summary = (u64, i64, i64);

fn verify_batches(
    disk: &dyn Disk,
    path: &Path,
    next: Option<i64>,
    report: &mut VerifyReport,
) -> Result<Vec<Summary>, DiskError> {
    let mut headers = Vec::new();
    let mut timestamp = -1;
    let file = disk.open(path, OpenMode::ReadOnly).at("open", path)?;
    let end = file.len().at("read", path)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let base = segment::base_of(name, segment::LOG).unwrap_or(0);
    let mut scanner = Scanner::new(&*file, 0..end, base..i64::MAX);
    while let Some(dumped) = step(&mut scanner).at("read", path)? {
        match dumped {
            Dumped::Batch { position, header, .. } => {
                report.batches += 1;
                report.bytes += header.size() as u64;
                if header.record_count > 0 {
                    timestamp = header.max_timestamp.max(timestamp);
                }
                headers.push((position, header.last_offset(), timestamp));
            }
            // A full segment that was not trimmed lacks nothing.
            Dumped::Damage { zeros: true, .. } if next == Some(scanner.offset_min()) => {}
            Dumped::Damage { position, bytes, damage, zeros } => {
                let fault =
                    if zeros { Fault::Zeros { bytes } } else { Fault::Damage { damage, bytes } };
                report.problems.push(Problem { file: path.to_owned(), position, fault });
            }
        }
    }
    Ok(headers)
}

/// The entries of an index file; none when there is no file, since it can be built anew.
fn entries<E: IndexEntry>(
    disk: &dyn Disk,
    path: &Path,
    report: &mut VerifyReport,
) -> Result<Vec<E>, DiskError> {
    let Some(file) = disk::found(disk.open(path, OpenMode::ReadOnly)).at("open", path)? else {
        return Ok(Vec::new());
    };
    let bytes = disk::read_small(&*file, INDEX_LEN_MAX).at("read", path)?;
    let mut problem = |position: usize, fault| {
        report.problems.push(Problem { file: path.to_owned(), position: position as u64, fault });
    };
    let entries: Vec<E> = bytes.chunks_exact(E::SIZE).filter_map(E::decode).collect();
    if !bytes.len().is_multiple_of(E::SIZE) {
        problem(entries.len() * E::SIZE, Fault::PartialEntry);
    }
    for (i, pair) in entries.windows(2).enumerate() {
        if let [before, entry] = pair
            && !entry.may_follow(*before)
        {
            problem((i + 1) * E::SIZE, Fault::EntryOrder);
        }
    }
    Ok(entries)
}

fn verify_index(
    base: i64,
    headers: &[Summary],
    path: &Path,
    entries: &[OffsetEntry],
    report: &mut VerifyReport,
) {
    for (i, entry) in entries.iter().enumerate() {
        let (offset, position) = (base + i64::from(entry.relative), entry.position);
        let found = headers.binary_search_by_key(&u64::from(position), |header| header.0);
        let batch = found.ok().and_then(|at| headers.get(at));
        if batch.is_some_and(|(_, last_offset, _)| *last_offset == offset) {
            report.index_entries += 1;
            continue;
        }
        let fault = Fault::WrongPosition { offset, position };
        let place = (i * OffsetEntry::SIZE) as u64;
        report.problems.push(Problem { file: path.to_owned(), position: place, fault });
    }
}

fn verify_times(
    base: i64,
    headers: &[Summary],
    path: &Path,
    entries: &[TimeEntry],
    report: &mut VerifyReport,
) {
    for (i, entry) in entries.iter().enumerate() {
        let (timestamp, offset) = (entry.timestamp, base + i64::from(entry.relative));
        let found = headers.binary_search_by_key(&offset, |header| header.1);
        let batch = found.ok().and_then(|at| headers.get(at));
        if batch.is_some_and(|(_, _, greatest)| *greatest == timestamp) {
            report.index_entries += 1;
            continue;
        }
        let fault = Fault::WrongTimestamp { timestamp, offset };
        let place = (i * TimeEntry::SIZE) as u64;
        report.problems.push(Problem { file: path.to_owned(), position: place, fault });
    }
}
