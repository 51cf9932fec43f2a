//! What is sent on a link.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};
use klamm_protocol::wire::{Chunk, Encoded};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::shared::Reason;

/// Requests that one system call may carry.
const WRITE_TOGETHER: usize = 16;

/// Writes what is queued, several requests at once where they have gathered, and tells why it can
/// no longer. A peer that takes nothing of it for as long as `patience` is given up.
pub(super) async fn write(
    mut queue: mpsc::Receiver<Encoded>,
    mut output: impl AsyncWrite + Unpin,
    patience: Duration,
) -> Result<(), Reason> {
    let mut requests = Vec::with_capacity(WRITE_TOGETHER);
    while queue.recv_many(&mut requests, WRITE_TOGETHER).await > 0 {
        let chunks = requests.drain(..).flat_map(Encoded::into_chunks);
        let mut chunks = Chunks(chunks.filter_map(Chunk::into_bytes).collect());
        while chunks.has_remaining() {
            if within(patience, output.write_buf(&mut chunks)).await? == 0 {
                return Err(Reason::of_io(&io::ErrorKind::WriteZero.into()));
            }
        }
        // What is encrypted may wait for room in the socket.
        within(patience, output.flush()).await?;
    }
    within(patience, output.shutdown()).await
}

async fn within<T>(
    patience: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, Reason> {
    match tokio::time::timeout(patience, step).await {
        Ok(done) => done.map_err(|error| Reason::of_io(&error)),
        Err(_) => Err(format!("it took nothing of what was sent within {patience:?}").into()),
    }
}

/// Chunks as one vectored buffer. None of them is empty.
struct Chunks(VecDeque<Bytes>);

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
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
            let mut chunks = Chunks(parts.iter().cloned().collect());
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

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(1);
        let (requests, queue) = mpsc::channel(1);
        let mut request = klamm_protocol::wire::Writer::new(0, false);
        request.put(&[0; 8]);
        requests.send(request.finish().unwrap()).await.unwrap();
        let reason = write(queue, ours, Duration::from_millis(1)).await.unwrap_err();
        assert!(reason.to_string().contains("took nothing"), "{reason}");
    }
}
