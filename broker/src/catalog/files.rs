//! Whole small files on a disk: read at once, replaced at once.

use std::io;
use std::path::Path;

use klamm_storage::disk::{Disk, OpenMode};

/// Ends the name of a replacement that is not finished, as in Kafka.
pub(super) const UNFINISHED: &str = "part";

/// The content of a file, or `None` where there is no such file.
pub(super) fn read(disk: &dyn Disk, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Existing) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.len()?;
    if length > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too large"));
    }
    let mut content = vec![0; usize::try_from(length).unwrap_or_default()];
    let read = file.read_at(&mut content, 0)?;
    content.truncate(read);
    Ok(Some(content))
}

/// Makes a file have this content, durably. A crash leaves the old content or the new, and perhaps
/// a replacement that was not finished.
pub(super) fn replace(disk: &dyn Disk, path: &Path, content: &[&[u8]]) -> io::Result<()> {
    let temporary = path.with_added_extension(UNFINISHED);
    let replaced = write(disk, &temporary, content).and_then(|()| disk.rename(&temporary, path));
    if replaced.is_err() {
        // On a disk that is full it would take up room; the next start removes what stays.
        let _ = disk.remove_file(&temporary);
    }
    replaced?;
    path.parent().map_or(Ok(()), |folder| disk.sync_dir(folder))
}

fn write(disk: &dyn Disk, path: &Path, content: &[&[u8]]) -> io::Result<()> {
    let file = disk.open(path, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_all_at(content, 0)?;
    file.sync_data()
}
