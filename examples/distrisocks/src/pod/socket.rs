//! `sock-recv`: one socket, from its handshake to its end.
//!
//! A socket is registered first and asks for what it has missed then, so that nothing falls in
//! between; what comes twice by that is sent once. What is not acknowledged is sent again.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket};
use common::auth::Identity;
use futures_util::future::{BoxFuture, OptionFuture};
use klamm_utils::random::Random;
use tokio::time::Instant;
use uuid::Uuid;

use super::publish::{Job, Written};
use super::seen::Seen;
use super::sockets::{Ended, Queue};
use super::{DeliveredOn, Pod, lease, now_ms};
use crate::status::Status;
use crate::store::{Advance, Message, PAGE, Place};
use crate::wire::{Delivery, FrameIn, FrameOut, TypedIn, TypedOut, fault_of, message_id};

/// Proxies close what says nothing for a minute.
pub(super) const PING_EVERY: Duration = Duration::from_secs(25);
/// What was not acknowledged for so long is sent again.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// When a pod has died, all ask again: within this time, and not all at once.
const ASK_WITHIN_MS: u64 = 1_000;
/// A socket that takes nothing for so long is closed.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// The other side's answer to a close is waited for so long.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// When a message may come again for which there was no room.
const FULL_FOR: Duration = Duration::from_secs(1);
/// How long before its end a session is told of.
const WARN_BEFORE: Duration = Duration::from_secs(60);

/// Why a socket ends.
#[derive(Debug)]
enum End {
    /// The other side has closed it, or is gone.
    Gone,
    /// This side closes it, and says why.
    Close(u16, &'static str),
}

const GOING_AWAY: End = End::Close(1001, "the pod stops");
const EXPIRED: End = End::Close(4401, "the session has ended");
const TOO_SLOW: End = End::Close(4408, "too slow: ask again for what was missed");
const REPLACED: End = End::Close(4409, "too many connections: a newer one took the place");

struct Socket {
    pod: Pod,
    user: Identity,
    connection: String,
    web: WebSocket,
    seen: Seen,
    /// When the other side was last heard of.
    heard: Instant,
}

/// Why a frame is not taken.
struct Fault {
    words: String,
    /// When it will be, if it only came too soon.
    again_after: Option<Duration>,
}

/// What a look into the database gives.
type Page = Result<Vec<Message>, sqlx::Error>;

/// Serves a socket until it ends.
pub(super) async fn serve(pod: Pod, user: Identity, web: WebSocket) {
    let connection = format!("{}-{}", user.username, Random::new().below(1 << 53));
    let name = user.username.clone();
    let seen = Seen::new(pod.0.settings.again_after);
    let heard = Instant::now();
    let mut socket =
        Socket { pod: pod.clone(), user, connection: connection.clone(), web, seen, heard };
    let queue = pod.0.sockets.add(&name, &connection);
    pod.0.metrics.sockets.inc();
    if let Err(error) = pod.0.registry.register(&name, &connection, pod.id()).await {
        // Messages go to all pods meanwhile, or wait in the database. With the next renewal of the
        // lease it is registered.
        tracing::debug!(%error, "the registry is away: not registered");
    }
    let end = socket.run(queue).await;
    let is_last = pod.0.sockets.remove(&name, &connection);
    pod.0.metrics.sockets.dec();
    if let Err(error) = pod.0.registry.unregister(&name, &connection, pod.id(), is_last).await {
        tracing::debug!(%error, "the registry is away: not unregistered");
    }
    // A newer one may have come between the two.
    lease::register_again(&pod, &name).await;
    socket.close(end).await;
}

impl Socket {
    async fn run(&mut self, mut queue: Queue) -> End {
        match self.follow(&mut queue).await {
            Err(end) => end,
            Ok(never) => match never {},
        }
    }

