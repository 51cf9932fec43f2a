//! Zeros behind the end of a log of which little is synced at a time.
//!
//! A sync of bytes in blocks that were written before has nothing else to write. One that makes a
//! file longer has the file system write down how long it is, which takes as long again, and longer
//! where there is a journal. So a small sync that is about to do so brings zeros, which those that
//! follow replace. It does not wait for the last of them to be used up: what is left can be written
//! to on a disk that is full, as has to be done to delete a topic.

use super::State;
use crate::disk::DiskFile;
use crate::options::Durability;
use crate::segment::SIZE_MAX;

/// The most zeros at a time.
const ZEROS_MAX: u32 = 256 << 10;
/// Fewer are not enough.
const ZEROS_MIN: u32 = 4096;
/// Where a sync covers more bytes, to write them twice costs as much as it saves.
const SYNC_MAX: u64 = 32 << 10;
const BLOCK: usize = 4096;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

impl State {
    /// Writes zeros behind the end, as many as the segment has bytes, if the sync that is about to
    /// begin is small and few are left of those written before.
    pub(super) fn write_zeros(&mut self) {
        let (size, size_max) = (self.active.size, self.options.segment_bytes.min(SIZE_MAX));
        let begin = self.active.zeros_end.max(size);
        let end = (size + size.min(ZEROS_MAX)).next_multiple_of(BLOCK as u32).min(size_max);
        let is_small = self.unsynced.bytes <= SYNC_MAX;
        let Some(file) = self.unsynced.held.as_ref().filter(|_| is_small && begin < end) else {
            return;
        };
        // A segment that is about to roll takes no more of them.
        let is_apt = self.options.durability == Durability::Synced && !self.roll_due;
        if is_apt && begin - size < ZEROS_MIN {
            match write(&**file.file(), begin, end) {
                Ok(()) => self.active.zeros_end = end,
                Err(error) => {
                    // Some may have been written.
                    let cut = file.file().set_len(begin.into());
                    tracing::debug!(%error, ?cut, "no zeros behind the end: syncs take longer");
                }
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
