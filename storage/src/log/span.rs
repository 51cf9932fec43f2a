//! Long runs of batches as places in a file, to be sent from there.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::Bytes;
use klamm_protocol::records::{BATCH_HEADER_LEN, Batch, BatchHeader};

use super::read::Snapshot;
use super::{Log, LogInner};
use crate::buffers::Buffers;
use crate::disk::{CachedFile, Reach, read_exact_at};
use crate::notes::Notes;
use crate::offsets::Bound;
use crate::options::VerifyReads;
use crate::segment::Segment;

/// Shorter runs are read: a place in a file takes some calls to find and to check.
const LEN_MIN: u64 = 128 << 10;
/// So much is looked at and sent in one step: about what a socket takes at once.
const STEP_MAX: usize = 512 << 10;

/// Whole batches of a segment: verified, below the bound that was given, and in memory when they
/// were looked for. They stay readable when the segment is compacted or deleted.
#[derive(Debug)]
pub struct Span {
    file: Arc<CachedFile>,
    notes: Arc<Notes>,
    /// Of the segment.
    size: u32,
    position: u64,
    len: usize,
    next_offset: i64,
    reaches_bound: bool,
    buffers: Buffers,
}

impl Log {
    /// Whole batches from the one that begins with `from` on, up to `bound` and to `size_max`
    /// bytes. `None` where they are few, or not in memory, or not verified, or where the place
    /// takes a longer look: a read then says what there is. Never waits for the disk.
    #[must_use]
    pub fn span(&self, from: i64, size_max: usize, bound: Bound) -> Option<Span> {
        let size_max = size_max as u64;
        if size_max < LEN_MIN {
            return None;
        }
        let (snapshot, limit) = {
            let state = self.0.lock();
            state.check_readable(from).ok()?;
            let limit = state.limit(bound);
            if from >= limit || state.options.verify_reads == VerifyReads::Always {
                return None;
            }
            // Readers of the tail come often, and for little: a look tells, without a snapshot.
            if from >= state.active.base {
                let position = begin(&state.active, state.generation, from)?;
                u64::from(state.active.size).checked_sub(position + LEN_MIN)?;
            }
            (state.snapshot(from), limit)
        };
        snapshot.span(&self.0, from, size_max, limit)
    }
}

impl Span {
    /// Bytes of all batches.
    #[must_use]
    pub fn size(&self) -> usize {
        self.len
    }

    /// Where the next read goes on.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Whether the bound is what ended it, no further ahead than an entry of the index tells.
    #[must_use]
    pub fn reaches_bound(&self) -> bool {
        self.reaches_bound
    }

    /// Whether a batch may be compressed with zstd.
    #[must_use]
    pub fn may_hold_zstd(&self) -> bool {
        self.notes.has_zstd()
    }

    /// Sends what a socket takes of the bytes behind the first `sent`. `None` where they are no
    /// longer in memory and verified: only [`read`](Self::read) can then say what became of them.
    /// Never waits for the disk.
    ///
    /// # Errors
    /// What the socket says; `WouldBlock` where it takes nothing now.
    pub fn send(&self, socket: BorrowedFd<'_>, sent: usize) -> io::Result<Option<usize>> {
        let position = self.position + sent as u64;
        let len = self.len.saturating_sub(sent).min(STEP_MAX);
        let end = position + len as u64;
        // In this order: what leaves memory comes back by a reader that forgets what was verified.
        let is_sound = self.file.file().is_cached(position, len as u64)
            && self.notes.verified().reach(position) >= end
            && !self.notes.is_cut();
        if !is_sound {
            return Ok(None);
        }
        let count = self.file.file().send_at(socket, position, len)?;
        Ok((count > 0).then_some(count))
    }

    /// Reads all bytes and verifies them anew. May block on the disk.
    ///
    /// # Errors
    /// The file was cut, is damaged, or cannot be read.
    pub fn read(&self) -> io::Result<Bytes> {
        let file = &**self.file.file();
        let mut buffer = self.buffers.take(self.len);
        if Reach::Memory.read_at(file, &mut buffer, self.position).is_err() {
            self.notes.verified().forget(self.size);
            read_exact_at(file, &mut buffer, self.position)?;
        }
        if self.notes.is_cut() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = Bytes::from_owner(buffer);
        if !are_sound(bytes.clone()) {
            self.notes.verified().forget(self.size);
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.notes.verified().add(self.position..self.position + self.len as u64);
        Ok(bytes)
    }
}

/// Whether these are whole batches with the right checksums.
fn are_sound(mut rest: Bytes) -> bool {
    while let Ok(Some(batch)) = Batch::split_first(&mut rest) {
        if batch.verify_crc().is_err() {
            return false;
        }
    }
    rest.is_empty()
}

/// Where the batch lies that begins with `from`, if that is known without a look at the index.
fn begin(segment: &Segment, generation: u64, from: i64) -> Option<u64> {
    match from {
        first if first == segment.base => Some(0),
        from => segment.notes.ends().find(generation, from),
    }
}

/// A place between two batches.
#[derive(Clone, Copy, Debug)]
struct Cut {
    position: u64,
    /// No batch before it has an offset from here on, none behind it one below.
    offset: i64,
}

impl Snapshot {
    fn span(&self, log: &LogInner, from: i64, size_max: u64, limit: i64) -> Option<Span> {
        let segment = &self.segment;
        let position = begin(segment, self.generation, from)?;
        let trusted = segment.notes.verified().reach(position);
        let end_max = position.saturating_add(size_max).min(trusted).min(segment.size.into());
        if end_max.checked_sub(position)? < LEN_MIN {
            return None;
        }
        let file = segment.held_log_file(&log.place.files)?;
        if header(&file, position)?.base_offset != from {
            return None;
        }
        let cut = self.last_cut(log, &file, end_max, limit)?;
        let len = cut.position.checked_sub(position).filter(|len| *len >= LEN_MIN)?;
        if !file.file().is_cached(position, len) {
            return None;
        }
        segment.notes.ends().add(self.generation, cut.offset, cut.position);
        Some(Span {
            file,
            notes: Arc::clone(&segment.notes),
            size: segment.size,
            position,
            len: usize::try_from(len).ok()?,
            next_offset: cut.offset,
            reaches_bound: end_max == u64::from(segment.size) && limit <= segment.facts.next_offset,
            buffers: log.core.buffers.clone(),
        })
    }

    /// The last place up to `end_max` and `limit` that is known to lie between two batches.
    fn last_cut(&self, log: &LogInner, file: &CachedFile, end_max: u64, limit: i64) -> Option<Cut> {
        let segment = &self.segment;
        let end = Cut { position: segment.size.into(), offset: segment.facts.next_offset };
        if end_max == end.position && end.offset <= limit {
            return Some(end);
        }
        let last_offset = |relative: u32| segment.base + i64::from(relative);
        let entry = segment.last_entry(&log.place, self.access(Reach::Memory), |entry| {
            u64::from(entry.position) <= end_max && last_offset(entry.relative) < limit
        });
        let entry = entry.ok()??;
        let header = header(file, entry.position.into())?;
        let fits = header.last_offset() == last_offset(entry.relative);
        fits.then_some(Cut { position: entry.position.into(), offset: header.base_offset })
    }
}

/// The header of the batch at a position, if there is one and it is in memory.
fn header(file: &CachedFile, position: u64) -> Option<BatchHeader> {
    let mut bytes = [0; BATCH_HEADER_LEN];
    Reach::Memory.read_at(&**file.file(), &mut bytes, position).ok()?;
    BatchHeader::parse(&bytes).ok()
}
