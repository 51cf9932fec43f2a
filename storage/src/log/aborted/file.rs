//! The file of aborted transactions beside a segment: entries of one size, by the offsets of their
//! markers, as Kafka has them (`TransactionIndex.java`).

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use super::AbortedTransaction;
use crate::disk::{self, DiskFile, OpenMode};
use crate::segment::{ABORTED, Place};

/// Bytes of an entry.
const SIZE: usize = 34;
/// The only version of entries.
const VERSION: i16 = 0;
/// How many entries are read at a time.
const READ_AT_ONCE: usize = 120;

impl AbortedTransaction {
    fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let (version, rest) = bytes.split_at_mut(2);
        version.copy_from_slice(&VERSION.to_be_bytes());
        let fields = [self.producer_id, self.first_offset, self.last_offset, self.stable_offset];
        for (place, field) in rest.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    /// None where it is of no known version.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        let (fields, _) = rest.as_chunks().0.split_first_chunk::<4>()?;
        let [producer_id, first_offset, last_offset, stable_offset] =
            fields.map(i64::from_be_bytes);
        let is_known = i16::from_be_bytes(*version) == VERSION;
        is_known.then_some(Self { producer_id, first_offset, last_offset, stable_offset })
    }
}

/// What is noted beside one segment.
pub(super) struct Entries {
    file: Arc<dyn DiskFile>,
    /// Half an entry that a crash left does not count.
    count: u64,
}

impl Entries {
    /// None where nothing is noted.
    pub(super) fn open(place: &Place, base: i64) -> io::Result<Option<Self>> {
        let file = place.files.disk().open(&path(place, base), OpenMode::Existing);
        let Some(file) = disk::found(file)? else { return Ok(None) };
        let count = file.len()? / SIZE as u64;
        Ok(Some(Self { file, count }))
    }

    /// The one with the last marker.
    pub(super) fn last(&self) -> io::Result<Option<AbortedTransaction>> {
        self.count.checked_sub(1).map(|last| self.get(last)).transpose()
    }

    /// Visits those whose markers lie at or behind an offset, in their order.
    pub(super) fn visit(
        &self,
        from: i64,
        mut visit: impl FnMut(AbortedTransaction) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        let mut at = self.first_at(from)?;
        let mut bytes = vec![0; SIZE * READ_AT_ONCE];
        while at < self.count {
            let read = self.file.read_at(&mut bytes, at * SIZE as u64)?;
            let whole = bytes.get(..read).unwrap_or_default().chunks_exact(SIZE);
            if whole.len() == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            for entry in whole {
                if at == self.count {
                    break;
                }
                at += 1;
                if visit(AbortedTransaction::decode(entry).ok_or_else(unknown)?).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The number of the first whose marker lies at or behind an offset.
    fn first_at(&self, offset: i64) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle)?.last_offset < offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn get(&self, number: u64) -> io::Result<AbortedTransaction> {
        let mut bytes = [0; SIZE];
        if self.file.read_at(&mut bytes, number * SIZE as u64)? < SIZE {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        AbortedTransaction::decode(&bytes).ok_or_else(unknown)
    }
}

/// Every entry beside a segment.
pub(super) fn read(place: &Place, base: i64) -> io::Result<Vec<AbortedTransaction>> {
    let mut all = Vec::new();
    if let Some(entries) = Entries::open(place, base)? {
        let _ = entries.visit(i64::MIN, |entry| {
            all.push(entry);
            ControlFlow::Continue(())
        })?;
    }
    Ok(all)
}

/// Adds an entry.
pub(super) fn append(place: &Place, base: i64, entry: &AbortedTransaction) -> io::Result<()> {
    let file = place.files.disk().open(&path(place, base), OpenMode::Create)?;
    let len = file.len()?;
    // Half an entry that a crash left is overwritten.
    file.write_all_at(&[&entry.encode()], len - len % SIZE as u64)
}

/// Has the file end before the entries whose markers lie at or behind an offset, durably.
pub(super) fn cut(place: &Place, base: i64, from: i64) -> io::Result<()> {
    let Some(entries) = Entries::open(place, base)? else { return Ok(()) };
    let stay = entries.first_at(from)?;
    if stay < entries.count {
        entries.file.set_len(stay * SIZE as u64)?;
        entries.file.sync_data()?;
    }
    Ok(())
}

/// Has the file hold these, durably; a crash leaves what it held or this.
pub(super) fn replace(place: &Place, base: i64, entries: &[AbortedTransaction]) -> io::Result<()> {
    let content: Vec<u8> = entries.iter().flat_map(AbortedTransaction::encode).collect();
    disk::replace_file(&**place.files.disk(), &path(place, base), &[&content])
}

/// Where the file is.
pub(super) fn path(place: &Place, base: i64) -> PathBuf {
    place.path(base, ABORTED)
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an aborted transaction of no known version")
}
