//! The id of the topic a log belongs to, and the file that says so: `partition.metadata`.

use std::fmt;
use std::path::Path;

use crate::disk::{self, Disk, OpenMode};
use crate::error::{At, DiskError};

/// Name of the file, as in Kafka.
pub(crate) const FILE: &str = "partition.metadata";
/// More than the file ever has.
const FILE_LEN_MAX: u64 = 1024;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A topic id: the 16 bytes of a UUID. Shown as Kafka shows it, in URL-safe base 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// The id that means none.
    pub const ZERO: Self = Self([0; 16]);

    /// Reads what [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 22 {
            return None;
        }
        let mut bits = 0u128;
        for (i, byte) in text.bytes().enumerate() {
            let digit = DIGITS.iter().position(|digit| *digit == byte)? as u128;
            if i == 21 {
                // 22 digits carry four bits more than an id has; they are zero.
                return (digit & 15 == 0).then(|| Self((bits << 2 | digit >> 4).to_be_bytes()));
            }
            bits = bits << 6 | digit;
        }
        None
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        (0..22u32).try_for_each(|i| {
            let digit = if i < 21 { bits >> (122 - 6 * i) & 63 } else { (bits & 3) << 4 };
            let byte = DIGITS.get(digit as usize).copied().unwrap_or(b'?');
            fmt::Write::write_char(f, char::from(byte))
        })
    }
}

/// Writes `partition.metadata` into the folder of a log; not yet durable.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, id: TopicId) -> Result<(), DiskError> {
    let path = dir.join(FILE);
    let text = format!("version: 0\ntopic_id: {id}\n");
    let written = disk.open(&path, OpenMode::Create).and_then(|file| {
        file.set_len(0)?;
        file.write_all_at(&[text.as_bytes()], 0)
    });
    written.at("write", path)
}

/// The topic that `partition.metadata` names; `None` when the file is missing or damaged.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<TopicId>, DiskError> {
    let path = dir.join(FILE);
    let Some(file) = disk::found(disk.open(&path, OpenMode::Existing)).at("open", &path)? else {
        return Ok(None);
    };
    let content = disk::read_small(&*file, FILE_LEN_MAX).at("read", &path)?;
    let text = String::from_utf8(content).unwrap_or_default();
    let id = text.lines().find_map(|line| line.strip_prefix("topic_id: "));
    Ok(id.and_then(|id| TopicId::parse(id.trim())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn ids_look_as_in_kafka() {
        // org.apache.kafka.common.Uuid of the two reserved ids.
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        let one = TopicId(1u128.to_be_bytes());
        assert_eq!(one.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
    }

    #[test]
    fn the_file_comes_back() {
        let (disk, dir) = (MemoryDisk::new(), Path::new("/d"));
        disk.create_dir(dir).unwrap();
        assert_eq!(read(&disk, dir).unwrap(), None);
        let id = TopicId(*b"sixteen bytes id");
        write(&disk, dir, id).unwrap();
        assert_eq!(read(&disk, dir).unwrap(), Some(id));
    }

    proptest! {
        #[test]
        fn text_and_id_are_one(bytes: [u8; 16]) {
            let id = TopicId(bytes);
            prop_assert_eq!(TopicId::parse(&id.to_string()), Some(id));
        }

        #[test]
        fn no_text_panics(text in ".{0,30}") {
            let _ = TopicId::parse(&text);
        }
    }
}
