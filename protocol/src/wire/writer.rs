use bytes::{BufMut as _, Bytes};

use super::{Chunk, Result, WireError, varint};
use crate::frame::LENGTH_SIZE;

/// Room for a message to begin with: most answers are no larger.
const ROOM: usize = 256;

/// Puts values one after the other into one message.
///
/// The first failure is kept and told by [`finish`](Self::finish): a declaration writes its
/// fields without asking after each.
#[derive(Debug)]
pub struct Writer {
    message: Encoded,
    version: i16,
    flexible: bool,
    error: Option<WireError>,
}

/// A message as it goes to a socket: its own bytes, and between them chunks that are shared with
/// others and were not copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    own: Vec<u8>,
    /// Each with the number of own bytes before it. None is empty.
    shared: Vec<(usize, Chunk)>,
}

impl Encoded {
    /// The chunks to be written one after the other; none is empty.
    #[must_use]
    pub fn into_chunks(self) -> Vec<Chunk> {
        let mut chunks = Vec::with_capacity(2 * self.shared.len() + 1);
        let mut own = Bytes::from(self.own);
        let mut taken = 0;
        for (place, shared) in self.shared {
            let before = own.split_to(place - taken).into();
            taken = place;
            chunks.extend([before, shared].into_iter().filter(|chunk| !chunk.is_empty()));
        }
        chunks.extend((!own.is_empty()).then_some(own.into()));
        chunks
    }

    /// The whole, where none of it is shared.
    #[must_use]
    pub fn whole(&self) -> Option<&[u8]> {
        self.shared.is_empty().then_some(&self.own)
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.len() + self.shared.iter().map(|(_, shared)| shared.len()).sum::<usize>()
    }

    /// Whether there is not one byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.shared.is_empty()
    }

    /// All that is in memory in one piece; copies only where there is more than one chunk.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.shared.is_empty() {
            true => self.own.into(),
            false => in_one_piece(self.into_chunks()),
        }
    }
}

impl Writer {
    /// A writer of one message of this version and form.
    #[must_use]
    pub fn new(version: i16, flexible: bool) -> Self {
        let message = Encoded { own: Vec::with_capacity(ROOM), shared: Vec::new() };
        Self { message, version, flexible, error: None }
    }

    /// A writer of one message behind its length, for [`finish_frame`](Self::finish_frame).
    pub(crate) fn frame(version: i16, flexible: bool) -> Self {
        let mut writer = Self::new(version, flexible);
        writer.put(&[0; LENGTH_SIZE]);
        writer
    }

    /// The version of the message.
    #[must_use]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the message is in the flexible form.
    #[must_use]
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    /// Puts bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) {
        self.message.own.extend_from_slice(bytes);
    }

    /// Puts shared bytes as a chunk of their own, without copying them.
    pub fn put_shared(&mut self, bytes: Bytes) {
        self.put_chunk(bytes.into());
    }

    /// Puts a chunk as it is.
    pub fn put_chunk(&mut self, chunk: Chunk) {
        if !chunk.is_empty() {
            self.message.shared.push((self.message.own.len(), chunk));
        }
    }

    /// Puts an unsigned varint.
    pub fn varint(&mut self, value: u32) {
        varint::write(&mut self.message.own, value);
    }

    /// Puts the length of a string; `None` stands for null.
    pub fn string_length(&mut self, length: Option<usize>) {
        if self.flexible { self.varint_length(length) } else { self.short_string_length(length) }
    }

    /// Puts the length of a string in the old form, which headers use at every version.
    pub(crate) fn short_string_length(&mut self, length: Option<usize>) {
        let length = length.map_or(Ok(-1), |length| i16::try_from(length).map_err(|_| length));
        match length {
            Ok(length) => self.message.own.put_i16(length),
            Err(length) => self.fail(WireError::Length(length as i64)),
        }
    }

    /// Puts the length of bytes or an array; `None` stands for null.
    pub fn length(&mut self, length: Option<usize>) {
        if self.flexible {
            return self.varint_length(length);
        }
        match length.map_or(Ok(-1), |length| i32::try_from(length).map_err(|_| length)) {
            Ok(length) => self.message.own.put_i32(length),
            Err(length) => self.fail(WireError::Length(length as i64)),
        }
    }

    fn varint_length(&mut self, length: Option<usize>) {
        match length.map_or(Ok(0), |length| u32::try_from(length + 1).map_err(|_| length)) {
            Ok(length) => self.varint(length),
            Err(length) => self.fail(WireError::Length(length as i64)),
        }
    }

    /// Says that the message cannot be written; the first reason stands.
    pub fn fail(&mut self, error: WireError) {
        self.error.get_or_insert(error);
    }

    /// The message, or the first reason why there is none.
    pub fn finish(self) -> Result<Encoded> {
        self.error.map_or(Ok(self.message), Err)
    }

    /// The message behind its length, as it goes to a socket.
    pub(crate) fn finish_frame(self) -> Result<Encoded> {
        let mut message = self.finish()?;
        let length = message.len() - LENGTH_SIZE;
        let length = i32::try_from(length).map_err(|_| WireError::Length(length as i64))?;
        message.own[..LENGTH_SIZE].copy_from_slice(&length.to_be_bytes());
        Ok(message)
    }
}

/// What of `chunks` is in memory; copies only where that is more than one chunk.
pub(super) fn in_one_piece(chunks: Vec<Chunk>) -> Bytes {
    let mut bytes: Vec<Bytes> = chunks.into_iter().filter_map(Chunk::into_bytes).collect();
    match bytes.len() {
        1 => bytes.remove(0),
        _ => bytes.concat().into(),
    }
}
