//! The paths whose instructions are counted: from a request's frame to the frame of its answer.

use std::io;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use klamm_benches::requests::{batch, fetch, fetch_on, produce};
use klamm_benches::wire::{Wire, frame};
use klamm_broker::Broker;
use klamm_protocol::api::{Fetch, Produce};
use klamm_protocol::declare::Api;
use klamm_protocol::header::decode_response;
use klamm_protocol::wire::{Records, Uuid};
use klamm_storage::disk::MemoryDisk;
use tokio::runtime::{Builder, Runtime};

use crate::group;

/// The topic that is written, read, and consumed by a group.
pub(crate) const TOPIC: &str = "counted";
/// Partitions of the topic.
pub(crate) const PARTITIONS: i32 = 12;
/// Partitions of a session in which nothing happens.
const IDLE: i32 = 100;
/// What lies in the first partition before it is read.
const STORED: usize = 4 << 20;
/// Requests before the first that counts: buffers and tables find their sizes.
const WARM_UP: usize = 20;

/// One path.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) name: &'static str,
    /// Requests that are counted.
    pub(crate) requests: usize,
    prepare: Prepare,
    check: Check,
}

/// Gives as many requests as it is asked for. The answer to the last is checked, and not counted.
type Prepare = fn(&mut Place, usize) -> io::Result<Vec<Bytes>>;
type Check = fn(Bytes) -> anyhow::Result<()>;

/// All paths, in the order in which they are told.
pub(crate) const PATHS: &[Path] = &[
    Path {
        name: "produce: 1 record of 100 B",
        requests: 2_000,
        prepare: |place, count| Ok(vec![place.produce(1, 1, 100); count]),
        check: is_stored,
    },
    Path {
        name: "produce: 64 records of 1 KiB",
        requests: 500,
        prepare: |place, count| Ok(vec![place.produce(1, 64, 1024); count]),
        check: is_stored,
    },
    Path {
        name: "produce: 1 record of 100 B to each of 12 partitions",
        requests: 500,
        prepare: |place, count| Ok(vec![place.produce(PARTITIONS, 1, 100); count]),
        check: is_stored,
    },
    Path {
        name: "fetch: the last record, of 1 KiB",
        requests: 2_000,
        prepare: |place, count| Ok(vec![place.fetch_last()?; count]),
        check: |answer| gives(answer, 1024..2048),
    },
    Path {
        name: "fetch: 1 MiB of batches of 64 KiB",
        requests: 200,
        prepare: |place, count| Ok(vec![place.fetch_start(1 << 20)?; count]),
        check: |answer| gives(answer, 900 << 10..1100 << 10),
    },
    Path {
        name: "fetch: a session of 100 partitions, nothing new",
        requests: 1_000,
        prepare: Place::session,
        check: |answer| gives(answer, 0..1),
    },
    Path {
        name: "group: a heartbeat",
        requests: 1_000,
        prepare: |place, count| Ok(vec![group::heartbeat(place)?; count]),
        check: group::is_alive,
    },
    Path {
        name: "group: a commit of 12 partitions",
        requests: 500,
        prepare: |place, count| Ok(vec![group::commit(place)?; count]),
        check: group::is_committed,
    },
];

/// A broker whose disk is memory, and a connection to it, all on one thread.
pub(crate) struct Place {
    runtime: Runtime,
    broker: Broker,
    wire: Wire,
    topic: Uuid,
}

/// Walks a path. Whoever counts instructions counts those of [`counted`].
pub(crate) fn walk(path: &Path) -> anyhow::Result<()> {
    let mut place = Place::new()?;
    let frames = (path.prepare)(&mut place, WARM_UP + path.requests + 1)?;
    let (warm_up, rest) = frames.split_at(WARM_UP);
    let (measured, last) = rest.split_at(path.requests);
    place.exchange(warm_up)?;
    counted(&mut place, measured)?;
    let last = last.first().context("there is a last request")?;
    let answer = place.runtime.block_on(place.wire.exchange(last))?;
    (path.check)(Bytes::copy_from_slice(answer))?;
    place.runtime.block_on(place.broker.stop());
    Ok(())
}

