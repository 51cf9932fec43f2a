//! Read-only mappings of sealed index files.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;

/// A read-only view of a file that no longer changes.
#[derive(Debug)]
pub struct Mapping(memmap2::Mmap);

impl Mapping {
    /// Maps the first `len` bytes; an error when the file is shorter, since touching a page
    /// beyond its end would end the process.
    pub(super) fn new(file: &File, len: usize) -> io::Result<Self> {
        if file.metadata()?.len() < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: a mapping is undefined behaviour only if the file shrinks or changes while it
        // lives. `DiskFile::map` passes that duty to its caller, which maps only the indexes of
        // sealed segments: from the moment a segment is sealed no code of this crate writes to
        // or cuts its index in place (truncation and recovery drop the cached mapping first, and
        // deletion only unlinks the name), and the folder lock keeps other brokers out.
        let map = unsafe { memmap2::MmapOptions::new().len(len).map(file)? };
        Ok(Self(map))
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
