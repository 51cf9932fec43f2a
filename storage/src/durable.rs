//! The durable point of a log: what a finished sync vouches for, in the sidecar `durable.klamm`.
//!
//! Two slots of 64 bytes, written in turn and each with a checksum, so that a torn write leaves
//! the other. The file is written after each sync round and made durable by nobody in particular:
//! an old point is as true as a new one, it only makes recovery scan more. (A cut makes points
//! untrue: both slots are then written and synced first.) What lies below the point was synced:
//! damage there is rot. What lies above was not: damage there is a torn tail.

use std::io;

use crate::disk::DiskFile;

/// Name of the file.
pub(crate) const FILE: &str = "durable.klamm";
const MAGIC: [u8; 8] = *b"klammdp1";
const SLOT_LEN: usize = 64;
const CHECKED_LEN: usize = 8 + 8 + 8 + 8 + 8 + 8;

/// What a finished sync vouches for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DurablePoint {
    /// Base offset of the segment the point is in. Earlier segments are durable as a whole.
    pub(crate) segment: i64,
    /// Bytes of it that are durable.
    pub(crate) position: u64,
    /// The offset that follows the last durable record.
    pub(crate) end: i64,
    /// Set after a failed sync: pages above the point may look written and not be on the device,
    /// until the machine restarts. Recovery writes them anew.
    pub(crate) suspect: bool,
}

impl DurablePoint {
    /// Whether a place in a segment lies below the point.
    pub(crate) fn covers(&self, segment: i64, position: u64) -> bool {
        segment < self.segment || (segment == self.segment && position < self.position)
    }
}

/// Writes the points of one log, each over the older slot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sidecar {
    /// Number of the slot that was written last.
    pub(crate) sequence: u64,
}

impl Sidecar {
    /// Replaces the older of the two slots. Does not sync.
    pub(crate) fn write(&mut self, file: &dyn DiskFile, point: &DurablePoint) -> io::Result<()> {
        let sequence = self.sequence + 1;
        let slot = encode(sequence, point);
        file.write_all_at(&[&slot], sequence % 2 * SLOT_LEN as u64)?;
        self.sequence = sequence;
        Ok(())
    }

    /// The later of the slots that are whole; the zero point, which vouches for nothing, when
    /// none is.
    pub(crate) fn read(file: &dyn DiskFile) -> io::Result<(Self, DurablePoint)> {
        let mut content = [0; 2 * SLOT_LEN];
        let read = file.read_at(&mut content, 0)?;
        let slots = content.get(..read).unwrap_or_default().chunks_exact(SLOT_LEN);
        let latest = slots.filter_map(decode).max_by_key(|(sequence, _)| *sequence);
        let (sequence, point) = latest.unwrap_or_default();
        Ok((Self { sequence }, point))
    }
}

fn encode(sequence: u64, point: &DurablePoint) -> [u8; SLOT_LEN] {
    let mut slot = [0; SLOT_LEN];
    let fields = [
        MAGIC,
        sequence.to_be_bytes(),
        point.segment.to_be_bytes(),
        point.position.to_be_bytes(),
        point.end.to_be_bytes(),
        u64::from(point.suspect).to_be_bytes(),
    ];
    let checked = fields.concat();
    slot[..CHECKED_LEN].copy_from_slice(&checked);
    slot[CHECKED_LEN..CHECKED_LEN + 4].copy_from_slice(&crc32fast::hash(&checked).to_be_bytes());
    slot
}

fn decode(slot: &[u8]) -> Option<(u64, DurablePoint)> {
    let (checked, crc) = slot.split_at_checked(CHECKED_LEN)?;
    let crc = u32::from_be_bytes(*crc.first_chunk()?);
    if crc != crc32fast::hash(checked) {
        return None;
    }
    let mut fields = checked.chunks_exact(8).filter_map(|field| field.try_into().ok());
    let mut next = || fields.next().map(u64::from_be_bytes);
    if next()? != u64::from_be_bytes(MAGIC) {
        return None;
    }
    let sequence = next()?;
    let point = DurablePoint {
        segment: next()?.cast_signed(),
        position: next()?,
        end: next()?.cast_signed(),
        suspect: next()? != 0,
    };
    Some((sequence, point))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::{Disk, MemoryDisk, OpenMode};

    #[test]
    fn a_torn_slot_leaves_the_other() {
        let disk = MemoryDisk::new();
        disk.create_dir(Path::new("/d")).unwrap();
        let file = disk.open(Path::new("/d/s"), OpenMode::Create).unwrap();
        let point = |end| DurablePoint { segment: 7, position: 9, end, suspect: false };
        let (mut sidecar, none) = Sidecar::read(&*file).unwrap();
        assert_eq!(none, DurablePoint::default());
        for end in 10..14 {
            sidecar.write(&*file, &point(end)).unwrap();
            assert_eq!(Sidecar::read(&*file).unwrap().1, point(end));
        }
        for byte in 0..CHECKED_LEN as u64 + 4 {
            let mut old = [0];
            file.read_at(&mut old, byte).unwrap();
            file.write_all_at(&[&[!old[0]]], byte).unwrap();
            assert_eq!(Sidecar::read(&*file).unwrap().1, point(12), "byte {byte}");
            file.write_all_at(&[&old], byte).unwrap();
        }
    }

    #[test]
    fn a_point_covers_what_lies_before_it() {
        let point = DurablePoint { segment: 7, position: 9, ..DurablePoint::default() };
        assert!(point.covers(3, 1000) && point.covers(7, 8));
        assert!(!point.covers(7, 9) && !point.covers(8, 0));
    }
}
