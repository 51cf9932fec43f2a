//! One socket: requests out in order, answers back to whoever asked.

mod chunks;
mod outbox;
mod read;
mod shared;
mod write;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::declare::Answer;
use klamm_protocol::wire::{Encoded, WireError};
use klamm_utils::task::TaskGroup;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit, oneshot};
use tokio::time::Instant;

use self::outbox::{Left, Outbox, Room};
use self::shared::{Reason, Shared, Waiting};
use crate::dial::Socket;
use crate::error::{Error, Result};

/// How a link treats its peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests that may wait for their answers; further callers wait.
    pub(crate) in_flight: usize,
    /// How long an answer may take where its request does not say more. One that takes longer ends
    /// the link, for no later answer can overtake it, whether or not its caller still waits. As
    /// long may it take until the peer takes some more of what is sent.
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
    outbox: Outbox,
}

/// The whole window of a link: nothing else is asked while it is held.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    link: &'a Link,
    _window: SemaphorePermit<'a>,
}

/// The right to send one request, without waiting.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    link: &'a Link,
    room: Room<'a>,
    /// Its place in the window; none if the whole window is held.
    slot: Option<OwnedSemaphorePermit>,
}

/// The right to one answer. Dropping it loses the answer and nothing else.
#[derive(Debug)]
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    api: &'static str,
    answer: oneshot::Receiver<Bytes>,
    after: Duration,
    deadline: Instant,
}

/// What tells when a request that is not answered has gone.
#[derive(Debug)]
pub(crate) struct Going {
    shared: Arc<Shared>,
    api: &'static str,
    written: oneshot::Receiver<()>,
}

impl Link {
    /// Takes over a connected socket.
    pub(crate) fn open(
        socket: Socket,
        address: Arc<str>,
        limits: Limits,
        tasks: TaskGroup,
    ) -> Self {
        let secret = matches!(socket, Socket::Tls(_));
        let shared = Arc::new(Shared::new(address, limits, secret, tasks));
        let (outbox, left) = Outbox::new(shared.limits.in_flight);
        match socket {
            Socket::Plain(socket) => {
                let (input, output) = socket.into_split();
                talk(&shared, input, outbox.share(output), left);
            }
            Socket::Tls(socket) => {
                let (input, output) = tokio::io::split(socket);
                talk(&shared, input, output, left);
            }
        }
        Self { shared, outbox }
    }

    /// How long an answer may take where its request does not say more.
    pub(crate) fn timeout(&self) -> Duration {
        self.shared.limits.timeout
    }

    pub(crate) fn address(&self) -> &Arc<str> {
        &self.shared.address
    }

    /// Whether requests may still be sent.
    pub(crate) fn is_alive(&self) -> bool {
        self.shared.is_alive()
    }

    /// Whether the broker has said that it does not listen now.
    pub(crate) fn is_throttled(&self) -> bool {
        self.shared.throttled_until().is_some()
    }

    /// Whether nobody waits for an answer.
    pub(crate) fn is_free(&self) -> bool {
        self.shared.window.available_permits() == self.shared.limits.in_flight
    }

    /// Waits until the window has room for a request, and the broker listens.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub(crate) async fn turn(&self, api: &'static str) -> Result<Turn<'_>> {
        loop {
            let slot = Arc::clone(&self.shared.window).acquire_owned().await;
            let slot = slot.map_err(|_| self.shared.disconnected(api, false))?;
            let Some(until) = self.shared.throttled_until() else {
                return self.turn_with(Some(slot), api).await;
            };
            drop(slot);
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = self.shared.tasks.stopping() => {}
            }
        }
    }

    /// The same, if nothing is to be waited for.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_>> {
        if self.is_throttled() {
            return None;
        }
        let slot = Arc::clone(&self.shared.window).try_acquire_owned().ok()?;
        Some(Turn { link: self, room: self.outbox.try_room()?, slot: Some(slot) })
    }

    async fn turn_with(
        &self,
        slot: Option<OwnedSemaphorePermit>,
        api: &'static str,
    ) -> Result<Turn<'_>> {
        let room = self.outbox.room().await;
        let room = room.ok_or_else(|| self.shared.disconnected(api, false))?;
        Ok(Turn { link: self, room, slot })
    }

    /// Waits until all that was asked is answered, and keeps others from asking. An answer that
    /// does not come ends the link, and this, in its time.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub(crate) async fn hold(&self, api: &'static str) -> Result<Held<'_>> {
        let whole = u32::try_from(self.shared.limits.in_flight).unwrap_or(u32::MAX);
        let window = self.shared.window.acquire_many(whole).await;
        let window = window.map_err(|_| self.shared.disconnected(api, false))?;
        Ok(Held { link: self, _window: window })
    }

    /// Ends it for everyone.
    pub(crate) fn fail(&self, reason: &str) {
        self.shared.fail(reason.into());
    }

    /// The tasks that live as long as it does.
    pub(crate) fn tasks(&self) -> &TaskGroup {
        &self.shared.tasks
    }
}

