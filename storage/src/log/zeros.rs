//! Zeros behind the end of a log of which little is synced at a time.
//!
//! A sync of bytes in blocks that were written before has nothing else to write. One that makes a
//! file longer has the file system write down how long it is, which takes as long again, and longer
//! where there is a journal. So a small sync that does so brings zeros, which those that follow
//! replace.

use super::State;
use crate::disk::DiskFile;
use crate::options::Durability;
use crate::segment::SIZE_MAX;

/// The most zeros at a time.
const ZEROS_MAX: u32 = 256 << 10;
/// Where a sync covers more bytes, to write them twice costs as much as it saves.
const SYNC_MAX: u64 = 32 << 10;
const BLOCK: usize = 4096;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

impl State {
    /// Writes zeros behind the end, as many as the segment has bytes, if the sync that is about to
    /// begin is small and those written before are used up.
    pub(super) fn write_zeros(&mut self) {
        let is_small = self.unsynced.bytes <= SYNC_MAX;
        let used_up = !self.active.has_zeros();
        let Some(file) = self.unsynced.held.as_ref().filter(|_| is_small && used_up) else {
            return;
        };
        // A segment that is about to roll takes no more of them.
        if self.options.durability != Durability::Synced || self.roll_due {
            return;
        }
        let (size, size_max) = (self.active.size, self.options.segment_bytes.min(SIZE_MAX));
        if size < size_max {
            let end = (size + size.min(ZEROS_MAX)).next_multiple_of(BLOCK as u32).min(size_max);
            self.active.zeros_end = end;
            if let Err(error) = write(&**file.file(), size, end) {
                tracing::debug!(%error, "no zeros behind the end: syncs take longer");
            }
        }
    }
}

fn write(file: &dyn DiskFile, from: u32, to: u32) -> std::io::Result<()> {
    let len = (to - from) as usize;
    let mut parts = vec![&ZEROS[..]; len / BLOCK];
    parts.extend(ZEROS.get(..len % BLOCK));
    file.write_all_at(&parts, from.into())
}
