//! Answers on their way out.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use klamm_protocol::wire::{Chunk, Encoded, Lent};
use klamm_storage::Span;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::partition::ColdReads;

/// Answers of at most so many bytes are copied together: cheaper than a place of their own in the
/// system call.
const COPIED_MAX: usize = 1024;
/// Chunks of one system call at most.
const SLICES_MAX: usize = 64;

/// Many answers, so that few system calls send them all.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    queue: VecDeque<Chunk>,
    /// What has been sent of a front that is lent.
    sent: usize,
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
                self.queue.extend((!small.is_empty()).then_some(small.into()));
                self.queue.extend(answer.into_chunks());
            }
        }
    }

    /// How many bytes are left.
    pub(super) fn remaining(&self) -> usize {
        self.remaining
    }

    /// Sends some of what is left as soon as the socket takes it: what is in memory in one call,
    /// what is lent from where it lies. Gives the number of bytes; `None` where those that come
    /// next have to be [brought in](Self::bring_in) first.
    pub(super) async fn send(&mut self, socket: &TcpStream) -> io::Result<Option<usize>> {
        loop {
            socket.writable().await?;
            match socket.try_io(Interest::WRITABLE, || self.try_send(socket)) {
                Ok(count) => {
                    self.advance(count.unwrap_or(0));
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn try_send(&self, socket: &TcpStream) -> io::Result<Option<usize>> {
        if let Some(Chunk::Lent(lent)) = self.queue.front() {
            return span(lent)?.send(socket.as_fd(), self.sent);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let in_memory = self.queue.iter().map_while(in_memory);
        let count = fill(&mut slices, in_memory);
        let flags = match self.queue.get(count) {
            // The bytes of a span belong to the same packets.
            Some(Chunk::Lent(_)) => SendFlags::MORE | SendFlags::NOSIGNAL,
            _ => SendFlags::NOSIGNAL,
        };
        let mut filled = count;
        if count == self.queue.len() {
            filled += fill(slices.get_mut(count..).unwrap_or_default(), [&self.small[..]]);
        }
        let slices = slices.get(..filled).unwrap_or_default();
        let sent = rustix::net::sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags);
        Ok(Some(sent?))
    }

    /// Reads what comes next and is lent into memory, where that may wait for the disk.
    pub(super) async fn bring_in(&mut self, cold: &ColdReads) -> io::Result<()> {
        let Some(Chunk::Lent(lent)) = self.queue.front() else { return Ok(()) };
        let span = span(lent)?;
        let read = cold.run(move || span.read()).await;
        let bytes = read.map_err(|_| io::Error::from(io::ErrorKind::Other))??;
        self.queue.pop_front();
        self.queue.push_front(bytes.slice(self.sent.min(bytes.len())..).into());
        self.sent = 0;
        Ok(())
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining -= count;
        while let Some(front) = self.queue.front_mut() {
            let left = front.len() - self.sent;
            if count < left {
                match front {
                    Chunk::Bytes(bytes) => bytes.advance(count),
                    Chunk::Lent(_) => self.sent += count,
                }
                return;
            }
            count -= left;
            self.sent = 0;
            self.queue.pop_front();
        }
        self.small.advance(count);
    }

    /// Gives memory back while the connection is idle.
    pub(super) fn rest(&mut self) {
        if self.remaining == 0 {
            *self = Self::default();
        }
    }
}

fn in_memory(chunk: &Chunk) -> Option<&[u8]> {
    match chunk {
        Chunk::Bytes(bytes) => Some(bytes),
        Chunk::Lent(_) => None,
    }
}

/// Fills as many slices as there are. How many it were.
fn fill<'a>(slices: &mut [IoSlice<'a>], bytes: impl IntoIterator<Item = &'a [u8]>) -> usize {
    let pairs = slices.iter_mut().zip(bytes);
    pairs.map(|(slice, bytes)| *slice = IoSlice::new(bytes)).count()
}

/// What a partition lends.
fn span(lent: &Lent) -> io::Result<Arc<Span>> {
    let span = Arc::clone(lent.lender()).downcast();
    span.map_err(|_| io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use klamm_protocol::wire::Writer;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    fn answer(text: &str, shared: impl Into<Chunk>) -> Encoded {
        let mut w = Writer::new(0, false);
        w.put(text.as_bytes());
        w.put_chunk(shared.into());
        w.finish().unwrap()
    }

    fn shared(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[tokio::test]
    async fn all_chunks_arrive_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let mut chunks = Chunks::default();
        for (text, chunk) in [("ab", ""), ("c", "d"), ("", "ef"), ("g", ""), ("h", "")] {
            chunks.push(answer(text, shared(chunk)));
        }
        for _ in 0..2 * SLICES_MAX {
            chunks.push(answer("ij", shared("k")));
        }
        chunks.push(answer("l", shared("")));
        while chunks.remaining() > 0 {
            chunks.send(&near).await.unwrap();
        }
        drop(near);
        let mut taken = String::new();
        far.read_to_string(&mut taken).await.unwrap();
        assert_eq!(taken, "abcdefgh".to_owned() + &"ijk".repeat(2 * SLICES_MAX) + "l");
    }

    #[test]
    fn chunks_are_taken_in_any_steps() {
        for step in 1..8 {
            let mut chunks = Chunks::default();
            chunks.push(answer("ab", shared("c")));
            chunks.push(answer("d", Chunk::Lent(Lent::new(6, Arc::new(())))));
            chunks.push(answer("ef", shared("")));
            while chunks.remaining() > 0 {
                chunks.advance(step.min(chunks.remaining()));
                let queued: usize = chunks.queue.iter().map(Chunk::len).sum();
                let left = queued - chunks.sent + chunks.small.len();
                assert_eq!(left, chunks.remaining(), "step {step}");
            }
            assert!(chunks.queue.is_empty());
        }
    }
}
