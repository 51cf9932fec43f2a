//! Bytes on their way in.

use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder as _;

use crate::frame::{FrameCodec, FrameError, LENGTH_SIZE};

/// Room for the first bytes of a connection. Small: most connections are idle.
const ROOM_MIN: usize = 4 * 1024;
/// Room that a busy connection reads into: larger reads cost less kernel time per byte, and still
/// larger ones do not stay in the cache of a core.
const ROOM_MAX: usize = 256 * 1024;

/// The read buffer of one connection. It grows with what has arrived and with what the
/// connection has shown before, never with what it claims.
#[derive(Debug)]
pub struct Inbox {
    bytes: BytesMut,
    codec: FrameCodec,
    largest_frame: usize,
    /// Room that reads have shown to need: it doubles whenever one fills all it was given.
    room: usize,
}

impl Inbox {
    /// An empty one, that refuses frames of more than `frame_bytes_max` bytes.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        let codec = FrameCodec::new(frame_bytes_max);
        Self { bytes: BytesMut::new(), codec, largest_frame: 0, room: 0 }
    }

    /// What was read and not taken yet.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.bytes
    }

    /// What the next read writes behind: see [`make_room`](Self::make_room).
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// The length of the next frame, once it is known.
    ///
    /// # Errors
    /// It is none that a frame may have.
    pub fn next_length(&self) -> Result<Option<usize>, FrameError> {
        self.codec.next_length(&self.bytes)
    }

    /// Whether a whole frame waits, or something that is none and must be refused.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        match self.next_length() {
            Ok(Some(length)) => self.bytes.len() >= LENGTH_SIZE + length,
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// The next frame, once it is whole.
    ///
    /// # Errors
    /// Its length is none that a frame may have.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.next_length()? else { return Ok(None) };
        if self.bytes.len() < LENGTH_SIZE + length {
            return Ok(None);
        }
        let frame = self.codec.decode(&mut self.bytes)?;
        self.largest_frame = self.largest_frame.max(length);
        Ok(frame)
    }

    /// Makes room for the next read. What was read before is used again as soon as no request
    /// holds a part of it; only the beginning of an unfinished frame is moved then.
    pub fn make_room(&mut self) {
        let held = self.bytes.len();
        if held == self.bytes.capacity() {
            self.room = (2 * self.room).clamp(ROOM_MIN, ROOM_MAX);
        }
        let missing = match self.next_length() {
            Ok(Some(length)) => (LENGTH_SIZE + length).saturating_sub(held),
            _ => 0,
        };
        // Never more than has arrived or was shown before: a claim alone costs nothing.
        let missing = missing.min(held.max(self.largest_frame));
        let wanted = self.room.saturating_sub(held).max(missing);
        let enough = if held == 0 { wanted } else { missing.max(self.room / 2) };
        if self.bytes.capacity() - held < enough {
            self.bytes.reserve(wanted.max(enough));
        }
    }

    /// Gives the buffer back while the connection is idle.
    pub fn rest(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
            (self.largest_frame, self.room) = (0, 0);
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
    fn a_busy_connection_reads_much_at_once() {
        let mut inbox = Inbox::new(100 << 20);
        let frame = [&(60i32 << 10).to_be_bytes()[..], &[7; 60 << 10]].concat();
        let mut stream = std::iter::repeat_n(frame, 200).flatten();
        let mut reads = 0;
        loop {
            inbox.make_room();
            let room = inbox.bytes.capacity() - inbox.bytes.len();
            let before = inbox.bytes.len();
            inbox.bytes.extend(stream.by_ref().take(room));
            if inbox.bytes.len() == before {
                break;
            }
            while inbox.next_frame().unwrap().is_some() {}
            reads += 1;
        }
        assert!(inbox.bytes.is_empty());
        assert!(reads <= 200 * 60 * 1024 / (ROOM_MAX / 2) + 20, "{reads} reads");
        assert_eq!(inbox.room, ROOM_MAX);
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
