//! One connection: blocking, buffered both ways.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use klamm_protocol::declare::Api;
use klamm_protocol::header::{decode_response, encode_request};
use klamm_protocol::wire::Str;

use super::Answer;

/// What we call ourselves.
const CLIENT_ID: &str = "klamm-load";
/// Requests are gathered up to this, and then sent together.
const GATHERED_MAX: usize = 16 * 1024;
/// Fits into a core's cache, in which what is thrown away is copied at little cost.
const READ_BUFFER: usize = 256 * 1024;
/// A broker that says nothing for so long is not worth waiting for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where an encoded request has its correlation id.
const CORRELATION_ID: std::ops::Range<usize> = 8..12;

/// A connection to the broker.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    /// Small requests that are not sent yet.
    gathered: Vec<u8>,
    next_correlation_id: i32,
}

impl Connection {
    /// Connects, with room to read in large pieces.
    pub(crate) fn open(address: &str) -> Result<Self> {
        Self::with_read_buffer(address, READ_BUFFER)
    }

    /// Connects, with a buffer of this size to read into.
    pub(crate) fn with_read_buffer(address: &str, size: usize) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .with_context(|| format!("no connection to the broker at {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let reader = BufReader::with_capacity(size, stream);
        Ok(Self { reader, gathered: Vec::new(), next_correlation_id: 0 })
    }

    /// Gives an encoded request its correlation id and sends it: at once if it is large, else with
    /// the next [`flush`](Self::flush).
    pub(crate) fn send(&mut self, request: &mut [u8]) -> Result<i32> {
        let id = self.next_correlation_id;
        self.next_correlation_id = id.wrapping_add(1);
        request[CORRELATION_ID].copy_from_slice(&id.to_be_bytes());
        if self.gathered.len() + request.len() > GATHERED_MAX {
            self.flush()?;
        }
        if request.len() > GATHERED_MAX {
            self.reader.get_mut().write_all(request).context("sending a request failed")?;
        } else {
            self.gathered.extend_from_slice(request);
        }
        Ok(id)
    }

    /// Sends what was gathered.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.reader.get_mut().write_all(&self.gathered).context("sending requests failed")?;
        self.gathered.clear();
        Ok(())
    }

    /// Waits for the answer to this request, to be read through what is given.
    pub(crate) fn answer(&mut self, correlation_id: i32) -> Result<Answer<'_>> {
        let mut answer = Answer::begin(&mut self.reader).context("no answer came")?;
        let id = answer.i32()?;
        ensure!(id == correlation_id, "the answer to {correlation_id} was due, not that to {id}");
        Ok(answer)
    }

    /// Whether more answers, or parts of one, have come already.
    pub(crate) fn has_more(&self) -> bool {
        !self.reader.buffer().is_empty()
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call<A: Api>(
        &mut self,
        version: i16,
        request: &A::Request,
    ) -> Result<A::Response> {
        let mut bytes = encoded::<A>(version, request)?;
        let id = self.send(&mut bytes)?;
        self.flush()?;
        let mut answer = Answer::begin(&mut self.reader).context("no answer came")?;
        let frame = Bytes::from(answer.rest()?);
        let (answered, response) = decode_response::<A>(version, frame)?;
        ensure!(answered == id, "the answer to {id} was due, not that to {answered}");
        Ok(response)
    }
}

/// A request as it travels, its correlation id to be set by [`Connection::send`].
pub(crate) fn encoded<A: Api>(version: i16, request: &A::Request) -> Result<Vec<u8>> {
    let client_id = Str::from(CLIENT_ID);
    Ok(encode_request::<A>(version, 0, Some(&client_id), request)?.into_bytes().to_vec())
}
