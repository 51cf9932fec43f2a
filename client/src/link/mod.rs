//! One socket: requests out in order, answers back to whoever asked.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use klamm_protocol::frame::FrameCodec;
use klamm_protocol::wire::{Chunk, Encoded, WireError};
use klamm_utils::task::TaskGroup;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::codec::Decoder as _;

use crate::dial::Socket;
use crate::error::{Error, Result};
use crate::idle::Idle;
use crate::tls;

/// Room in the read buffer before each read.
const READ_ROOM: usize = 16 * 1024;
/// Requests that one system call may carry.
const WRITE_TOGETHER: usize = 16;

/// How a link treats its peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests that may wait for their answers; further callers wait.
    pub(crate) in_flight: usize,
    /// How long an answer may take. One that takes longer ends the link, for no later answer can
    /// overtake it.
    pub(crate) timeout: Duration,
    /// The largest answer.
    pub(crate) answer_bytes_max: usize,
    /// How long nobody may use it before it is closed; for ever if not set.
    pub(crate) idle_max: Option<Duration>,
}

/// A socket on which many callers ask at once. Dropping it closes the socket.
#[derive(Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Encoded>,
    tasks: TaskGroup,
}

/// What callers, reader and writer share.
#[derive(Debug)]
struct Shared {
    address: Arc<str>,
    limits: Limits,
    /// Whether the socket speaks TLS.
    secret: bool,
    window: Arc<Semaphore>,
    next_id: AtomicI32,
    /// Held for a few instructions and never across an await: an owner task would cost every
    /// answer one more hop.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<i32, Waiting>,
    /// Why the link is dead. Set once; nothing is sent or believed after it.
    failed: Option<Arc<str>>,
}

/// A request without its answer. It stays when its caller goes, so that the answer is still
/// known when it comes.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<std::result::Result<Bytes, Arc<str>>>,
    _slot: Option<OwnedSemaphorePermit>,
}

/// The whole window of a link: nothing else is asked while it is held.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    link: &'a Link,
    _window: SemaphorePermit<'a>,
}

/// The right to one answer. Dropping it loses the answer and nothing else.
#[derive(Debug)]
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    api: &'static str,
    answer: oneshot::Receiver<std::result::Result<Bytes, Arc<str>>>,
    deadline: Instant,
}

impl Link {
    /// Takes over a connected socket.
    pub(crate) fn open(
        socket: Socket,
        address: Arc<str>,
        limits: Limits,
        tasks: TaskGroup,
    ) -> Self {
        match socket {
            Socket::Plain(socket) => {
                let (input, output) = socket.into_split();
                Self::over(input, output, Shared::new(address, limits, false), tasks)
            }
            Socket::Tls(socket) => {
                let (input, output) = tokio::io::split(socket);
                Self::over(input, output, Shared::new(address, limits, true), tasks)
            }
        }
    }

    fn over(
        input: impl AsyncRead + Unpin + Send + 'static,
        output: impl AsyncWrite + Unpin + Send + 'static,
        shared: Shared,
        tasks: TaskGroup,
    ) -> Self {
        let shared = Arc::new(shared);
        let (requests, queue) = mpsc::channel(shared.limits.in_flight);
        let (reader, writer) = (Arc::clone(&shared), Arc::clone(&shared));
        let (stop_reading, stop_writing) = (tasks.stopping(), tasks.stopping());
        let all = tasks.clone();
        tasks.spawn("read", async move {
            tokio::select! {
                () = stop_reading => reader.fail("closed by this client"),
                reason = read(&reader, input) => reader.fail(&reason),
            }
            // The socket is closed when both have ended.
            all.stop();
        });
        tasks.spawn("write", async move {
            tokio::select! {
                () = stop_writing => {}
                ended = write(queue, output) => if let Err(error) = ended {
                    writer.fail(&tls::why_io(&error));
                },
            }
        });
        Self { shared, requests, tasks }
    }

    pub(crate) fn address(&self) -> &Arc<str> {
        &self.shared.address
    }

    /// Whether requests may still be sent.
    pub(crate) fn is_alive(&self) -> bool {
        self.shared.lock().failed.is_none()
    }

