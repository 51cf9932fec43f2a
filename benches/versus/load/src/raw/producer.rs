//! One connection that produces as fast as its answers come.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use klamm_protocol::api::{InitProducerId, init_producer_id};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BatchProducer, Compression};

use super::batch::{BatchShape, ProduceRequest};
use crate::args;
use crate::latency::Latencies;
use crate::measure::{Window, on_threads};
use crate::pace::Pace;
use crate::wire::{Answer, Connection};

const INIT_PRODUCER_ID: i16 = 1;
/// How long a broker may take to find a producer id.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
/// How long the first batches may take, in seconds.
const FIRST: f64 = 120.0;

/// How a producer produces.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Records in a batch; a request carries one batch
    #[arg(long, default_value_t = 64)]
    pub(crate) records: usize,
    #[command(flatten)]
    pub(crate) of: args::Records,
    /// Connections, each with a thread of its own
    #[arg(long, default_value_t = 1)]
    pub(crate) conns: usize,
    /// Requests that a connection sends before the first is answered
    #[arg(long, default_value_t = 5)]
    pub(crate) inflight: usize,
    /// Requests a second, of all connections together; without it as many as are answered
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// What to wait for: 1 or all
    #[arg(long, default_value = "1", value_parser = args::acks)]
    pub(crate) acks: i16,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd
    #[arg(long, default_value = "none", value_parser = compression)]
    pub(crate) compression: Compression,
    /// Give each connection a producer id, and its batches sequence numbers
    #[arg(long)]
    pub(crate) idempotent: bool,
}

impl Style {
    pub(crate) fn shape(&self) -> BatchShape {
        BatchShape { records: self.records, of: self.of, compression: self.compression }
    }
}

/// What one or several producers did while it counted.
#[derive(Debug)]
pub(crate) struct Produced {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<ErrorCode>,
    pub(crate) latencies: Latencies,
    /// Bytes of one batch on the wire.
    pub(crate) batch_len: usize,
}

impl Produced {
    /// All of them together. An empty list did nothing.
    pub(crate) fn sum(parts: Vec<Self>) -> Self {
        Self {
            requests: parts.iter().map(|part| part.requests).sum(),
            errors: parts.iter().map(|part| part.errors).sum(),
            first_error: parts.iter().find_map(|part| part.first_error),
            batch_len: parts.first().map_or(0, |part| part.batch_len),
            latencies: parts.into_iter().map(|part| part.latencies).collect(),
        }
    }
}

/// A partition that is produced to, and its next sequence number.
struct Place {
    partition: i32,
    sequence: i32,
}

/// One connection.
pub(crate) struct Producer {
    connection: Connection,
    request: ProduceRequest,
    /// Taken in turn.
    places: Vec<Place>,
    turn: usize,
    style: Style,
    /// Requests that may still be sent.
    left: u64,
    pace: Option<Pace>,
    /// Correlation ids of what is not answered yet, and when it was sent.
    sent: VecDeque<(i32, Instant)>,
    done: Produced,
}

impl Producer {
    /// The one with this number among all that the style asks for. They share the partitions out;
    /// where there are fewer partitions than connections, several produce to one.
    pub(crate) fn open(target: &args::Target, style: &Style, number: usize) -> Result<Self> {
        ensure!(style.inflight > 0 && style.records > 0, "it takes one record and one request");
        let mut connection = Connection::open(&target.broker.address)?;
        let producer =
            if style.idempotent { ask_id(&mut connection)? } else { BatchProducer::NONE };
        let request =
            ProduceRequest::new(&target.topic.name, style.acks, &style.shape(), producer)?;
        let batch_len = request.batch_len();
        Ok(Self {
            connection,
            request,
            places: share(target.topic.partitions, style.conns, number)
                .map(|partition| Place { partition, sequence: 0 })
                .collect(),
            turn: 0,
            style: *style,
            left: u64::MAX,
            pace: style.rate.map(|rate| Pace::start(rate / style.conns as f64)).transpose()?,
            sent: VecDeque::new(),
            done: Produced {
                requests: 0,
                errors: 0,
                first_error: None,
                latencies: Latencies::new(),
                batch_len,
            },
        })
    }

    /// Ends after so many requests.
    pub(crate) fn limited_to(self, requests: u64) -> Self {
        Self { left: requests, ..self }
    }

