//! Text and record sets.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;

use super::writer::in_one_piece;
use super::{Chunk, Lent, Reader, Result, Shape, Wire, WireError, Writer};

/// UTF-8 text that shares the buffer it was read from.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Str(Bytes);

impl Str {
    /// Text that needs no buffer.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Checked where it was read; `from_utf8` again would cost each look. Text that is not
        // UTF-8 cannot get in, so the fallback is never seen.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The same text in a buffer of its own, so that the frame it came in can be freed.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    pub(crate) fn from_utf8(bytes: Bytes) -> Result<Self> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => Err(WireError::NotUtf8),
        }
    }
}

impl Deref for Str {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

/// As the text it is, so that a map keyed by `Str` can be asked with a `&str`.
impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Wire for Str {
    const SHAPE: Shape = Shape::Text;

    fn read(r: &mut Reader) -> Result<Self> {
        Self::read_nullable(r)?.ok_or(WireError::UnexpectedNull)
    }

    fn write(&self, w: &mut Writer) {
        w.string_length(Some(self.0.len()));
        w.put(&self.0);
    }

    fn read_nullable(r: &mut Reader) -> Result<Option<Self>> {
        let Some(length) = r.string_length()? else { return Ok(None) };
        Self::from_utf8(r.take_value(length)?).map(Some)
    }

    fn write_null(w: &mut Writer) {
        w.string_length(None);
    }
}

/// Record batches, one after the other; never copied, neither in nor out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    chunks: Vec<Chunk>,
}

impl Records {
    /// Record batches in several pieces, to be sent one after the other.
    #[must_use]
    pub fn from_chunks(chunks: Vec<Bytes>) -> Self {
        Self { chunks: chunks.into_iter().map(Chunk::from).collect() }
    }

    /// Record batches that lie elsewhere.
    #[must_use]
    pub fn lent(lent: Lent) -> Self {
        Self { chunks: vec![Chunk::Lent(lent)] }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum()
    }

    /// Whether there is not one byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that is in memory in one piece; copies only where there is more than one chunk.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        in_one_piece(self.chunks)
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self { chunks: vec![bytes.into()] }
    }
}

impl Wire for Records {
    const SHAPE: Shape = Shape::Bytes;

    fn read(r: &mut Reader) -> Result<Self> {
        Self::read_nullable(r)?.ok_or(WireError::UnexpectedNull)
    }

    fn write(&self, w: &mut Writer) {
        w.length(Some(self.len()));
        for chunk in &self.chunks {
            w.put_chunk(chunk.clone());
        }
    }

    fn read_nullable(r: &mut Reader) -> Result<Option<Self>> {
        let Some(length) = r.length()? else { return Ok(None) };
        Ok(Some(r.take(length)?.into()))
    }

    fn write_null(w: &mut Writer) {
        w.length(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_compares_with_text() {
        let text = Str::from("orders");
        assert!(text == "orders" && text != "other");
        assert_eq!(text.detached(), text);
        let map = std::collections::HashMap::from([(text.clone(), 1)]);
        assert_eq!(map.get("orders"), Some(&1));
        assert_eq!(format!("{text} {text:?}"), "orders \"orders\"");
    }

    #[test]
    fn text_is_as_long_as_any_version_can_say() {
        let check = |length: usize, result| {
            let mut writer = Writer::new(0, true);
            Str::from("x".repeat(length)).write(&mut writer);
            let bytes = writer.finish().unwrap().into_bytes();
            let read = Str::read(&mut Reader::new(bytes, 0, true));
            assert_eq!(read.map(|text| text.len()), result);
        };
        check(32_767, Ok(32_767));
        check(32_768, Err(WireError::Length(32_768)));
    }
}