    /// Sends a request once the window has room. When this returns, the order among requests is
    /// fixed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has sent nothing.
    pub(crate) async fn submit(
        &self,
        api: &'static str,
        encode: impl FnOnce(i32) -> std::result::Result<Encoded, WireError>,
    ) -> Result<Ticket> {
        let slot = Arc::clone(&self.shared.window).acquire_owned().await;
        let slot = slot.map_err(|_| self.shared.disconnected(api, false))?;
        self.send(Some(slot), api, encode).await
    }

    /// Sends a request that the broker does not answer.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has sent nothing.
    pub(crate) async fn submit_unanswered(
        &self,
        api: &'static str,
        encode: impl FnOnce(i32) -> std::result::Result<Encoded, WireError>,
    ) -> Result<()> {
        // Nobody waits for it, but it waits for whoever holds the link.
        let slot = self.shared.window.acquire().await;
        let _slot = slot.map_err(|_| self.shared.disconnected(api, false))?;
        let room = self.requests.reserve().await;
        let room = room.map_err(|_| self.shared.disconnected(api, false))?;
        room.send(encode(self.shared.new_id()).map_err(|source| self.shared.wire(api, source))?);
        Ok(())
    }

    /// Waits until all that was asked is answered, and keeps others from asking.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub(crate) async fn hold(&self, api: &'static str) -> Result<Held<'_>> {
        let whole = u32::try_from(self.shared.limits.in_flight).unwrap_or(u32::MAX);
        let window = self.shared.window.acquire_many(whole).await;
        let window = window.map_err(|_| self.shared.disconnected(api, false))?;
        Ok(Held { link: self, _window: window })
    }

    async fn send(
        &self,
        slot: Option<OwnedSemaphorePermit>,
        api: &'static str,
        encode: impl FnOnce(i32) -> std::result::Result<Encoded, WireError>,
    ) -> Result<Ticket> {
        let room = self.requests.reserve().await;
        let room = room.map_err(|_| self.shared.disconnected(api, false))?;
        let id = self.shared.new_id();
        let request = encode(id).map_err(|source| self.shared.wire(api, source))?;
        let (sender, answer) = oneshot::channel();
        self.shared.expect(id, Waiting { answer: sender, _slot: slot }, api)?;
        room.send(request);
        let deadline = Instant::now() + self.shared.limits.timeout;
        Ok(Ticket { shared: Arc::clone(&self.shared), api, answer, deadline })
    }

    /// Ends it for everyone.
    pub(crate) fn fail(&self, reason: &str) {
        self.shared.fail(reason);
        self.tasks.stop();
    }

    /// The tasks that live as long as it does.
    pub(crate) fn tasks(&self) -> &TaskGroup {
        &self.tasks
    }
}

