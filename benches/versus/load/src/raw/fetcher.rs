//! One connection that fetches, and throws away what comes.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use klamm_protocol::api::{Fetch, fetch};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BATCH_HEADER_LEN, BatchHeader};
use klamm_protocol::wire::Str;

use super::producer::share;
use crate::args::Target;
use crate::measure::Window;
use crate::wire::{Answer, Connection, encoded};

/// Not flexible, and knows every compression.
const VERSION: i16 = 11;

/// What a request asks for.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Appetite {
    /// Bytes that a request asks for, of all partitions and of each
    #[arg(long, default_value_t = 4 << 20)]
    pub(crate) max_bytes: i32,
    /// Bytes that the broker is to wait for
    #[arg(long, default_value_t = 1)]
    pub(crate) min_bytes: i32,
    /// How long it may wait
    #[arg(long, default_value_t = 500)]
    pub(crate) max_wait_ms: i32,
}

/// What to do at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// This partition is done with
    Stop,
    /// Begin it anew
    Repeat,
    /// Wait for more
    Wait,
}

/// What one or several fetchers got while it counted.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) requests: u64,
    pub(crate) records: u64,
    /// Of whole batches as they travel.
    pub(crate) bytes: u64,
    /// Some of them had read all that they were to before the time was over.
    pub(crate) ended: bool,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<ErrorCode>,
}

impl Fetched {
    /// Adds what another got.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.records += other.records;
        self.bytes += other.bytes;
        self.ended |= other.ended;
        self.errors += other.errors;
        self.first_error = self.first_error.or(other.first_error);
    }

    /// All of them together.
    pub(crate) fn sum(parts: &[Self]) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.add(part);
        }
        all
    }
}

/// Connections that fetch, and share the partitions out.
pub(crate) struct Readers<'a> {
    pub(crate) count: usize,
    pub(crate) appetite: Appetite,
    /// Where to begin, by partition.
    pub(crate) from: &'a [i64],
    pub(crate) at_end: AtEnd,
}

impl Readers<'_> {
    /// The one with this number.
    pub(crate) fn open(&self, target: &Target, number: usize) -> Result<Fetcher> {
        let places = share(target.topic.partitions, self.count, number)
            .map(|partition| {
                let offset = self.from.get(partition as usize).copied().unwrap_or(0);
                Place { partition, offset }
            })
            .collect();
        Fetcher::open(target, places, self.appetite, self.at_end)
    }
}

/// A partition, and where to go on in it.
#[derive(Clone, Copy, Debug)]
struct Place {
    partition: i32,
    offset: i64,
}

/// One connection.
pub(crate) struct Fetcher {
    connection: Connection,
    topic: Str,
    /// In the order in which they are asked for: what gave something goes to the end.
    places: VecDeque<Place>,
    appetite: Appetite,
    at_end: AtEnd,
}

impl Fetcher {
    fn open(
        target: &Target,
        places: Vec<Place>,
        appetite: Appetite,
        at_end: AtEnd,
    ) -> Result<Self> {
        let connection = Connection::open(&target.broker.address)?;
        let topic = Str::from(target.topic.name.as_str());
        Ok(Self { connection, topic, places: places.into(), appetite, at_end })
    }

    /// Goes on until the window is over, or there is nothing more to fetch.
    pub(crate) fn run(mut self, window: Window) -> Result<Fetched> {
        let mut all = Fetched::default();
        while !self.places.is_empty() && !window.is_over(Instant::now()) {
            let round = self.round()?;
            all.errors += round.errors;
            all.first_error = all.first_error.or(round.first_error);
            if window.holds(Instant::now()) {
                all.add(&Fetched { errors: 0, ..round });
            }
        }
        all.ended = self.places.is_empty();
        Ok(all)
    }

