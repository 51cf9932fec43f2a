//! An answer that is read as it comes, without being kept.

use std::io::{self, BufRead, BufReader, Read as _, Take};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};

/// What is left of an answer's frame. Whoever reads it must read it to its end
/// ([`finish`](Self::finish)), else the next answer begins amid this one.
pub(crate) struct Answer<'a> {
    rest: Take<&'a mut BufReader<TcpStream>>,
}

impl<'a> Answer<'a> {
    /// Waits for the length of an answer.
    pub(crate) fn begin(reader: &'a mut BufReader<TcpStream>) -> Result<Self> {
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let length = i32::from_be_bytes(length);
        let length = u64::try_from(length).with_context(|| format!("a frame of {length} bytes"))?;
        Ok(Self { rest: reader.take(length) })
    }

    pub(crate) fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.rest.read_exact(&mut bytes).context("an answer ends too soon")?;
        Ok(bytes)
    }

    /// Throws away a string in its old form.
    pub(crate) fn skip_string(&mut self) -> Result<()> {
        let length = self.i16()?;
        self.skip(u64::try_from(length).unwrap_or(0))
    }

    /// Throws away so many bytes.
    pub(crate) fn skip(&mut self, count: u64) -> Result<()> {
        ensure!(count <= self.rest.limit(), "an answer ends too soon");
        let mut left = count;
        while left > 0 {
            let here = self.rest.fill_buf()?.len();
            if here == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let step = left.min(here as u64);
            self.rest.consume(step as usize);
            left -= step;
        }
        Ok(())
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let length = self.rest.limit();
        self.rest.read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 == length, "the broker closed the connection amid an answer");
        Ok(bytes)
    }

    /// Throws away what is left.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.skip(self.rest.limit())
    }
}
