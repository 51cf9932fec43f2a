//! Answers on their way out.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use klamm_protocol::wire::Encoded;

/// The chunks of many answers as one buffer, so that one system call sends them all.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    queue: VecDeque<Bytes>,
    remaining: usize,
}

impl Chunks {
    pub(super) fn push(&mut self, encoded: Encoded) {
        for chunk in encoded.into_chunks() {
            self.remaining += chunk.len();
            self.queue.push_back(chunk);
        }
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.queue);
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
            for text in ["abc", "d", "efgh"] {
                let mut w = Writer::new(0, false);
                w.put_shared(text.into());
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
