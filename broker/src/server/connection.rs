//! One connection: frames in, answers out, in order.

use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::frame::{FrameError, LENGTH_SIZE};
use klamm_protocol::inbox::Inbox;
use klamm_protocol::wire::WireError;
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::Peer;
use super::chunks::Chunks;
use super::dispatch::{Dispatched, dispatch};
use super::memory::{FREE_BYTES, Reservation};
use super::pipeline::{Answer, Pipeline, Slot, UnderWay, waits_for_others};
use crate::config::ConnectionLimits;
use crate::node::Node;

/// A client must take some bytes of an answer within this time.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a connection may hold a large buffer without using it, at the least.
const REST_AFTER: Duration = Duration::from_secs(10);
/// A buffer that has held a larger request goes with it, and is not kept for the next.
const KEPT_BYTES_MAX: usize = 4 << 20;
/// How long a client may be silent that waits for an answer before it is looked whether it is still
/// there, where nothing else says so.
const PATIENCE: Duration = Duration::from_secs(600);
/// Tells that a client has closed its side.
#[cfg(target_os = "linux")]
const LEFT: PollFlags = PollFlags::RDHUP;
#[cfg(not(target_os = "linux"))]
const LEFT: PollFlags = PollFlags::HUP;
/// Answers written together at most.
const WRITE_BYTES_TARGET: usize = 1024 * 1024;

/// Why a connection ended, other than by the client's wish or the broker's.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("the request cannot be read: {0}")]
    Request(#[from] WireError),
    #[error("API key {key} version {version} is not served here")]
    NotServed { key: i16, version: i16 },
    #[error("the client left in the middle of a request, after {0} bytes")]
    Cut(usize),
    #[error("a request did not arrive whole within {} ms", .0.as_millis())]
    TooSlow(Duration),
    #[error(
        "no memory was free for the rest of a request within {} ms: requests of other clients hold \
         all of queued.max.request.bytes", .0.as_millis()
    )]
    NoMemory(Duration),
    #[error("the client took no bytes of an answer within {} s", WRITE_TIME_MAX.as_secs())]
    NotReading,
    #[error("the rest of an answer cannot be read from its log: {0}")]
    Unreadable(io::Error),
    #[error("{0}")]
    HangUp(&'static str),
    #[error("the broker was killed")]
    Killed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How a connection may end well.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client closed it.
    Closed,
    /// Nothing was asked for too long.
    Idle,
    /// The broker stops, and every answer was written.
    Stopped,
    /// The broker was killed.
    Cut,
}

/// Serves one connection to its end.
pub(super) async fn serve(
    node: Arc<Node>,
    peer: Arc<Peer>,
    mut stream: TcpStream,
) -> Result<End, ConnectionError> {
    let (read, write) = stream.split();
    let config = node.config();
    let limits = &config.connections;
    let mut connection = Connection {
        inbox: Inbox::new(config.requests.request_bytes_max),
        pipeline: Pipeline::new(limits.in_flight_max),
        out: Chunks::default(),
        answered: Vec::new(),
        reserved: Reservation::default(),
        deadline: Box::pin(sleep_until(Instant::now() + first_deadline(limits))),
        arrived: Instant::now(),
        last_active: Instant::now(),
        frame_started: None,
        broken: false,
        ended: false,
        read,
        write,
        peer,
        node,
    };
    match connection.run().await {
        Err(ConnectionError::Killed) => Ok(End::Cut),
        end => end,
    }
}

/// When to look for the first time at what is overdue.
fn first_deadline(limits: &ConnectionLimits) -> Duration {
    limits.idle_max.map_or(REST_AFTER, |idle_max| idle_max.min(REST_AFTER))
}

