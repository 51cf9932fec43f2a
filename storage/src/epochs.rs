//! The leader epochs of a log: which epoch wrote from which offset on.

use std::path::Path;

use crate::disk::{self, Disk, OpenMode};
use crate::error::{At, DiskError};

/// Name of the file, as in Kafka.
pub(crate) const FILE: &str = "leader-epoch-checkpoint";
/// A log has one epoch per restart or move; this is millions of them.
const FILE_LEN_MAX: u64 = 64 << 20;

/// Epochs with their first offsets, both strictly rising.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Epochs(Vec<(i32, i64)>);

impl Epochs {
    /// The latest epoch that wrote.
    pub(crate) fn latest(&self) -> Option<i32> {
        self.0.last().map(|(epoch, _)| *epoch)
    }

    /// All epochs with their first offsets.
    pub(crate) fn entries(&self) -> &[(i32, i64)] {
        &self.0
    }

    /// Takes note that `epoch` wrote at `offset`. Returns whether that is news. Epochs below the
    /// latest, and batches without one, change nothing.
    pub(crate) fn assign(&mut self, epoch: i32, offset: i64) -> bool {
        let news = epoch >= 0 && self.latest().is_none_or(|latest| epoch > latest);
        if news {
            // An epoch that wrote nothing gives way, as offsets must rise as well.
            self.0.retain(|(_, start)| *start < offset);
            self.0.push((epoch, offset));
        }
        news
    }

    /// Forgets what was written at or after `end`. Returns whether anything was.
    pub(crate) fn truncate_end(&mut self, end: i64) -> bool {
        let before = self.0.len();
        self.0.retain(|(_, start)| *start < end);
        self.0.len() != before
    }

    /// Forgets epochs that ended at or before `start`; the one that covers it starts there.
    pub(crate) fn truncate_start(&mut self, start: i64) -> bool {
        let ended = self.0.partition_point(|(_, first)| *first <= start).saturating_sub(1);
        self.0.drain(..ended);
        match self.0.first_mut() {
            Some((_, first)) if *first < start => {
                *first = start;
                true
            }
            _ => ended > 0,
        }
    }

    /// The greatest epoch at or below `epoch`, and the offset at which it ended, which for the
    /// latest is `end`. Below the first known epoch the answer is `epoch` itself and the start of
    /// the log. `None` for an epoch of the future, or when none is known. As in Kafka (KIP-101,
    /// KIP-279).
    pub(crate) fn end_offset(&self, epoch: i32, end: i64) -> Option<(i32, i64)> {
        let latest = self.latest()?;
        if epoch < 0 || epoch > latest {
            return None;
        }
        if epoch == latest {
            return Some((latest, end));
        }
        let above = self.0.partition_point(|(known, _)| *known <= epoch);
        let (_, ended) = *self.0.get(above)?;
        let floor = above.checked_sub(1).and_then(|at| self.0.get(at));
        Some((floor.map_or(epoch, |(known, _)| *known), ended))
    }

    /// The epochs of a list that may come from anywhere: entries that break the order are left out.
    pub(crate) fn from_entries(entries: impl IntoIterator<Item = (i32, i64)>) -> Self {
        let mut epochs = Self::default();
        for (epoch, start) in entries {
            let rises = epochs.0.last().is_none_or(|last| epoch > last.0 && start > last.1);
            if rises && epoch >= 0 && start >= 0 {
                epochs.0.push((epoch, start));
            }
        }
        epochs
    }

    /// Replaces the file in a log's folder. Durable when this returns.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
        let path = dir.join(FILE);
        let mut text = format!("0\n{}\n", self.0.len());
        for (epoch, start) in &self.0 {
            text.push_str(&format!("{epoch} {start}\n"));
        }
        disk::replace_file(disk, &path, &[text.as_bytes()]).at("write", path)
    }

    /// Reads the file in a log's folder. A damaged line ends it: recovery adds what it finds in
    /// the batches.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Self, DiskError> {
        let path = dir.join(FILE);
        let opened = disk::found(disk.open(&path, OpenMode::Existing)).at("open", &path)?;
        let Some(file) = opened else { return Ok(Self::default()) };
        let content = disk::read_small(&*file, FILE_LEN_MAX).at("read", &path)?;
        let text = String::from_utf8(content).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() != Some("0") {
            return Ok(Self::default());
        }
        let entry = |line: &str| {
            let (epoch, start) = line.split_once(' ')?;
            Some((epoch.parse().ok()?, start.parse().ok()?))
        };
        Ok(Self::from_entries(lines.skip(1).map_while(entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    fn epochs() -> Epochs {
        Epochs::from_entries([(2, 0), (4, 100), (7, 250)])
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let end = |epoch| epochs().end_offset(epoch, 300);
        assert_eq!(end(1), Some((1, 0)));
        assert_eq!(end(2), Some((2, 100)));
        assert_eq!(end(3), Some((2, 100)));
        assert_eq!(end(5), Some((4, 250)));
        assert_eq!(end(7), Some((7, 300)));
        assert_eq!(end(8), None);
        assert_eq!(end(-1), None);
        assert_eq!(Epochs::default().end_offset(0, 0), None);
    }

    #[test]
    fn only_later_epochs_are_news() {
        let mut epochs = epochs();
        assert!(!epochs.assign(7, 260) && !epochs.assign(3, 260) && !epochs.assign(-1, 260));
        assert!(epochs.assign(8, 260));
        assert!(epochs.assign(9, 260), "epoch 8 wrote nothing");
        assert_eq!(epochs.entries(), [(2, 0), (4, 100), (7, 250), (9, 260)]);
    }

    #[test]
    fn both_ends_can_be_cut() {
        let mut cut = epochs();
        assert!(cut.truncate_end(250));
        assert_eq!(cut.entries(), [(2, 0), (4, 100)]);
        assert!(!cut.truncate_end(250));
        let mut cut = epochs();
        assert!(cut.truncate_start(120));
        assert_eq!(cut.entries(), [(4, 120), (7, 250)]);
        assert!(!cut.truncate_start(120));
    }

    #[test]
    fn the_file_is_kafkas_and_rubbish_ends_it() {
        let (disk, dir) = (MemoryDisk::new(), Path::new("/d"));
        disk.create_dir(dir).unwrap();
        assert_eq!(Epochs::read(&disk, dir).unwrap(), Epochs::default());
        epochs().write(&disk, dir).unwrap();
        assert_eq!(Epochs::read(&disk, dir).unwrap(), epochs());
        let file = disk.open(&dir.join(FILE), OpenMode::Existing).unwrap();
        let content = disk::read_small(&*file, 1000).unwrap();
        assert_eq!(content, b"0\n3\n2 0\n4 100\n7 250\n");
        file.write_all_at(&[b"x"], 10).unwrap();
        assert_eq!(Epochs::read(&disk, dir).unwrap().entries(), [(2, 0)]);
    }
}
