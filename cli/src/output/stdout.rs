//! Standard output: one large buffer, and a reader that may leave.

use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;

use crate::failure::Failure;

/// When the buffer has this many bytes, it is written.
const BUFFER: usize = 256 << 10;

/// Standard output. What is put into [`buffer`](Self::buffer) is written when it is much, and
/// when the owner says so; never by dropping.
#[derive(Debug)]
pub(crate) struct Stdout {
    buffer: Vec<u8>,
    /// Where it goes.
    inner: io::Stdout,
    /// Why something was not written. Nothing is after that: it would stand behind a gap.
    failed: Option<Arc<io::Error>>,
}

impl Stdout {
    pub(crate) fn new() -> Self {
        Self { buffer: Vec::new(), inner: io::stdout(), failed: None }
    }

    /// Where to put what is to be printed.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Adds text as it is.
    pub(crate) fn text(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// Adds a line of JSON.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.buffer, value)?;
        self.buffer.push(b'\n');
        Ok(())
    }

    /// Writes the buffer if there is much in it; may block.
    ///
    /// # Errors
    /// [`Failure::OutputClosed`] if nobody reads any more.
    pub(crate) fn relieve(&mut self) -> anyhow::Result<()> {
        if self.is_much() { self.finish() } else { Ok(()) }
    }

    /// Whether there is so much in the buffer that it should be written.
    pub(super) fn is_much(&self) -> bool {
        self.buffer.len() >= BUFFER
    }

    /// Writes all there is; may block.
    ///
    /// # Errors
    /// Something could not be written, now or at an earlier call: [`Failure::OutputClosed`] if
    /// nobody reads any more.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        if self.failed.is_none() {
            let written = self.inner.write_all(&self.buffer).and_then(|()| self.inner.flush());
            self.failed = written.err().map(Arc::new);
        }
        self.buffer.clear();
        match self.failed.clone() {
            None => Ok(()),
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(Failure::OutputClosed.into())
            }
            Some(error) => {
                Err(anyhow::Error::new(error).context("cannot write to standard output"))
            }
        }
    }
}