struct Connection<'a> {
    node: Arc<Node>,
    peer: Arc<Peer>,
    read: ReadHalf<'a>,
    write: WriteHalf<'a>,
    inbox: Inbox,
    pipeline: Pipeline,
    out: Chunks,
    /// The requests whose answers are in `out`.
    answered: Vec<UnderWay>,
    /// The memory of the request that is coming in.
    reserved: Reservation,
    /// Fires now and then; what is overdue is decided when it does, not at every request.
    deadline: Pin<Box<Sleep>>,
    /// When the newest bytes came. One look at the clock serves all requests of a read.
    arrived: Instant,
    /// When bytes last went in or out.
    last_active: Instant,
    /// Since when the broker waits for the rest of a request.
    frame_started: Option<Instant>,
    /// Something came that ends the connection once the answers before it are written.
    broken: bool,
    /// The client sends nothing more.
    ended: bool,
}

/// What became of the bytes that have arrived.
enum Taken {
    Request,
    /// No request is whole yet.
    Nothing,
    /// The next request needs as many units of memory more, which are not free.
    NoMemory(u32),
}

enum Event {
    Read(usize),
    Answer(Answer, Option<UnderWay>),
    Reserved(Reservation),
    Deadline,
    Stop,
    Cut,
}

impl Connection<'_> {
    async fn run(&mut self) -> Result<End, ConnectionError> {
        let stopping = self.node.tasks.stopping();
        tokio::pin!(stopping);
        let mut draining = false;
        loop {
            if !self.node.gate.is_open() && self.node.gate.pass().await.is_err() {
                return Err(ConnectionError::Killed);
            }
            let reads = !(draining || self.broken || self.ended);
            let blocked = if reads { self.take_requests().await } else { None };
            self.take_ready_answers().await?;
            self.flush().await?;
            if (draining || self.ended) && self.pipeline.is_empty() {
                return Ok(if self.ended { End::Closed } else { End::Stopped });
            }
            // Answers may have left the pipeline since requests were taken into it.
            let goes_on = reads && !self.broken && blocked.is_none() && self.has_room();
            if goes_on && self.inbox.has_frame() {
                continue;
            }
            if goes_on {
                self.inbox.make_room();
            }
            let event = tokio::select! {
                biased;
                (answer, request) = self.pipeline.next() => Event::Answer(answer, request),
                read = self.read.read_buf(self.inbox.buffer()), if goes_on => Event::Read(read?),
                memory = self.node.memory.wait_for(blocked.unwrap_or(0)),
                    if blocked.is_some() => Event::Reserved(memory),
                () = &mut stopping, if !draining => Event::Stop,
                () = self.node.gate.until_cut(), if draining => Event::Cut,
                () = self.deadline.as_mut() => Event::Deadline,
            };
            match event {
                Event::Read(0) => self.note_end()?,
                Event::Read(bytes) => self.note_arrival(bytes),
                Event::Answer(answer, request) => self.put_out(answer, request).await?,
                Event::Reserved(memory) => self.reserved.add(memory),
                Event::Stop => draining = true,
                Event::Cut => return Err(ConnectionError::Killed),
                Event::Deadline => {
                    if let Some(end) = self.check_deadlines()? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// Whether the next request may be taken, whatever it is, as far as is known of it.
    fn has_room(&self) -> bool {
        let length = self.inbox.next_length();
        self.pipeline.has_room(matches!(length, Ok(Some(length)) if length > FREE_BYTES))
    }

    /// Dispatches every request that is whole. Gives the units of memory that the next request
    /// needs more and that are not free.
    async fn take_requests(&mut self) -> Option<u32> {
        // A broker that was killed carries out nothing more, though it has been read.
        while self.has_room() && !self.broken && self.node.gate.is_open() {
            match self.take_request().await {
                Ok(Taken::Request) => {}
                Ok(Taken::Nothing) => {
                    if !self.inbox.unread().is_empty() {
                        self.await_rest(Instant::now());
                    }
                    return None;
                }
                Ok(Taken::NoMemory(units)) => {
                    // What is half there must not hold its share for ever while it waits for more.
                    if self.inbox.has_frame() {
                        self.frame_started = None;
                    } else {
                        self.await_rest(Instant::now());
                    }
                    return Some(units);
                }
                Err(error) => {
                    self.broken = true;
                    self.pipeline.cut();
                    self.pipeline.push(Slot::Ready(Err(error)), None);
                }
            }
        }
        // As long as nothing is read, no client can be too slow.
        self.frame_started = None;
        None
    }

    async fn take_request(&mut self) -> Result<Taken, ConnectionError> {
        let Some(length) = self.inbox.next_length()? else { return Ok(Taken::Nothing) };
        let missing = self.missing_memory(length);
        if !self.node.memory.try_extend(&mut self.reserved, missing) {
            return Ok(Taken::NoMemory(missing));
        }
        let Some(frame) = self.inbox.next_frame()? else { return Ok(Taken::Nothing) };
        if length > KEPT_BYTES_MAX {
            // Nobody counts it once the request is carried out.
            self.inbox.rest();
        }
        self.frame_started = None;
        let (arrived, memory) = (self.arrived, mem::take(&mut self.reserved));
        let (api, dispatched) = dispatch(&self.node, &self.peer, frame).await?;
        let slot = match dispatched {
            Dispatched::Ready(answer) => Slot::Ready(Ok(answer)),
            // Who waits for others keeps nothing of the frame.
            Dispatched::Later(answer) if waits_for_others(api) => {
                Slot::Later(answer, Reservation::default())
            }
            Dispatched::Later(answer) => Slot::Later(answer, memory),
            Dispatched::Silent => return Ok(Taken::Request),
        };
        self.pipeline.push(slot, Some(UnderWay { api, arrived }));
        Ok(Taken::Request)
    }

    /// The units of memory that the next request, of this length, needs more.
    fn missing_memory(&self, length: usize) -> u32 {
        let arrived = self.inbox.unread().len().saturating_sub(LENGTH_SIZE).min(length);
        self.node.memory.missing(&self.reserved, length, arrived)
    }

    fn note_arrival(&mut self, bytes: usize) {
        self.node.metrics.count_received(bytes);
        self.arrived = Instant::now();
        self.last_active = self.arrived;
        self.await_rest(self.arrived);
    }

    /// A request has begun and is not whole: from now on, unless it has been so, its client has
    /// only so much time.
    fn await_rest(&mut self, now: Instant) {
        if self.frame_started.is_none() {
            self.frame_started = Some(now);
            let due = now + self.node.config().connections.receive_timeout;
            if self.deadline.deadline() > due {
                self.deadline.as_mut().reset(due);
            }
        }
    }

    async fn take_ready_answers(&mut self) -> Result<(), ConnectionError> {
        while self.out.remaining() < WRITE_BYTES_TARGET {
            let next = std::future::poll_fn(|context| {
                std::task::Poll::Ready(self.pipeline.poll_next(context))
            });
            match next.await {
                std::task::Poll::Ready((answer, request)) => self.put_out(answer, request).await?,
                std::task::Poll::Pending => break,
            }
        }
        Ok(())
    }

    async fn put_out(
        &mut self,
        answer: Answer,
        request: Option<UnderWay>,
    ) -> Result<(), ConnectionError> {
        match answer {
            Ok(answer) => {
                self.out.push(answer);
                self.answered.extend(request);
                Ok(())
            }
            Err(error) => {
                self.flush().await?;
                Err(error)
            }
        }
    }

    async fn flush(&mut self) -> Result<(), ConnectionError> {
        while self.out.remaining() > 0 {
            let sent = tokio::select! {
                biased;
                sent = timeout(WRITE_TIME_MAX, self.out.send(self.write.as_ref())) => sent,
                () = self.node.gate.until_cut() => return Err(ConnectionError::Killed),
            };
            match sent.map_err(|_| ConnectionError::NotReading)?? {
                Some(bytes) => self.node.metrics.count_sent(bytes),
                None => {
                    let read = self.out.bring_in(&self.node.cold_reads).await;
                    read.map_err(ConnectionError::Unreadable)?;
                }
            }
        }
        if !self.answered.is_empty() {
            self.note_answers();
        }
        Ok(())
    }

    fn note_answers(&mut self) {
        self.last_active = Instant::now();
        for alike in self.answered.chunk_by(|a, b| a.api == b.api && a.arrived == b.arrived) {
            if let [first, ..] = alike {
                let took = self.last_active - first.arrived;
                self.node.metrics.count_requests(first.api, took, alike.len());
            }
        }
        self.answered.clear();
    }

    /// The client closed its side: well, unless in the middle of a request. It may still take the
    /// answers to what it has asked, but is not there for what others do.
    fn note_end(&mut self) -> Result<(), ConnectionError> {
        match self.inbox.unread().len() {
            0 => {
                self.ended = true;
                self.pipeline.cut();
                Ok(())
            }
            bytes => Err(ConnectionError::Cut(bytes)),
        }
    }

    /// Whether the client has closed its side behind what was not read yet.
    fn has_left(&self) -> bool {
        let stream: &TcpStream = self.write.as_ref();
        let mut polled = [PollFd::new(stream, LEFT)];
        rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Why a request did not arrive whole in time.
    fn too_slow(&self, time_max: Duration) -> ConnectionError {
        match self.inbox.next_length() {
            Ok(Some(length)) if self.missing_memory(length) > 0 => {
                ConnectionError::NoMemory(time_max)
            }
            _ => ConnectionError::TooSlow(time_max),
        }
    }

    /// Says whether the connection's time is up, and when to ask again.
    fn check_deadlines(&mut self) -> Result<Option<End>, ConnectionError> {
        let now = Instant::now();
        let in_request = !self.inbox.unread().is_empty() && self.has_room();
        if let Some(started) = self.frame_started.filter(|_| in_request) {
            let time_max = self.node.config().connections.receive_timeout;
            if now >= started + time_max {
                return Err(self.too_slow(time_max));
            }
            self.deadline.as_mut().reset(started + time_max);
            return Ok(None);
        }
        let idle_max = self.node.config().connections.idle_max;
        let due = idle_max.map(|idle_max| self.last_active + idle_max);
        let is_quiet = self.pipeline.is_empty() && self.inbox.unread().is_empty();
        if is_quiet && due.is_some_and(|due| now >= due) {
            return Ok(Some(End::Idle));
        }
        // Nothing is read while something waits that has no room, not even that it has left.
        let patience = idle_max.unwrap_or(PATIENCE);
        let is_absent = !is_quiet && !self.ended && now >= self.last_active + patience;
        if is_absent && self.has_left() {
            return Ok(Some(End::Closed));
        }
        self.inbox.rest();
        self.out.rest();
        let next = due.filter(|due| *due > now).unwrap_or(now + REST_AFTER);
        self.deadline.as_mut().reset(next);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::Broker;

    #[tokio::test]
    async fn a_request_that_waits_for_memory_is_ended_in_time() {
        let broker = Broker::builder().ephemeral().set("request.receive.timeout.ms", "50");
        let broker = broker.start().await.unwrap();
        let node = broker.node();
        let memory = &node.memory;
        let (mut all, mut beyond) = (Reservation::default(), Reservation::default());
        let units = memory.missing(&all, usize::MAX, usize::MAX);
        assert!(memory.try_extend(&mut all, units));
        assert!(memory.try_extend(&mut beyond, 1));

        let mut client = TcpStream::connect(broker.bootstrap()).await.unwrap();
        let half = [&(1i32 << 20).to_be_bytes()[..], &[0; 2 * FREE_BYTES]].concat();
        client.write_all(&half).await.unwrap();
        let read = timeout(Duration::from_secs(20), client.read_u8()).await;
        assert!(read.expect("nobody ended it").is_err());
        drop((all, beyond));
    }
}