    /// Goes on until the window is over and all is answered.
    pub(crate) fn run(mut self, window: Window) -> Result<Produced> {
        loop {
            if !window.is_over(Instant::now()) {
                if let Some(pace) = self.pace.as_mut().filter(|_| self.sent.is_empty()) {
                    pace.sleep();
                }
                while self.sent.len() < self.style.inflight && self.left > 0 && self.is_due() {
                    self.send()?;
                }
                self.connection.flush()?;
            }
            if self.sent.is_empty() {
                return Ok(self.done);
            }
            self.receive(window)?;
            while self.connection.has_more() && !self.sent.is_empty() {
                self.receive(window)?;
            }
        }
    }

    fn is_due(&self) -> bool {
        self.pace.as_ref().is_none_or(Pace::is_due)
    }

    fn send(&mut self) -> Result<()> {
        let place = &mut self.places[self.turn];
        self.request.set_partition(place.partition);
        if self.style.idempotent {
            self.request.set_sequence(place.sequence);
            // After the greatest number comes 0 again.
            let next = i64::from(place.sequence) + self.style.records as i64;
            place.sequence = (next & i64::from(i32::MAX)) as i32;
        }
        self.turn = (self.turn + 1) % self.places.len();
        let at = self.pace.as_mut().map_or_else(Instant::now, Pace::next);
        let id = self.connection.send(self.request.bytes_mut())?;
        self.sent.push_back((id, at));
        self.left -= 1;
        Ok(())
    }

    fn receive(&mut self, window: Window) -> Result<()> {
        let Some((id, sent_at)) = self.sent.pop_front() else { return Ok(()) };
        let code = produced_code(self.connection.answer(id)?)?;
        let now = Instant::now();
        if !code.is_none() {
            self.done.errors += 1;
            self.done.first_error.get_or_insert(code);
        } else if window.holds(now) {
            self.done.requests += 1;
            self.done.latencies.record(now - sent_at);
        }
        Ok(())
    }
}

/// Produces one batch to each partition: what the first one costs is not what is to be measured.
pub(crate) fn touch(target: &args::Target, style: &Style) -> Result<()> {
    let window = Window::at_once(FIRST)?;
    on_threads(window, target.broker.pid, style.conns, |number| {
        let producer = Producer::open(target, style, number)?;
        let batches = producer.places.len() as u64;
        producer.limited_to(batches).run(window)
    })?;
    Ok(())
}

/// The partitions that fall to this one of so many connections.
pub(crate) fn share(
    partitions: i32,
    connections: usize,
    number: usize,
) -> impl Iterator<Item = i32> {
    let count = usize::try_from(partitions).unwrap_or(0).max(1);
    (number % count..count).step_by(connections.max(1)).map(|partition| partition as i32)
}

/// The error code of the one partition in an answer to Produce.
fn produced_code(mut answer: Answer<'_>) -> Result<ErrorCode> {
    let topics = answer.i32()?;
    answer.skip_string()?;
    let partitions = answer.i32()?;
    ensure!(
        topics == 1 && partitions == 1,
        "an answer of {topics} topics, {partitions} partitions"
    );
    let _index = answer.i32()?;
    let code = ErrorCode(answer.i16()?);
    answer.finish()?;
    Ok(code)
}

/// A broker that has just started may have no ids to give yet: it is asked again for a while.
fn ask_id(connection: &mut Connection) -> Result<BatchProducer> {
    let request =
        init_producer_id::Request { transaction_timeout_ms: 60_000, ..Default::default() };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = connection.call::<InitProducerId>(INIT_PRODUCER_ID, &request)?;
        let (id, epoch, code) = (answer.producer_id, answer.producer_epoch, answer.error_code);
        if code.is_none() {
            return Ok(BatchProducer { id, epoch, base_sequence: 0 });
        }
        let again = code.is_retriable() && Instant::now() < deadline;
        ensure!(again, "the broker gives no producer id: {}", code.name());
        thread::sleep(PAUSE);
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    Compression::ALL
        .into_iter()
        .find(|compression| compression.name() == text)
        .ok_or_else(|| "it must be none, gzip, snappy, lz4 or zstd".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_shared_out() {
        let of = |partitions, connections, number| {
            share(partitions, connections, number).collect::<Vec<_>>()
        };
        assert_eq!(of(5, 2, 0), [0, 2, 4]);
        assert_eq!(of(5, 2, 1), [1, 3]);
        assert_eq!(of(1, 16, 9), [0]);
        assert_eq!(of(3, 4, 3), [0]);
    }
}