impl Turn<'_> {
    /// Sends a request. When this returns, the order among requests is fixed. The answer may take
    /// as long as `after`; if it takes longer, the link fails. That ends every wait for the window,
    /// too.
    pub(crate) fn submit(
        self,
        api: &'static str,
        after: Duration,
        encode: impl FnOnce(i32) -> std::result::Result<Encoded, WireError>,
    ) -> Result<Ticket> {
        let Self { link: Link { shared, .. }, room, slot } = self;
        let id = shared.new_id();
        let request = encode(id).map_err(|source| shared.wire(api, source))?;
        let (sender, answer) = oneshot::channel();
        let deadline = Instant::now() + after;
        shared.expect(id, Waiting { api, answer: sender, after, deadline, slot })?;
        room.send(request, None);
        Ok(Ticket { shared: Arc::clone(shared), api, answer, after, deadline })
    }

    /// Sends a request that the broker does not answer. Nobody waits for it, but it has waited for
    /// whoever held the link.
    pub(crate) fn submit_unanswered(
        self,
        api: &'static str,
        encode: impl FnOnce(i32) -> std::result::Result<Encoded, WireError>,
    ) -> Result<Going> {
        let Self { link: Link { shared, .. }, room, .. } = self;
        let request = encode(shared.new_id()).map_err(|source| shared.wire(api, source))?;
        shared.expect_nothing(api)?;
        let (sender, written) = oneshot::channel();
        room.send(request, Some(sender));
        Ok(Going { shared: Arc::clone(shared), api, written })
    }
}

/// Starts the tasks of a link.
fn talk(
    shared: &Arc<Shared>,
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
    left: Left,
) {
    let (reader, writer) = (Arc::clone(shared), Arc::clone(shared));
    let tasks = &shared.tasks;
    let (stop_reading, stop_writing) = (tasks.stopping(), tasks.stopping());
    tasks.spawn("read", async move {
        tokio::select! {
            () = stop_reading => reader.fail("closed by this client".into()),
            reason = read::read(&reader, input) => reader.fail(reason),
        }
    });
    tasks.spawn("write", async move {
        let patience = writer.limits.timeout;
        tokio::select! {
            () = stop_writing => {}
            ended = write::write(left, output, patience) => if let Err(reason) = ended {
                writer.fail(reason);
            },
        }
    });
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
        let turn = self.link.turn_with(None, api).await?;
        turn.submit(api, self.link.timeout(), encode)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.tasks.stop();
    }
}

impl Ticket {
    /// The answer's frame.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it loses the answer; the link goes on.
    pub(crate) async fn frame(&mut self) -> Result<Bytes> {
        let Self { shared, api, answer, after, deadline } = self;
        match tokio::time::timeout_at(*deadline, answer).await {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(_)) => Err(shared.disconnected(api, true)),
            Err(_) => {
                let after = *after;
                shared.fail(Reason::silent(api, after));
                Err(Error::Timeout { address: Arc::clone(&shared.address), api, after })
            }
        }
    }

    /// If the answer says that the broker does not listen for a while, has nobody ask meanwhile:
    /// the answer would be late for no other reason. (Brokers before Kafka 2.0 say so when they
    /// have answered late already, and are given the time again.)
    pub(crate) fn heed(&self, answer: &impl Answer) {
        let throttle_ms = u64::try_from(answer.throttle_time_ms()).unwrap_or(0);
        if throttle_ms > 0 {
            self.shared.throttle(Instant::now() + Duration::from_millis(throttle_ms));
        }
    }
}

