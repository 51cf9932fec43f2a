//! What is to be written, as one buffer.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use klamm_protocol::wire::{Chunk, Encoded};

/// Chunks as one vectored buffer. None of them is empty.
#[derive(Debug)]
pub(super) struct Chunks(VecDeque<Bytes>);

impl Chunks {
    /// Those of a request.
    pub(super) fn of(request: Encoded) -> Self {
        Self(request.into_chunks().into_iter().filter_map(Chunk::into_bytes).collect())
    }

    /// One behind the other.
    pub(super) fn joined(all: impl IntoIterator<Item = Self>) -> Self {
        Self(all.into_iter().flat_map(|chunks| chunks.0).collect())
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn has_remaining(&self) -> bool {
        !self.0.is_empty()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.len().min(self.0.len());
        for (slice, chunk) in slices.iter_mut().zip(&self.0) {
            *slice = IoSlice::new(chunk);
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.0.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_one_buffer() {
        let parts = ["ab", "c", "def"].map(Bytes::from);
        for step in 1..=6 {
            let one_each = parts.iter().map(|part| Chunks(VecDeque::from([part.clone()])));
            let mut chunks = Chunks::joined(one_each);
            let mut read = Vec::new();
            while chunks.has_remaining() {
                let count = step.min(chunks.remaining());
                let mut slices = [IoSlice::new(&[]); 4];
                let filled = chunks.chunks_vectored(&mut slices);
                let all: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
                read.extend_from_slice(&all[..count]);
                chunks.advance(count);
            }
            assert_eq!(read, b"abcdef");
        }
    }
}