    /// One request and its answer.
    fn round(&mut self) -> Result<Fetched> {
        let mut request = self.request()?;
        let id = self.connection.send(&mut request)?;
        self.connection.flush()?;
        let mut answer = self.connection.answer(id)?;
        let mut fetched = Fetched { requests: 1, ..Fetched::default() };
        let _throttle_ms = answer.i32()?;
        let code = ErrorCode(answer.i16()?);
        ensure!(code.is_none(), "the broker answers {}", code.name());
        let _session = answer.i32()?;
        for _topic in 0..answer.i32()? {
            answer.skip_string()?;
            for _partition in 0..answer.i32()? {
                let told = Told::read(&mut answer)?;
                note(&mut self.places, &told, self.at_end, &mut fetched);
            }
        }
        answer.finish()?;
        Ok(fetched)
    }

    fn request(&self) -> Result<Vec<u8>> {
        let partition = |place: &Place| fetch::Partition {
            partition: place.partition,
            fetch_offset: place.offset,
            partition_max_bytes: self.appetite.max_bytes,
            ..Default::default()
        };
        let request = fetch::Request {
            max_wait_ms: self.appetite.max_wait_ms,
            min_bytes: self.appetite.min_bytes,
            max_bytes: self.appetite.max_bytes,
            topics: vec![fetch::Topic {
                topic: self.topic.clone(),
                partitions: self.places.iter().map(partition).collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        encoded::<Fetch>(VERSION, &request)
    }
}

/// What an answer says of one partition.
struct Told {
    partition: i32,
    code: ErrorCode,
    high_watermark: i64,
    start_offset: i64,
    /// Behind the last whole batch; none where there was none.
    next_offset: Option<i64>,
    records: u64,
    bytes: u64,
}

impl Told {
    fn read(answer: &mut Answer<'_>) -> Result<Self> {
        let (partition, code) = (answer.i32()?, ErrorCode(answer.i16()?));
        let (high_watermark, _stable_offset) = (answer.i64()?, answer.i64()?);
        let mut told = Self {
            partition,
            code,
            high_watermark,
            start_offset: answer.i64()?,
            next_offset: None,
            records: 0,
            bytes: 0,
        };
        let aborted = u64::try_from(answer.i32()?).unwrap_or(0);
        answer.skip(aborted * 16)?;
        let _preferred_replica = answer.i32()?;
        let length = u64::try_from(answer.i32()?).unwrap_or(0);
        told.walk(answer, length)?;
        Ok(told)
    }

    /// Goes from one batch's header to the next. The last batch may be cut short.
    fn walk(&mut self, answer: &mut Answer<'_>, length: u64) -> Result<()> {
        let mut left = length;
        while left >= BATCH_HEADER_LEN as u64 {
            let header = BatchHeader::parse(&answer.array::<BATCH_HEADER_LEN>()?)?;
            left -= BATCH_HEADER_LEN as u64;
            let behind = (header.size() - BATCH_HEADER_LEN) as u64;
            if behind > left {
                break;
            }
            answer.skip(behind)?;
            left -= behind;
            self.next_offset = Some(header.last_offset() + 1);
            self.records += u64::try_from(header.record_count).unwrap_or(0);
            self.bytes += header.size() as u64;
        }
        answer.skip(left)
    }
}

/// Counts what was told of a partition, and moves on in it.
fn note(places: &mut VecDeque<Place>, told: &Told, at_end: AtEnd, fetched: &mut Fetched) {
    if !told.code.is_none() {
        fetched.errors += 1;
        fetched.first_error.get_or_insert(told.code);
    }
    let Some(at) = places.iter().position(|place| place.partition == told.partition) else {
        return;
    };
    let Some(mut place) = places.get(at).copied() else { return };
    place.offset = told.next_offset.unwrap_or(place.offset);
    fetched.records += told.records;
    fetched.bytes += told.bytes;
    let ended = told.code.is_none() && place.offset >= told.high_watermark;
    match at_end {
        AtEnd::Stop if ended => {
            places.remove(at);
            return;
        }
        AtEnd::Repeat if ended => place.offset = told.start_offset.max(0),
        _ if told.next_offset.is_none() => return,
        _ => {}
    }
    places.remove(at);
    places.push_back(place);
}
