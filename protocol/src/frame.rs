//! Frames: an i32 length, then that many bytes.

use bytes::{Buf as _, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::wire::Encoded;

/// The bytes of a frame's length.
pub const LENGTH_SIZE: usize = 4;
/// Room made for a frame before its bytes arrive; beyond it, room grows with what came.
const READ_AHEAD: usize = 64 * 1024;

/// Why a byte stream holds no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer says that it sends a negative number of bytes.
    #[error("a frame of {0} bytes cannot be")]
    Negative(i32),
    /// The peer says that it sends more than is allowed here.
    #[error("a frame of {length} bytes is larger than the {max} bytes allowed")]
    TooLarge {
        /// What the peer says.
        length: usize,
        /// What is allowed.
        max: usize,
    },
    /// A message that is to be sent holds bytes that are not in memory.
    #[error("a message with bytes that lie elsewhere cannot be put into a buffer")]
    Lent,
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Splits a byte stream into frames and joins messages to one.
///
/// Frames share the read buffer. A frame's length is checked before room is made for it.
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    frame_bytes_max: usize,
}

impl FrameCodec {
    /// A codec that refuses frames of more than `frame_bytes_max` bytes.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { frame_bytes_max }
    }

    /// The length of the next frame, once its first four bytes are there.
    ///
    /// # Errors
    /// The length is negative or above the limit.
    pub fn next_length(&self, buffer: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = buffer.first_chunk::<LENGTH_SIZE>() else { return Ok(None) };
        let length = i32::from_be_bytes(*prefix);
        let length = usize::try_from(length).map_err(|_| FrameError::Negative(length))?;
        if length > self.frame_bytes_max {
            return Err(FrameError::TooLarge { length, max: self.frame_bytes_max });
        }
        Ok(Some(length))
    }
}

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.next_length(buffer)? else { return Ok(None) };
        if buffer.len() < LENGTH_SIZE + length {
            let missing = LENGTH_SIZE + length - buffer.len();
            // Never more than has arrived, beyond a first piece: a claim alone costs nothing.
            buffer.reserve(missing.min(buffer.len().max(READ_AHEAD)));
            return Ok(None);
        }
        buffer.advance(LENGTH_SIZE);
        Ok(Some(buffer.split_to(length).freeze()))
    }
}

impl Encoder<Encoded> for FrameCodec {
    type Error = FrameError;

    fn encode(&mut self, message: Encoded, buffer: &mut BytesMut) -> Result<(), FrameError> {
        buffer.reserve(message.len());
        for chunk in message.into_chunks() {
            buffer.extend_from_slice(&chunk.into_bytes().ok_or(FrameError::Lent)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::wire::{Lent, Records, Wire as _, Writer};

    use super::*;

    #[test]
    fn frames_split_wherever_the_stream_is_cut() {
        let stream = [&[0, 0, 0, 3][..], b"abc", &[0, 0, 0, 0], &[0, 0, 0, 1], b"d"].concat();
        for cut in 0..=stream.len() {
            let (mut codec, mut buffer) = (FrameCodec::new(3), BytesMut::new());
            let mut frames = Vec::new();
            for piece in [&stream[..cut], &stream[cut..]] {
                buffer.extend_from_slice(piece);
                while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, ["abc", "", "d"], "cut at {cut}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn impossible_lengths_are_refused_before_room_is_made() {
        let mut codec = FrameCodec::new(3);
        let mut check = |prefix: i32| codec.decode(&mut BytesMut::from(&prefix.to_be_bytes()[..]));
        assert!(matches!(check(-1), Err(FrameError::Negative(-1))));
        assert!(matches!(check(4), Err(FrameError::TooLarge { length: 4, max: 3 })));
        assert!(matches!(check(3), Ok(None)));
    }

    #[test]
    fn what_is_not_in_memory_is_refused() {
        let mut writer = Writer::new(0, true);
        Records::lent(Lent::new(3, Arc::new(()))).write(&mut writer);
        let message = writer.finish().unwrap();
        let encoded = FrameCodec::new(3).encode(message, &mut BytesMut::new());
        assert!(matches!(encoded, Err(FrameError::Lent)));
    }

    #[test]
    fn a_claim_alone_costs_no_memory() {
        let mut codec = FrameCodec::new(100 << 20);
        let mut buffer = BytesMut::from(&(100i32 << 20).to_be_bytes()[..]);
        assert!(matches!(codec.decode(&mut buffer), Ok(None)));
        assert!(buffer.capacity() <= 2 * READ_AHEAD);
    }
}