/// Sends each request and reads its answer. The name and the place of this function matter: while
/// it runs, instructions are counted.
#[inline(never)]
fn counted(place: &mut Place, frames: &[Bytes]) -> io::Result<()> {
    place.exchange(frames)
}

impl Place {
    fn new() -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let broker = Broker::builder()
            .listen("127.0.0.1:0")
            .set("http.listen", "")
            .set("durability", "os-cached")
            .set("offsets.topic.num.partitions", "1")
            .set("group.initial.rebalance.delay.ms", "0")
            .data_dir("/data")
            .disk(Arc::new(MemoryDisk::new()));
        let broker = runtime.block_on(broker.start())?;
        let mut wire = runtime.block_on(Wire::connect(&broker.bootstrap()))?;
        let topic = runtime.block_on(wire.create_topic(TOPIC, PARTITIONS))?;
        Ok(Self { runtime, broker, wire, topic })
    }

    /// Asks at this version.
    pub(crate) fn call_at<A: Api>(
        &mut self,
        version: i16,
        request: &A::Request,
    ) -> io::Result<A::Response> {
        self.runtime.block_on(self.wire.call_at::<A>(version, request))
    }

    fn call<A: Api>(&mut self, request: &A::Request) -> io::Result<A::Response> {
        self.call_at::<A>(*A::VERSIONS.end(), request)
    }

    fn exchange(&mut self, frames: &[Bytes]) -> io::Result<()> {
        self.runtime.block_on(async {
            for frame in frames {
                self.wire.exchange(frame).await?;
            }
            Ok(())
        })
    }

    fn produce(&self, partitions: i32, records: usize, len: usize) -> Bytes {
        frame::<Produce>(&produce(self.topic, partitions, batch(records, len).bytes()))
    }

    /// Fills the first partition with batches of 64 KiB and one record more, and gives the offset
    /// of that.
    fn store(&mut self) -> io::Result<i64> {
        let large = self.produce(1, 64, 1024);
        for _ in 0..STORED / large.len() {
            self.exchange(std::slice::from_ref(&large))?;
        }
        let request = produce(self.topic, 1, batch(1, 1024).bytes());
        let answer = self.call::<Produce>(&request)?;
        Ok(answer.topics[0].partitions[0].base_offset)
    }

    fn fetch_last(&mut self) -> io::Result<Bytes> {
        let last = self.store()?;
        Ok(frame::<Fetch>(&fetch(self.topic, 1, last, 1 << 20)))
    }

    fn fetch_start(&mut self, size: usize) -> io::Result<Bytes> {
        self.store()?;
        Ok(frame::<Fetch>(&fetch(self.topic, 1, 0, size)))
    }

    /// Opens a session of partitions in which nothing happens. Of its requests each is another.
    fn session(&mut self, requests: usize) -> io::Result<Vec<Bytes>> {
        let idle = self.runtime.block_on(self.wire.create_topic("idle", IDLE))?;
        let mut open = fetch(idle, IDLE, 0, 1 << 20);
        open.session_epoch = 0;
        let opened = self.call::<Fetch>(&open)?;
        if opened.session_id == 0 {
            return Err(io::Error::other("no session was opened"));
        }
        let next = |epoch| frame::<Fetch>(&fetch_on(opened.session_id, epoch));
        Ok((1..).map(next).take(requests).collect())
    }
}

fn answer<A: Api>(answer: Bytes) -> anyhow::Result<A::Response> {
    let (_, answer) = decode_response::<A>(*A::VERSIONS.end(), answer)?;
    Ok(answer)
}

fn is_stored(bytes: Bytes) -> anyhow::Result<()> {
    let answer = answer::<Produce>(bytes)?;
    let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    ensure!(partitions.all(|partition| partition.error_code.is_none()), "{answer:?}");
    Ok(())
}

fn gives(bytes: Bytes, size: std::ops::Range<usize>) -> anyhow::Result<()> {
    let answer = answer::<Fetch>(bytes)?;
    ensure!(answer.error_code.is_none(), "{answer:?}");
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let given = partitions.map(|one| one.records.as_ref().map_or(0, Records::len)).sum();
    ensure!(size.contains(&given), "{given} bytes of records");
    Ok(())
}
