//! Bytes on their way in.

use bytes::{Bytes, BytesMut};
use klamm_protocol::frame::{FrameCodec, FrameError, LENGTH_SIZE};
use tokio_util::codec::Decoder as _;

/// Room for the first bytes of a connection. Small: most connections are idle.
const ROOM_MIN: usize = 4 * 1024;
/// Room that a busy connection reads into: larger reads cost less kernel time per byte.
const ROOM_MAX: usize = 256 * 1024;

/// The read buffer of one connection. It grows with what has arrived and with what the
/// connection has shown before, never with what it claims.
pub(super) struct Inbox {
    pub(super) bytes: BytesMut,
    codec: FrameCodec,
    largest_frame: usize,
}

impl Inbox {
    pub(super) fn new(frame_bytes_max: usize) -> Self {
        let codec = FrameCodec::new(frame_bytes_max);
        Self { bytes: BytesMut::new(), codec, largest_frame: 0 }
    }

    /// The length of the next frame, once it is known.
    pub(super) fn next_length(&self) -> Result<Option<usize>, FrameError> {
        self.codec.next_length(&self.bytes)
    }

    /// Whether a whole frame waits, or something that is none and must be refused.
    pub(super) fn has_frame(&self) -> bool {
        match self.next_length() {
            Ok(Some(length)) => self.bytes.len() >= LENGTH_SIZE + length,
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// The next frame, once it is whole.
    pub(super) fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.next_length()? else { return Ok(None) };
        if self.bytes.len() < LENGTH_SIZE + length {
            return Ok(None);
        }
        let frame = self.codec.decode(&mut self.bytes)?;
        self.largest_frame = self.largest_frame.max(length);
        Ok(frame)
    }

    /// Makes room for the next read.
    pub(super) fn make_room(&mut self) {
        let shown = (self.largest_frame + LENGTH_SIZE).clamp(ROOM_MIN, ROOM_MAX);
        let room = match self.next_length() {
            Ok(Some(length)) => {
                let missing = (LENGTH_SIZE + length).saturating_sub(self.bytes.len());
                missing.min(self.bytes.len().max(self.largest_frame)).max(ROOM_MIN)
            }
            _ => shown,
        };
        if self.bytes.capacity() - self.bytes.len() < room {
            self.bytes.reserve(room.max(shown));
        }
    }

    /// Gives the buffer back while the connection is idle.
    pub(super) fn rest(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
            self.largest_frame = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_alone_makes_little_room() {
        let mut inbox = Inbox::new(100 << 20);
        inbox.bytes.extend_from_slice(&(100i32 << 20).to_be_bytes());
        inbox.make_room();
        assert!(inbox.bytes.capacity() <= 2 * ROOM_MIN);
    }

    #[test]
    fn room_doubles_with_what_arrives_until_the_frame_fits() {
        let mut inbox = Inbox::new(100 << 20);
        let length = 5 << 20;
        inbox.bytes.extend_from_slice(&i32::to_be_bytes(length));
        let mut reads = 0;
        while inbox.next_frame().unwrap().is_none() {
            inbox.make_room();
            let room = inbox.bytes.capacity() - inbox.bytes.len();
            inbox.bytes.extend_from_slice(&vec![7; room]);
            reads += 1;
        }
        assert!(reads <= 14, "{reads} reads");
    }
}
