//! The newest entries of an index, before they are written to its file.
//!
//! An append brings about one small entry at most; written one by one, they would cost a system
//! call each. What is lost of them in a crash is built anew from the segment, as the file is.

use std::io;
use std::sync::Arc;

use crate::disk::CachedFile;
use crate::index::{Access, IndexEntry, IndexView};

/// How many entries gather: half a kilobyte of `.index`, and a look at as many batches more when
/// they are lost.
const GATHERED_MAX: usize = 64;

/// Entries that follow those in the file. A clone is a snapshot, and shares the memory until
/// either changes.
#[derive(Clone, Debug)]
pub(crate) struct Recent<E>(Option<Arc<Vec<E>>>);

impl<E> Default for Recent<E> {
    fn default() -> Self {
        Self(None)
    }
}

impl<E: IndexEntry> Recent<E> {
    pub(crate) fn push(&mut self, entry: E) {
        Arc::make_mut(self.0.get_or_insert_default()).push(entry);
    }

    fn entries(&self) -> &[E] {
        self.0.as_ref().map_or(&[], |entries| entries)
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.entries().len()).unwrap_or(u32::MAX)
    }

    /// Whether it is time to write them.
    pub(crate) fn is_full(&self) -> bool {
        self.entries().len() >= GATHERED_MAX
    }

    /// The last entry for which `before` holds, which must hold for a prefix of the `entries` of
    /// the whole index. Only those that are not here are looked for in the file.
    pub(crate) fn last_where(
        &self,
        before: impl Fn(E) -> bool,
        entries: u32,
        access: Access,
        file: impl FnOnce() -> io::Result<Arc<CachedFile>>,
    ) -> io::Result<Option<E>> {
        let count = self.entries().partition_point(|entry| before(*entry));
        let written = entries.saturating_sub(self.len());
        match count.checked_sub(1).and_then(|last| self.entries().get(last)) {
            None if written > 0 => IndexView::new(file()?, written, access).last_where(before),
            found => Ok(found.copied()),
        }
    }

    /// Writes them behind those in the file; `entries` counts both. Should that fail, all are left
    /// out but the last one, which says the most.
    pub(crate) fn write(
        &mut self,
        entries: &mut u32,
        file: impl FnOnce() -> io::Result<Arc<CachedFile>>,
    ) -> io::Result<()> {
        let Some(last) = self.entries().last().copied() else { return Ok(()) };
        let in_file = entries.saturating_sub(self.len());
        let mut bytes = Vec::with_capacity(self.entries().len() * E::SIZE);
        self.entries().iter().for_each(|entry| entry.encode(&mut bytes));
        let position = u64::from(in_file) * E::SIZE as u64;
        let written = file().and_then(|file| file.file().write_all_at(&[&bytes], position));
        self.0 = None;
        if written.is_err() {
            *entries = in_file + 1;
            self.push(last);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::{Disk, Fault, FaultyDisk, FileCache, MemoryDisk, OpenMode, Reach};
    use crate::index::OffsetEntry;

    fn entry(relative: u32) -> OffsetEntry {
        OffsetEntry { relative, position: relative }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Write,
        FailToWrite,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![8 => Just(Step::Push), 2 => Just(Step::Write), 1 => Just(Step::FailToWrite)]
    }

    proptest! {
        #[test]
        fn entries_are_found_wherever_they_are(
            steps in proptest::collection::vec(step(), 0..80), at in 0u32..200,
        ) {
            let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
            disk.create_dir(Path::new("/d")).unwrap();
            let cache = FileCache::new(Arc::new(disk.clone()), 64);
            let id = cache.new_id();
            let file = || cache.open(id, OpenMode::Create, || "/d/i".into());
            file().unwrap();
            let (mut in_file, mut kept) = (Vec::new(), Vec::new());
            let (mut recent, mut entries) = (Recent::default(), 0);
            for (number, step) in (0..).zip(steps) {
                match step {
                    Step::Push => {
                        recent.push(entry(2 * number));
                        kept.push(entry(2 * number));
                        entries += 1;
                    }
                    Step::Write => {
                        recent.write(&mut entries, file).unwrap();
                        in_file.append(&mut kept);
                    }
                    Step::FailToWrite => {
                        let (first, kind) = (disk.calls() + 1, io::ErrorKind::Other);
                        disk.fail(Some(Fault { first, count: 1, kind }));
                        prop_assert_eq!(recent.write(&mut entries, file).is_err(), !kept.is_empty());
                        disk.fail(None);
                        kept.drain(..kept.len().saturating_sub(1));
                    }
                }
            }
            let model = [in_file, kept].concat();
            let found = recent.last_where(|e| e.relative <= at, entries, Access::Read(Reach::Memory), file).unwrap();
            let plain = model.iter().copied().rfind(|entry| entry.relative <= at);
            prop_assert_eq!(found, plain);
            prop_assert_eq!(entries as usize, model.len());
        }
    }
}