    async fn follow(&mut self, queue: &mut Queue) -> Result<std::convert::Infallible, End> {
        let (pod_id, connection_id) = (self.pod.id().to_owned(), self.connection.clone());
        self.write(FrameOut::Typed(TypedOut::Hello { pod_id, connection_id })).await?;
        let stopping = self.pod.0.socket_tasks.stopping();
        tokio::pin!(stopping);
        let mut ping = tokio::time::interval(self.pod.0.settings.ping_every);
        let mut again = tokio::time::interval(self.pod.0.settings.again_after);
        let mut asked = self.pod.0.ask_again.subscribe();
        let mut page: OptionFuture<BoxFuture<'static, Page>> = None.into();
        let (mut catches_up, mut warned) = (false, false);
        let mut ended = self.pod.0.ended.subscribe();
        loop {
            let session = self.session_left();
            let until = if warned { session } else { session.saturating_sub(WARN_BEFORE) };
            tokio::select! {
                biased;
                () = &mut stopping => return Err(GOING_AWAY),
                Ok(()) = ended.changed() => {
                    if ended.borrow_and_update().contains(&self.user.session) {
                        return Err(EXPIRED);
                    }
                }
                // Between two pages, too: who acknowledges while it reads is heard.
                frame = self.web.recv() => {
                    self.heard = Instant::now();
                    self.take(frame).await?;
                }
                _ = again.tick(), if !catches_up => {
                    catches_up = true;
                    let behind = self.seen.begin_look();
                    page = Some(self.page(behind)).into();
                }
                Some(found) = &mut page, if catches_up => {
                    let next = self.catch_up(found).await?;
                    catches_up = next.is_some();
                    if !catches_up {
                        self.seen.end_look();
                    }
                    page = next.map(|behind| self.page(behind)).into();
                }
                // Not before all pages: the order of the database is that of writing.
                frame = queue.next(), if !catches_up => match frame {
                    Ok(frame) => self.pass(frame).await?,
                    Err(Ended::TooSlow) => return Err(TOO_SLOW),
                    Err(Ended::Replaced) => return Err(REPLACED),
                },
                Ok(()) = asked.changed() => {
                    let within = Random::new().below(ASK_WITHIN_MS);
                    again.reset_after(Duration::from_millis(within));
                }
                _ = ping.tick() => {
                    // Two were not answered: it is gone without a word.
                    if self.heard.elapsed() >= 2 * self.pod.0.settings.ping_every {
                        return Err(End::Gone);
                    }
                    self.send(Frame::Ping(bytes::Bytes::new())).await?;
                }
                () = tokio::time::sleep(until) => {
                    if self.session_left().is_zero() {
                        return Err(EXPIRED);
                    }
                    warned = true;
                    self.write(FrameOut::Typed(TypedOut::AuthExpiring)).await?;
                }
            }
            warned = warned && self.session_left() <= WARN_BEFORE;
        }
    }

    fn session_left(&self) -> Duration {
        let now = u64::try_from(now_ms() / 1_000).unwrap_or(0);
        Duration::from_secs(self.user.expires_at.saturating_sub(now))
    }

    /// Looks for what has not reached the user.
    fn page(&self, behind: Place) -> BoxFuture<'static, Page> {
        let (pod, user) = (self.pod.clone(), self.user.username.clone());
        Box::pin(async move { pod.0.store.undelivered(&user, behind).await })
    }

    /// Sends what was found; gives the place behind which there is more.
    async fn catch_up(&mut self, found: Page) -> Result<Option<Place>, End> {
        let Ok(waiting) = found else {
            tracing::debug!("the database is away: what was missed is sent later");
            return Ok(None);
        };
        let is_all = i64::try_from(waiting.len()).unwrap_or(i64::MAX) < PAGE;
        let last = waiting.last().map(Message::place);
        for message in waiting {
            let place = message.place();
            if self.seen.is_due(message.message_id, Instant::now()) {
                self.deliver(Delivery::of(message)).await?;
            }
            self.seen.found(place);
        }
        Ok(last.filter(|_| !is_all))
    }

    async fn pass(&mut self, frame: FrameOut) -> Result<(), End> {
        match frame {
            FrameOut::Message(delivery) if self.seen.is_new(delivery.message_id) => {
                self.deliver(delivery).await
            }
            FrameOut::Message(_) => Ok(()),
            typed @ FrameOut::Typed(_) => self.write(typed).await,
        }
    }

    async fn deliver(&mut self, delivery: Delivery) -> Result<(), End> {
        let id = delivery.message_id;
        let is_own = delivery.sender_id == self.user.username;
        self.write(FrameOut::Message(delivery)).await?;
        self.seen.sent(id, Instant::now());
        if self.pod.0.settings.delivered_on == DeliveredOn::SocketWrite && !is_own {
            self.delivered(id).await;
        }
        Ok(())
    }

    /// Tells that a message has arrived. What this socket was not sent is left out; what it was
    /// sent so long ago that it is forgotten is sent again, and acknowledged then.
    async fn delivered(&mut self, message_id: Uuid) {
        if !self.seen.acknowledged(message_id) {
            return;
        }
        let by = Some(self.user.username.clone());
        let advance = Advance { message_id, status: Status::Delivered, by };
        // Closed only when the pod stops: then it is sent and acknowledged again.
        let _ = self.pod.0.advance.send(advance).await;
    }

