//! The id of the topic a log belongs to, and the file that says so: `partition.metadata`.

use std::path::Path;

pub use klamm_utils::uuid::Uuid as TopicId;

use crate::disk::{self, Disk, OpenMode};
use crate::error::{At, DiskError};

/// Name of the file, as in Kafka.
pub(crate) const FILE: &str = "partition.metadata";
/// More than the file ever has.
const FILE_LEN_MAX: u64 = 1024;

/// Writes `partition.metadata` into the folder of a log; not yet durable. One that says the same
/// goes on saying it all the while.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, id: TopicId) -> Result<(), DiskError> {
    let path = dir.join(FILE);
    let text = format!("version: 0\ntopic_id: {id}\n");
    let written = disk.open(&path, OpenMode::Create).and_then(|file| {
        file.write_all_at(&[text.as_bytes()], 0)?;
        file.set_len(text.len() as u64)
    });
    written.at("write", path)
}

/// Makes what `partition.metadata` says durable, if there is one; its name is once the folder is
/// synced.
pub(crate) fn sync(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    let path = dir.join(FILE);
    match disk::found(disk.open(&path, OpenMode::Existing)).at("open", &path)? {
        Some(file) => file.sync_data().at("sync", path),
        None => Ok(()),
    }
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
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn the_file_comes_back() {
        let (disk, dir) = (MemoryDisk::new(), Path::new("/d"));
        disk.create_dir(dir).unwrap();
        assert_eq!(read(&disk, dir).unwrap(), None);
        let id = TopicId(*b"sixteen bytes id");
        write(&disk, dir, id).unwrap();
        assert_eq!(read(&disk, dir).unwrap(), Some(id));
    }
}