impl Going {
    /// Waits until the socket has all of the request.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing: the request goes on.
    pub(crate) async fn gone(self) -> Result<()> {
        let Self { shared, api, written } = self;
        written.await.map_err(|_| shared.disconnected(api, true))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::task::{Context, Waker};

    use super::*;
    use klamm_protocol::api::heartbeat::Response as Heartbeat;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

    async fn ask(link: &Link, api: &'static str, after: Duration) -> Result<Ticket> {
        link.turn(api).await?.submit(api, after, request)
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
        let mut one = ask(&link, "Test", link.timeout()).await.unwrap();
        let mut two = ask(&link, "Test", link.timeout()).await.unwrap();
        let (first, second) = (asked(&mut broker).await, asked(&mut broker).await);
        assert!(first < second);
        answer(&mut broker, second, b"two").await;
        answer(&mut broker, first, b"one").await;
        assert_eq!(one.frame().await.unwrap()[4..], *b"one");
        assert_eq!(two.frame().await.unwrap()[4..], *b"two");
    }

    #[tokio::test]
    async fn requests_arrive_whole_and_in_order_though_the_peer_is_slow() {
        const REQUESTS: i32 = 64;
        /// More than sockets hold.
        const SIZE: i32 = 1 << 18;
        let (link, mut broker) = linked(usize::try_from(REQUESTS).unwrap(), LONG).await;
        let large = |id: i32| {
            let mut w = klamm_protocol::wire::Writer::new(0, false);
            w.put(&(SIZE + id).to_be_bytes());
            w.put(&id.to_be_bytes());
            w.put(&vec![u8::try_from(id).unwrap(); usize::try_from(SIZE + id - 4).unwrap()]);
            w.finish()
        };
        let asking = async {
            for _ in 0..REQUESTS {
                drop(link.turn("Test").await.unwrap().submit("Test", LONG, large).unwrap());
                tokio::task::yield_now().await;
            }
        };
        let hearing = async {
            for id in 0..REQUESTS {
                assert_eq!(broker.read_i32().await.unwrap(), SIZE + id);
                assert_eq!(broker.read_i32().await.unwrap(), id);
                let mut body = vec![0; usize::try_from(SIZE + id - 4).unwrap()];
                broker.read_exact(&mut body).await.unwrap();
                assert!(body.iter().all(|byte| i32::from(*byte) == id));
            }
        };
        tokio::join!(asking, hearing);
    }

    #[tokio::test]
    async fn a_caller_that_goes_disturbs_nobody() {
        let (link, mut broker) = linked(1, LONG).await;
        drop(ask(&link, "Test", link.timeout()).await.unwrap());
        // The window is still taken: the next caller waits, and goes, too.
        let waiting = ask(&link, "Test", link.timeout());
        assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
        let id = asked(&mut broker).await;
        answer(&mut broker, id, b"late").await;
        let mut next = ask(&link, "Test", link.timeout()).await.unwrap();
        let id = asked(&mut broker).await;
        answer(&mut broker, id, b"next").await;
        assert_eq!(next.frame().await.unwrap()[4..], *b"next");
    }

    fn throttled(throttle_time_ms: i32) -> Heartbeat {
        Heartbeat { throttle_time_ms, ..Heartbeat::default() }
    }

    /// All asked on, and missed their answers where those took longer than a request may.
    #[tokio::test]
    async fn nobody_asks_while_the_broker_does_not_listen() {
        let (link, mut broker) = linked(1, LONG).await;
        let mut one = ask(&link, "Test", LONG).await.unwrap();
        // It is in line already.
        let mut two = Box::pin(ask(&link, "Test", LONG));
        let mut unready =
            || two.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        assert!(unready());
        let id = asked(&mut broker).await;
        answer(&mut broker, id, b"").await;
        one.frame().await.unwrap();
        one.heed(&throttled(3_600_000));
        // The longest counts.
        one.heed(&throttled(1));
        assert!(unready());
        assert!(link.is_free() && link.is_throttled() && link.try_turn().is_none());
        let asked_before = link.shared.asked().unwrap();
        assert!(link.shared.fail_if_idle(asked_before).is_none(), "somebody waits");
        // A session is renewed all the same.
        let held = link.hold("Test").await.unwrap();
        let mut renewal = held.submit("Test", request).await.unwrap();
        let id = asked(&mut broker).await;
        answer(&mut broker, id, b"").await;
        renewal.frame().await.unwrap();
        drop(held);
        link.fail("because");
        assert!(two.await.unwrap_err().to_string().contains("because"));
    }

    #[tokio::test]
    async fn a_broker_that_listens_again_is_asked() {
        let (link, mut broker) = linked(1, LONG).await;
        for _ in 0..3 {
            let mut ticket = ask(&link, "Test", LONG).await.unwrap();
            let id = asked(&mut broker).await;
            answer(&mut broker, id, b"").await;
            ticket.frame().await.unwrap();
            ticket.heed(&throttled(1));
        }
    }

    #[tokio::test]
    async fn nonsense_and_silence_end_the_link_for_all() {
        let (link, mut broker) = linked(5, LONG).await;
        let mut one = ask(&link, "Test", link.timeout()).await.unwrap();
        answer(&mut broker, 77, b"").await;
        let error = one.frame().await.unwrap_err();
        assert!(error.possibly_written() && error.to_string().contains("nobody asked"), "{error}");
        assert!(!link.is_alive());
        let error = ask(&link, "Test", link.timeout()).await.unwrap_err();
        assert!(!error.possibly_written() && error.is_retriable());

        let (link, _broker) = linked(5, LONG).await;
        let mut one = ask(&link, "Test", Duration::from_millis(1)).await.unwrap();
        assert!(matches!(one.frame().await, Err(Error::Timeout { .. })));
        assert!(!link.is_alive());
    }

    #[tokio::test]
    async fn an_answer_is_missed_though_its_caller_is_gone() {
        let (link, _broker) = linked(2, Duration::from_millis(1)).await;
        drop(ask(&link, "Gone", link.timeout()).await.unwrap());
        let error = link.hold("Test").await.unwrap_err().to_string();
        assert!(error.contains("no answer to Gone within"), "{error}");
        assert!(!link.is_alive());

        let (link, _broker) = linked(1, Duration::from_millis(1)).await;
        drop(ask(&link, "Gone", link.timeout()).await.unwrap());
        let error = ask(&link, "Test", LONG).await.unwrap_err();
        assert!(!error.possibly_written() && error.to_string().contains("no answer to Gone"));
    }

    #[tokio::test]
    async fn a_request_has_the_patience_of_its_caller() {
        let (link, mut broker) = linked(2, Duration::from_millis(1)).await;
        let mut patient = ask(&link, "Test", LONG).await.unwrap();
        let id = asked(&mut broker).await;
        let waiting = tokio::time::timeout(Duration::from_millis(20), link.hold("Test")).await;
        assert!(waiting.is_err() && link.is_alive());
        answer(&mut broker, id, b"late").await;
        assert_eq!(patient.frame().await.unwrap()[4..], *b"late");
        link.hold("Test").await.unwrap();
    }

    #[tokio::test]
    async fn what_is_asked_by_whoever_holds_the_link_is_no_use_of_it() {
        let (link, mut broker) = linked(5, LONG).await;
        let shared = &link.shared;
        assert_eq!(shared.asked(), Some(0));
        let held = link.hold("Test").await.unwrap();
        let mut ticket = held.submit("Test", request).await.unwrap();
        assert_eq!(shared.asked(), Some(0));
        let id = asked(&mut broker).await;
        answer(&mut broker, id, b"").await;
        ticket.frame().await.unwrap();
        drop(held);
        let going = link.turn("Test").await.unwrap().submit_unanswered("Test", request).unwrap();
        going.gone().await.unwrap();
        assert_eq!(shared.asked(), Some(1));
        let mut ticket = ask(&link, "Test", LONG).await.unwrap();
        assert_eq!(shared.asked(), None);
        assert!(shared.fail_if_idle(2).is_none(), "an answer is awaited");
        asked(&mut broker).await;
        let id = asked(&mut broker).await;
        answer(&mut broker, id, b"").await;
        ticket.frame().await.unwrap();
        assert!(shared.fail_if_idle(1).is_none(), "something was asked in between");
        assert!(shared.fail_if_idle(2).is_some());
        let error =
            link.turn("Test").await.unwrap().submit_unanswered("Test", request).unwrap_err();
        assert!(!error.possibly_written() && error.to_string().contains("nobody used it"));
    }

    #[tokio::test]
    async fn dropping_the_link_closes_the_socket() {
        let (link, mut broker) = linked(5, LONG).await;
        drop(link);
        assert_eq!(broker.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