    async fn take(&mut self, frame: Option<Result<Frame, axum::Error>>) -> Result<(), End> {
        match frame {
            None | Some(Err(_) | Ok(Frame::Close(_))) => Err(End::Gone),
            Some(Ok(Frame::Text(text))) => match serde_json::from_str(&text) {
                Ok(FrameIn::Message { payload, sender_id, reciever_id, client_msg_id }) => {
                    let client = client_msg_id.clone();
                    match self.submit(payload, &sender_id, reciever_id, client_msg_id) {
                        Ok(()) => Ok(()),
                        Err(fault) => self.refuse(fault, client).await,
                    }
                }
                Ok(FrameIn::Typed(TypedIn::Ack { message_id })) => {
                    self.delivered(message_id).await;
                    Ok(())
                }
                Ok(FrameIn::Typed(TypedIn::Ping)) => {
                    self.write(FrameOut::Typed(TypedOut::Pong)).await
                }
                Ok(FrameIn::Typed(TypedIn::Auth { token })) => self.renew(&token).await,
                Err(_) => self.refuse("not understood".into(), None).await,
            },
            Some(Ok(_)) => Ok(()),
        }
    }

    /// Gives a message to the worker of its receiver.
    fn submit(
        &self,
        payload: String,
        sender: &str,
        reciever_id: String,
        client_msg_id: Option<String>,
    ) -> Result<(), Fault> {
        if sender != self.user.username {
            return Err("sender_id is not who you are".into());
        }
        if let Some(fault) = fault_of(sender, &reciever_id, &payload) {
            return Err(fault.into());
        }
        self.pod.0.limiter.check(&self.user.username).map_err(too_fast)?;
        let message = Message {
            message_id: message_id(sender, &reciever_id, client_msg_id.as_deref()),
            sender_id: sender.into(),
            reciever_id,
            payload,
            status: Status::None.rank(),
            placed_us: self.pod.place(),
            sent_at: None,
            delivered_at: None,
        };
        let queues = &self.pod.0.publish;
        let worker = Pod::worker(queues, &message.reciever_id);
        let written = Written { message, connection: self.connection.clone(), client_msg_id };
        let taken =
            queues.get(worker).is_some_and(|queue| queue.try_send(Job::New(written)).is_ok());
        if !taken {
            let words = "too much waits: try again".into();
            return Err(Fault { words, again_after: Some(FULL_FOR) });
        }
        self.pod.0.metrics.received.inc();
        Ok(())
    }

    /// Goes on with a newer token of the same session.
    async fn renew(&mut self, token: &str) -> Result<(), End> {
        // Each asks the database.
        if let Err(wait) = self.pod.0.renewals.check(&self.user.username) {
            return self.refuse(too_fast(wait), None).await;
        }
        match self.pod.0.auth.renew(&self.user, token).await {
            Ok(identity) => {
                self.user = identity;
                Ok(())
            }
            Err(_) => self.refuse("not your token".into(), None).await,
        }
    }

    async fn refuse(&mut self, fault: Fault, client_msg_id: Option<String>) -> Result<(), End> {
        let Fault { words: message, again_after } = fault;
        let in_ms = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let retry_ms = again_after.map(in_ms);
        self.write(FrameOut::Typed(TypedOut::Error { message, client_msg_id, retry_ms })).await
    }

    async fn write(&mut self, frame: FrameOut) -> Result<(), End> {
        let json = serde_json::to_string(&frame).expect("a struct of texts and numbers is JSON");
        self.send(Frame::Text(json.into())).await
    }

    async fn send(&mut self, frame: Frame) -> Result<(), End> {
        match tokio::time::timeout(WRITE_WITHIN, self.web.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(TOO_SLOW),
        }
    }

    async fn close(mut self, end: End) {
        if let End::Close(code, reason) = end {
            let frame = CloseFrame { code, reason: reason.into() };
            let closing = async {
                self.web.send(Frame::Close(Some(frame))).await?;
                // What still comes is read: to leave it unread would cut off what was just sent.
                while let Some(read) = self.web.recv().await {
                    read?;
                }
                Ok::<_, axum::Error>(())
            };
            // Whether the other side hears it is its own affair.
            let _ = tokio::time::timeout(CLOSE_WITHIN, closing).await;
        }
    }
}

impl<T: Into<String>> From<T> for Fault {
    fn from(words: T) -> Self {
        Self { words: words.into(), again_after: None }
    }
}

fn too_fast(wait: Duration) -> Fault {
    let words = format!("too fast: wait {} ms", wait.as_millis());
    Fault { words, again_after: Some(wait) }
}