impl Held<'_> {
    /// Sends a request before all that others wait to send.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has sent nothing.
    pub(crate) async fn submit(
        &self,
        api: &'static str,
        encode: impl FnOnce(i32) -> std::result::Result<Encoded, WireError>,
    ) -> Result<Ticket> {
        self.link.send(None, api, encode).await
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Ticket {
    /// The answer's frame.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it loses the answer; the link goes on.
    pub(crate) async fn frame(self) -> Result<Bytes> {
        match tokio::time::timeout_at(self.deadline, self.answer).await {
            Ok(Ok(Ok(frame))) => Ok(frame),
            Ok(Ok(Err(_)) | Err(_)) => Err(self.shared.disconnected(self.api, true)),
            Err(_) => {
                let after = self.shared.limits.timeout;
                self.shared.fail(&format!("no answer to {} within {after:?}", self.api));
                let address = Arc::clone(&self.shared.address);
                Err(Error::Timeout { address, api: self.api, after })
            }
        }
    }
}

impl Shared {
    fn new(address: Arc<str>, limits: Limits, secret: bool) -> Self {
        let limits = Limits { in_flight: limits.in_flight.max(1), ..limits };
        let window = Arc::new(Semaphore::new(limits.in_flight));
        let (next_id, state) = (AtomicI32::new(0), Mutex::default());
        Self { address, limits, secret, window, next_id, state }
    }

    fn new_id(&self) -> i32 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn expect(&self, id: i32, waiting: Waiting, api: &'static str) -> Result<()> {
        let mut state = self.lock();
        if state.failed.is_some() {
            drop(state);
            return Err(self.disconnected(api, false));
        }
        state.waiting.insert(id, waiting);
        Ok(())
    }

    /// Gives a frame to whoever asked. Fails if nobody did: then the stream makes no sense.
    fn deliver(&self, frame: Bytes) -> std::result::Result<(), String> {
        let id = frame.first_chunk::<4>().map(|id| i32::from_be_bytes(*id));
        let id = id.ok_or("an answer without a correlation id")?;
        let waiting = self.lock().waiting.remove(&id);
        let waiting = waiting.ok_or_else(|| format!("an answer {id} that nobody asked for"))?;
        // The caller may have gone.
        let _ = waiting.answer.send(Ok(frame));
        Ok(())
    }

    /// Ends the link for everyone. The first reason stands.
    fn fail(&self, reason: &str) {
        let (reason, waiting) = {
            let mut state = self.lock();
            let reason = Arc::clone(state.failed.get_or_insert_with(|| reason.into()));
            (reason, std::mem::take(&mut state.waiting))
        };
        self.window.close();
        for waiting in waiting.into_values() {
            // The caller may have gone.
            let _ = waiting.answer.send(Err(Arc::clone(&reason)));
        }
    }

    /// How many requests were sent; nothing while one of them waits.
    fn requests_so_far(&self) -> Option<i32> {
        let waits = !self.lock().waiting.is_empty();
        (!waits).then(|| self.next_id.load(Ordering::Relaxed))
    }

    /// Why the broker may have closed it after so many answers.
    fn closed_after(&self, answers: u64) -> String {
        let asked = !self.lock().waiting.is_empty();
        let may_want = match answers {
            0 if asked && !self.secret => {
                ", without an answer; if it speaks TLS on this port, set `security.protocol` to                  SSL or SASL_SSL"
            }
            1 if asked => {
                ", after it told its versions; if it wants SASL on this port, set                  `security.protocol` to SASL_SSL or SASL_PLAINTEXT"
            }
            _ => "",
        };
        format!("the broker closed it{may_want}")
    }

    fn disconnected(&self, api: &'static str, sent: bool) -> Error {
        let reason = self.lock().failed.clone().unwrap_or_else(|| "closed".into());
        Error::Disconnected { address: Arc::clone(&self.address), api, reason, sent }
    }

    fn wire(&self, api: &'static str, source: WireError) -> Error {
        Error::Wire { address: Arc::clone(&self.address), api, source }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads answers until the stream ends or nobody wants any, and tells why.
async fn read(shared: &Shared, mut input: impl AsyncRead + Unpin) -> String {
    let mut codec = FrameCodec::new(shared.limits.answer_bytes_max);
    let mut buffer = BytesMut::new();
    let mut idle = Idle::new(shared.limits.idle_max);
    let mut answers = 0u64;
    loop {
        if answers == 0 && !shared.secret && is_tls(&buffer) {
            return SPEAKS_TLS.to_owned();
        }
        let delivered = match codec.decode(&mut buffer) {
            Ok(Some(frame)) => {
                answers += 1;
                shared.deliver(frame)
            }
            Ok(None) => {
                buffer.reserve(READ_ROOM);
                tokio::select! {
                    biased;
                    read = input.read_buf(&mut buffer) => match read {
                        Ok(0) => Err(shared.closed_after(answers)),
                        Ok(_) => Ok(()),
                        Err(error) => Err(tls::why_io(&error)),
                    },
                    () = idle.passed(|| shared.requests_so_far()) => Err(NOBODY_ASKS.to_owned()),
                }
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = delivered {
            return reason;
        }
    }
}

const SPEAKS_TLS: &str = "the broker speaks TLS on this port; set `security.protocol` to SSL or                           SASL_SSL, or use the port where it does not";
const NOBODY_ASKS: &str = "closed by this client, for nobody used it";

/// Whether what was read first is an alert or a handshake of TLS: no frame is that large.
fn is_tls(read: &[u8]) -> bool {
    matches!(read, [0x15 | 0x16, 0x03, ..])
}

/// Writes what is queued, several requests at once where they have gathered.
async fn write(
    mut queue: mpsc::Receiver<Encoded>,
    mut output: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let mut requests = Vec::with_capacity(WRITE_TOGETHER);
    while queue.recv_many(&mut requests, WRITE_TOGETHER).await > 0 {
        let chunks = requests.drain(..).flat_map(Encoded::into_chunks);
        let mut chunks = Chunks(chunks.filter_map(Chunk::into_bytes).collect());
        output.write_all_buf(&mut chunks).await?;
        // What is encrypted may wait for room in the socket.
        output.flush().await?;
    }
    output.shutdown().await
}

/// Chunks as one vectored buffer. None of them is empty.
struct Chunks(VecDeque<Bytes>);

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.len().min(self.0.len());
        for (slice, chunk) in slices.iter_mut().zip(&self.0) {
            *slice = IoSlice::new(chunk);
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.0.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    fn request(id: i32) -> std::result::Result<Encoded, WireError> {
        let mut w = klamm_protocol::wire::Writer::new(0, false);
        w.put(&4i32.to_be_bytes());
        w.put(&id.to_be_bytes());
        w.finish()
    }

    /// A link, and the broker's end of it.
    async fn linked(in_flight: usize, timeout: Duration) -> (Arc<Link>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let limits = Limits { in_flight, timeout, answer_bytes_max: 1024, idle_max: None };
        let tasks = TaskGroup::new("test");
        let link =
            Link::open(Socket::Plain(ours.unwrap()), address.to_string().into(), limits, tasks);
        (Arc::new(link), theirs.unwrap().0)
    }

    async fn answer(broker: &mut TcpStream, id: i32, body: &[u8]) {
        let length = i32::try_from(4 + body.len()).unwrap();
        let frame = [&length.to_be_bytes()[..], &id.to_be_bytes(), body].concat();
        broker.write_all(&frame).await.unwrap();
    }

    async fn asked(broker: &mut TcpStream) -> i32 {
        assert_eq!(broker.read_i32().await.unwrap(), 4);
        broker.read_i32().await.unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn answers_find_those_who_asked() {
        let (link, mut broker) = linked(5, LONG).await;
        let one = link.submit("Test", request).await.unwrap();
        let two = link.submit("Test", request).await.unwrap();
        let (first, second) = (asked(&mut broker).await, asked(&mut broker).await);
        assert!(first < second);
        answer(&mut broker, second, b"two").await;
        answer(&mut broker, first, b"one").await;
        assert_eq!(one.frame().await.unwrap()[4..], *b"one");
        assert_eq!(two.frame().await.unwrap()[4..], *b"two");
    }

    #[tokio::test]
    async fn a_caller_that_goes_disturbs_nobody() {
        let (link, mut broker) = linked(1, LONG).await;
        drop(link.submit("Test", request).await.unwrap());
        // The window is still taken: the next caller waits, and goes, too.
        let waiting = link.submit("Test", request);
        assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
        let id = asked(&mut broker).await;
        answer(&mut broker, id, b"late").await;
        let next = link.submit("Test", request).await.unwrap();
        let id = asked(&mut broker).await;
        answer(&mut broker, id, b"next").await;
        assert_eq!(next.frame().await.unwrap()[4..], *b"next");
    }

    #[tokio::test]
    async fn nonsense_and_silence_end_the_link_for_all() {
        let (link, mut broker) = linked(5, LONG).await;
        let one = link.submit("Test", request).await.unwrap();
        answer(&mut broker, 77, b"").await;
        let error = one.frame().await.unwrap_err();
        assert!(error.possibly_written() && error.to_string().contains("nobody asked"), "{error}");
        assert!(!link.is_alive());
        let error = link.submit("Test", request).await.unwrap_err();
        assert!(!error.possibly_written() && error.is_retriable());

        let (link, _broker) = linked(5, Duration::from_millis(1)).await;
        let one = link.submit("Test", request).await.unwrap();
        assert!(matches!(one.frame().await, Err(Error::Timeout { .. })));
        assert!(!link.is_alive());
    }

    #[tokio::test]
    async fn dropping_the_link_closes_the_socket() {
        let (link, mut broker) = linked(5, LONG).await;
        drop(link);
        assert_eq!(broker.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[test]
    fn chunks_are_one_buffer() {
        let parts = ["ab", "c", "def"].map(Bytes::from);
        for step in 1..=6 {
            let mut chunks = Chunks(parts.iter().cloned().collect());
            let mut read = Vec::new();
            while chunks.has_remaining() {
                let count = step.min(chunks.remaining());
                let mut slices = [IoSlice::new(&[]); 4];
                let filled = chunks.chunks_vectored(&mut slices);
                let all: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
                read.extend_from_slice(&all[..count]);
                chunks.advance(count);
            }
            assert_eq!(read, b"abcdef");
        }
    }
}
