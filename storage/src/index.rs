//! The entries of `.index` and `.timeindex` files and how they are searched.
//!
//! Both files are arrays of fixed-size entries, big endian, strictly rising. Indexes are caches:
//! each entry is checked against the batch it points to when it is used, and each file can be
//! built anew from the segment.

use std::io;
use std::sync::Arc;

use crate::disk::{CachedFile, Reach};

/// One entry of an index file.
pub(crate) trait IndexEntry: Copy + PartialEq + std::fmt::Debug {
    /// Bytes on disk.
    const SIZE: usize;

    /// Reads an entry from exactly `SIZE` bytes; `None` for any other number.
    fn decode(bytes: &[u8]) -> Option<Self>;

    /// Appends the bytes of the entry.
    fn encode(self, out: &mut Vec<u8>);

    /// Whether `self` may directly follow `before`.
    fn may_follow(self, before: Self) -> bool;
}

/// An entry of `.index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of a batch minus the base offset of the segment.
    pub(crate) relative: u32,
    /// Where that batch starts.
    pub(crate) position: u32,
}

impl IndexEntry for OffsetEntry {
    const SIZE: usize = 8;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (relative, position) = bytes.split_first_chunk()?;
        Some(Self {
            relative: u32::from_be_bytes(*relative),
            position: u32::from_be_bytes(position.try_into().ok()?),
        })
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend(self.relative.to_be_bytes());
        out.extend(self.position.to_be_bytes());
    }

    fn may_follow(self, before: Self) -> bool {
        self.relative > before.relative && self.position > before.position
    }
}

/// An entry of `.timeindex`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// The greatest timestamp of the segment up to and including a batch.
    pub(crate) timestamp: i64,
    /// Last offset of the batch that has it, minus the base offset of the segment.
    pub(crate) relative: u32,
}

impl IndexEntry for TimeEntry {
    const SIZE: usize = 12;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (timestamp, relative) = bytes.split_first_chunk()?;
        Some(Self {
            timestamp: i64::from_be_bytes(*timestamp),
            relative: u32::from_be_bytes(relative.try_into().ok()?),
        })
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.relative.to_be_bytes());
    }

    fn may_follow(self, before: Self) -> bool {
        self.timestamp > before.timestamp && self.relative >= before.relative
    }
}

/// An index file as it was at one moment: its first `entries` entries.
#[derive(Debug)]
pub(crate) struct IndexView {
    file: Arc<CachedFile>,
    entries: u32,
    access: Access,
}

/// How an index file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Through its mapping, once it no longer changes. May wait for the device.
    Map,
    /// Through the file.
    Read(Reach),
}

/// Entries that are read at once when a search has come so near.
const BLOCK: u32 = 256;

impl IndexView {
    pub(crate) fn new(file: Arc<CachedFile>, entries: u32, access: Access) -> Self {
        Self { file, entries, access }
    }

    /// The last entry for which `before` holds, which must hold for a prefix of the entries.
    pub(crate) fn last_where<E: IndexEntry>(
        &self,
        before: impl Fn(E) -> bool,
    ) -> io::Result<Option<E>> {
        let count = self.count_where(before)?;
        count.checked_sub(1).map(|last| self.entry(last)).transpose()
    }

    /// The length of the prefix for which `before` holds.
    pub(crate) fn count_where<E: IndexEntry>(&self, before: impl Fn(E) -> bool) -> io::Result<u32> {
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            if let Access::Read(reach) = self.access
                && high - low <= BLOCK
            {
                let entries = self.block(reach, low, high)?;
                let count = entries.partition_point(|entry| before(*entry));
                return Ok(low + u32::try_from(count).unwrap_or(0));
            }
            let middle = low + (high - low) / 2;
            if before(self.entry(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// One entry.
    pub(crate) fn entry<E: IndexEntry>(&self, number: u32) -> io::Result<E> {
        let start = number as usize * E::SIZE;
        let reach = match self.access {
            Access::Read(reach) => reach,
            Access::Map => {
                let map = self.file.map(self.entries as usize * E::SIZE);
                let mapped = map.and_then(|map| E::decode(map.get(start..start + E::SIZE)?));
                if let Some(entry) = mapped {
                    return Ok(entry);
                }
                Reach::Device
            }
        };
        let entries = self.block(reach, number, number + 1)?;
        entries.first().copied().ok_or(io::ErrorKind::InvalidData.into())
    }

    /// The entries from `first` up to `end`, which are no more than a block.
    fn block<E: IndexEntry>(&self, reach: Reach, first: u32, end: u32) -> io::Result<Vec<E>> {
        let mut bytes = vec![0; (end - first) as usize * E::SIZE];
        let position = u64::from(first) * E::SIZE as u64;
        if reach.read_at(&**self.file.file(), &mut bytes, position)? < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let entries: Option<_> = bytes.chunks(E::SIZE).map(E::decode).collect();
        entries.ok_or(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::{Disk, FileCache, MemoryDisk, OpenMode, RealDisk};

    fn view(disk: Arc<dyn Disk>, dir: &Path, relatives: &[u32], access: Access) -> IndexView {
        disk.create_dir(dir).unwrap();
        let cache = FileCache::new(disk, 64);
        let file = cache.open(cache.new_id(), OpenMode::Create, || dir.join("i")).unwrap();
        let mut bytes = Vec::new();
        for (i, relative) in relatives.iter().enumerate() {
            OffsetEntry { relative: *relative, position: i as u32 }.encode(&mut bytes);
        }
        file.file().write_all_at(&[&bytes], 0).unwrap();
        IndexView::new(file, relatives.len() as u32, access)
    }

    #[test]
    fn layouts_are_those_of_kafka() {
        let mut bytes = Vec::new();
        OffsetEntry { relative: 0x0102_0304, position: 5 }.encode(&mut bytes);
        assert_eq!(bytes, [1, 2, 3, 4, 0, 0, 0, 5]);
        bytes.clear();
        TimeEntry { timestamp: 1, relative: 2 }.encode(&mut bytes);
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(TimeEntry::decode(&bytes), Some(TimeEntry { timestamp: 1, relative: 2 }));
        assert_eq!(TimeEntry::decode(&bytes[1..]), None);
    }

    #[test]
    fn a_mapped_index_answers_as_a_read_one() {
        let dir = tempfile::tempdir().unwrap();
        let relatives = [3, 5, 9];
        let mapped = view(Arc::new(RealDisk), dir.path(), &relatives, Access::Map);
        let read = view(Arc::new(RealDisk), dir.path(), &relatives, Access::Read(Reach::Device));
        for at in 0..12 {
            let find = |view: &IndexView| view.last_where::<OffsetEntry>(|e| e.relative <= at);
            assert_eq!(find(&mapped).unwrap(), find(&read).unwrap());
        }
    }

    proptest! {
        #[test]
        fn the_floor_is_that_of_a_plain_search(
            set in proptest::collection::btree_set(0u32..500, 0..60), at in 0u32..500,
        ) {
            let relatives: Vec<u32> = set.into_iter().collect();
            let view = view(Arc::new(MemoryDisk::new()), Path::new("/d"), &relatives, Access::Read(Reach::Memory));
            let found = view.last_where::<OffsetEntry>(|e| e.relative <= at).unwrap();
            let plain = relatives.iter().copied().filter(|relative| *relative <= at).max();
            prop_assert_eq!(found.map(|entry| entry.relative), plain);
        }
    }
}
