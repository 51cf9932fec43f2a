//! Large read buffers, used again: fresh memory costs a page fault for every 4 KiB, and zeroing.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Smaller reads take their memory from the allocator.
const POOLED_FROM: usize = 64 << 10;
/// Idle memory that is kept at most: what two readers with answers of a few megabytes need.
const IDLE_MAX: usize = 16 << 20;

/// Buffers that nobody uses at the moment. A clone is a handle to the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Idle>>);

/// Guarded by a mutex that is held to walk a short list.
#[derive(Debug, Default)]
struct Idle {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

/// Memory for one read; goes back when dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    len: usize,
    home: Option<Buffers>,
}

impl Buffers {
    /// Memory of `len` bytes, with anything in it.
    pub(crate) fn take(&self, len: usize) -> Buffer {
        if len < POOLED_FROM {
            return Buffer { bytes: vec![0; len], len, home: None };
        }
        let bytes = self.idle().take(len).unwrap_or_else(|| vec![0; len.next_power_of_two()]);
        Buffer { bytes, len, home: Some(self.clone()) }
    }

    /// Frees what nobody uses.
    pub(crate) fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    /// The smallest buffer that is large enough, unless it is far too large.
    fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        let fits = |buffer: &Vec<u8>| (len..=len.saturating_mul(4)).contains(&buffer.len());
        let fitting = self.buffers.iter().enumerate().filter(|(_, buffer)| fits(buffer));
        let (at, _) = fitting.min_by_key(|(_, buffer)| buffer.len())?;
        let buffer = self.buffers.swap_remove(at);
        self.bytes -= buffer.len();
        Some(buffer)
    }

    fn give(&mut self, buffer: Vec<u8>) {
        if self.bytes + buffer.len() <= IDLE_MAX {
            self.bytes += buffer.len();
            self.buffers.push(buffer);
        }
    }
}

impl Buffer {
    /// Leaves out all behind the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.idle().give(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_large_buffer_is_used_again_once_the_last_slice_of_it_is_gone() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(1_000_000);
        buffer[999_999] = 7;
        buffer.truncate(900_000);
        let bytes = Bytes::from_owner(buffer);
        let slice = bytes.slice(10..20);
        assert_eq!(bytes.len(), 900_000);
        drop(bytes);
        assert_eq!(buffers.idle().bytes, 0);
        drop(slice);
        assert_eq!(buffers.idle().bytes, 1 << 20);
        assert_eq!(buffers.take(600_000)[599_999], 0);
        assert_eq!(buffers.take(1 << 20)[999_999], 7, "the same memory");
        assert_eq!(buffers.take(200_000).bytes.len(), 1 << 18, "but not for a much smaller read");
    }

    #[test]
    fn idle_memory_is_bounded_and_can_be_freed() {
        let buffers = Buffers::default();
        let taken: Vec<_> = (0..100).map(|_| buffers.take(1 << 20)).collect();
        drop(taken);
        assert_eq!(buffers.idle().bytes, IDLE_MAX);
        buffers.clear();
        assert_eq!(buffers.idle().buffers.len(), 0);
        drop(buffers.take(100));
        assert_eq!(buffers.idle().bytes, 0);
    }
}
