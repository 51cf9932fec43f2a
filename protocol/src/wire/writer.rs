use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Result, WireError, varint};

/// Puts values one after the other into one message.
///
/// The first failure is kept and told by [`finish`](Self::finish): a declaration writes its
/// fields without asking after each.
#[derive(Debug)]
pub struct Writer {
    chunks: Vec<Bytes>,
    head: BytesMut,
    version: i16,
    flexible: bool,
    error: Option<WireError>,
}

/// A message as it goes to a socket: chunks to be written one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    chunks: Vec<Bytes>,
}

impl Encoded {
    /// The chunks, in order; none is empty.
    #[must_use]
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The chunks, in order; none is empty.
    #[must_use]
    pub fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }

    /// The sum of the chunks' lengths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Whether there is not one byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The whole in one piece; copies only where there is more than one chunk.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        match self.chunks.len() {
            1 => self.chunks.remove(0),
            _ => self.chunks.concat().into(),
        }
    }
}

impl Writer {
    /// A writer of one message of this version and form.
    #[must_use]
    pub fn new(version: i16, flexible: bool) -> Self {
        let head = BytesMut::with_capacity(256);
        Self { chunks: Vec::new(), head, version, flexible, error: None }
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
        self.head.put_slice(bytes);
    }

    /// Puts shared bytes as a chunk of their own, without copying them.
    pub fn put_shared(&mut self, bytes: Bytes) {
        self.seal_head();
        if !bytes.is_empty() {
            self.chunks.push(bytes);
        }
    }

    /// Puts an unsigned varint.
    pub fn varint(&mut self, value: u32) {
        varint::write(&mut self.head, value);
    }

    /// Puts the length of a string; `None` stands for null.
    pub fn string_length(&mut self, length: Option<usize>) {
        if self.flexible { self.varint_length(length) } else { self.short_string_length(length) }
    }

    /// Puts the length of a string in the old form, which headers use at every version.
    pub(crate) fn short_string_length(&mut self, length: Option<usize>) {
        let length = length.map_or(Ok(-1), |length| i16::try_from(length).map_err(|_| length));
        match length {
            Ok(length) => self.head.put_i16(length),
            Err(length) => self.fail(WireError::Length(length as i64)),
        }
    }

    /// Puts the length of bytes or an array; `None` stands for null.
    pub fn length(&mut self, length: Option<usize>) {
        if self.flexible {
            return self.varint_length(length);
        }
        match length.map_or(Ok(-1), |length| i32::try_from(length).map_err(|_| length)) {
            Ok(length) => self.head.put_i32(length),
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
    pub fn finish(mut self) -> Result<Encoded> {
        self.seal_head();
        match self.error {
            None => Ok(Encoded { chunks: self.chunks }),
            Some(error) => Err(error),
        }
    }

    /// The message behind its length, as it goes to a socket.
    pub(crate) fn finish_frame(self) -> Result<Encoded> {
        let mut encoded = self.finish()?;
        let length = encoded.len();
        let prefix = i32::try_from(length).map_err(|_| WireError::Length(length as i64))?;
        encoded.chunks.insert(0, Bytes::copy_from_slice(&prefix.to_be_bytes()));
        Ok(encoded)
    }

    fn seal_head(&mut self) {
        if !self.head.is_empty() {
            self.chunks.push(self.head.split().freeze());
        }
    }
}
