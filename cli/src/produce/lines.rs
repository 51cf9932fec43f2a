//! Cutting chunks of bytes into lines.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::failure::Failure;

/// No broker takes a record that is larger.
const LINE_MAX: usize = 1 << 30;

/// Lines, as slices of the chunks they came in; only a line that lies in several is copied.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// What is left of the last chunk.
    rest: Bytes,
    /// The start of the line that goes on in the next chunk.
    started: BytesMut,
}

impl Lines {
    /// Takes the next chunk, once there are no more lines in the last one.
    pub(super) fn feed(&mut self, chunk: Bytes) {
        self.rest = chunk;
    }

    /// The next whole line, without its line feed; none when another chunk is needed.
    ///
    /// # Errors
    /// A line does not end.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                let line = self.rest.split_to(end);
                self.rest.advance(1);
                if self.started.is_empty() {
                    return Ok(Some(line));
                }
                self.started.extend_from_slice(&line);
                Ok(Some(self.started.split().freeze()))
            }
            None if self.started.len() + self.rest.len() > LINE_MAX => {
                Err(Failure::Usage(format!("a line of more than {LINE_MAX} bytes")))
            }
            None => {
                self.started.extend_from_slice(&self.rest);
                self.rest.clear();
                Ok(None)
            }
        }
    }

    /// What follows the last line feed, at the end of the input.
    pub(super) fn last(mut self) -> Option<Bytes> {
        (!self.started.is_empty()).then(|| self.started.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Bytes> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for chunk in chunks {
            lines.feed(Bytes::copy_from_slice(chunk));
            while let Some(line) = lines.next().unwrap() {
                all.push(line);
            }
        }
        all.extend(lines.last());
        all
    }

    #[test]
    fn lines_are_bytes_between_line_feeds() {
        assert_eq!(cut([&b"a\n\nb\r\n\xff c"[..]]), [&b"a"[..], b"", b"b\r", b"\xff c"]);
        assert_eq!(cut([&b"a"[..], b"b\nc", b"\n"]), [&b"ab"[..], b"c"]);
        assert!(cut([&b""[..]]).is_empty());
    }

    proptest! {
        #[test]
        fn where_chunks_end_makes_no_difference(
            text in "[ab\n]{0,60}", at in proptest::collection::vec(0usize..60, 0..6),
        ) {
            let mut cuts: Vec<_> = at.into_iter().map(|at| at.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]);
            prop_assert_eq!(cut(chunks), cut([text.as_bytes()]));
        }
    }
}
