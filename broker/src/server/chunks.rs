//! Answers on their way out.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};
use klamm_protocol::wire::Encoded;

/// Answers of at most so many bytes are copied together: cheaper than a place of their own in the
/// system call.
const COPIED_MAX: usize = 1024;

/// Many answers as one buffer, so that one system call sends them all.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    queue: VecDeque<Bytes>,
    /// Small answers, behind those in the queue.
    small: BytesMut,
    remaining: usize,
}

impl Chunks {
    pub(super) fn push(&mut self, answer: Encoded) {
        self.remaining += answer.len();
        match answer.whole() {
            Some(whole) if whole.len() <= COPIED_MAX => self.small.extend_from_slice(whole),
            _ => {
                let small = self.small.split().freeze();
                self.queue.extend((!small.is_empty()).then_some(small));
                self.queue.extend(answer.into_chunks());
            }
        }
    }

    /// Gives memory back while the connection is idle.
    pub(super) fn rest(&mut self) {
        if self.remaining == 0 {
            *self = Self::default();
        }
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&self.small, |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let small = (!self.small.is_empty()).then_some(&self.small[..]);
        let chunks = self.queue.iter().map(|chunk| &chunk[..]).chain(small);
        let pairs = slices.iter_mut().zip(chunks);
        pairs.map(|(slice, chunk)| *slice = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining -= count;
        while let Some(front) = self.queue.front_mut() {
            if count < front.len() {
                return front.advance(count);
            }
            count -= front.len();
            self.queue.pop_front();
        }
        self.small.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::wire::Writer;

    use super::*;

    #[test]
    fn chunks_are_taken_in_any_steps() {
        for step in 1..8 {
            let mut chunks = Chunks::default();
            for (text, shared) in [("ab", ""), ("c", "d"), ("", "ef"), ("g", ""), ("h", "")] {
                let mut w = Writer::new(0, false);
                w.put(text.as_bytes());
                w.put_shared(shared.into());
                chunks.push(w.finish().unwrap());
            }
            let mut taken = Vec::new();
            while chunks.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 4];
                let count = chunks.chunks_vectored(&mut slices);
                let all = slices[..count].iter().flat_map(|slice| slice.iter().copied());
                let piece: Vec<u8> = all.take(step).collect();
                taken.extend_from_slice(&piece);
                chunks.advance(piece.len());
            }
            assert_eq!(taken, b"abcdefgh", "step {step}");
        }
    }
}
