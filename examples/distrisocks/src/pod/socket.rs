//! `sock-recv`: one socket, from its handshake to its end.
//!
//! A socket is registered first and asks for what it has missed then, so that nothing falls in
//! between; what comes twice by that is sent once. What is not acknowledged is sent again.

use std::num::NonZeroUsize;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket};
use common::auth::Identity;
use klamm_utils::random::Random;
use lru::LruCache;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::publish::Job;
use super::{DeliveredOn, Pod, now_ms};
use crate::status::Status;
use crate::store::{Advance, Message, PAGE};
use crate::wire::{Delivery, FrameIn, FrameOut, TypedIn, TypedOut, fault_of, message_id};

/// Proxies close what says nothing for a minute.
const PING_EVERY: Duration = Duration::from_secs(25);
/// What was not acknowledged for so long is sent again.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// A socket that takes nothing for so long is closed.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// The other side's answer to a close is waited for so long.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// How long before its end a session is told of.
const WARN_BEFORE: Duration = Duration::from_secs(60);
/// Messages that are remembered as sent.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

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
const TOO_MANY: End = End::Close(4409, "too many connections");

struct Socket {
    pod: Pod,
    user: Identity,
    connection: String,
    web: WebSocket,
    /// When each message was sent last.
    sent: LruCache<Uuid, Instant>,
}

/// Serves a socket until it ends.
pub(super) async fn serve(pod: Pod, user: Identity, web: WebSocket) {
    let connection = format!("{}-{}", user.username, Random::new().below(1 << 53));
    let name = user.username.clone();
    let sent = LruCache::new(REMEMBERED);
    let mut socket = Socket { pod, user, connection: connection.clone(), web, sent };
    let pod = socket.pod.clone();
    let end = match pod.0.sockets.add(&name, &connection) {
        Err(_) => TOO_MANY,
        Ok(queue) => {
            pod.0.metrics.sockets.inc();
            if let Err(error) = pod.0.registry.register(&name, &connection, pod.id()).await {
                // Messages go to all pods meanwhile, or wait in the database.
                tracing::debug!(%error, "the registry is away: not registered");
            }
            let end = socket.run(queue).await;
            let is_last = pod.0.sockets.remove(&name, &connection);
            pod.0.metrics.sockets.dec();
            let gone = pod.0.registry.unregister(&name, &connection, pod.id(), is_last).await;
            if let Err(error) = gone {
                tracing::debug!(%error, "the registry is away: not unregistered");
            }
            end
        }
    };
    socket.close(end).await;
}

impl Socket {
    async fn run(&mut self, mut queue: mpsc::Receiver<FrameOut>) -> End {
        match self.follow(&mut queue).await {
            Err(end) => end,
            Ok(never) => match never {},
        }
    }

    async fn follow(
        &mut self,
        queue: &mut mpsc::Receiver<FrameOut>,
    ) -> Result<std::convert::Infallible, End> {
        let (pod_id, connection_id) = (self.pod.id().to_owned(), self.connection.clone());
        self.write(FrameOut::Typed(TypedOut::Hello { pod_id, connection_id })).await?;
        let stopping = self.pod.0.socket_tasks.stopping();
        tokio::pin!(stopping);
        let mut ping = tokio::time::interval(PING_EVERY);
        let mut again = tokio::time::interval(AGAIN_AFTER);
        let mut warned = false;
        loop {
            let session = self.session_left();
            let until = if warned { session } else { session.saturating_sub(WARN_BEFORE) };
            tokio::select! {
                // Before anything that comes live: the order of the database is that of writing.
                biased;
                () = &mut stopping => return Err(GOING_AWAY),
                _ = again.tick() => self.catch_up().await?,
                frame = self.web.recv() => self.take(frame).await?,
                frame = queue.recv() => match frame {
                    Some(frame) => self.pass(frame).await?,
                    None => return Err(TOO_SLOW),
                },
                _ = ping.tick() => self.send(Frame::Ping(bytes::Bytes::new())).await?,
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

    /// Sends what has not reached the user.
    async fn catch_up(&mut self) -> Result<(), End> {
        let mut behind_us = i64::MIN;
        loop {
            let waiting = self.pod.0.store.undelivered(&self.user.username, behind_us).await;
            let Ok(waiting) = waiting else {
                tracing::debug!("the database is away: what was missed is sent later");
                return Ok(());
            };
            let is_all = i64::try_from(waiting.len()).unwrap_or(i64::MAX) < PAGE;
            for message in waiting {
                behind_us = message.placed_us;
                self.deliver(delivery_of(message)).await?;
            }
            if is_all {
                return Ok(());
            }
        }
    }

    async fn pass(&mut self, frame: FrameOut) -> Result<(), End> {
        match frame {
            FrameOut::Message(delivery) => self.deliver(delivery).await,
            typed @ FrameOut::Typed(_) => self.write(typed).await,
        }
    }

    /// Writes a message, unless that was just done.
    async fn deliver(&mut self, delivery: Delivery) -> Result<(), End> {
        let id = delivery.message_id;
        let fresh = |sent: &Instant| sent.elapsed() < AGAIN_AFTER / 2;
        if self.sent.get(&id).is_some_and(fresh) {
            return Ok(());
        }
        self.write(FrameOut::Message(delivery)).await?;
        self.sent.put(id, Instant::now());
        if self.pod.0.settings.delivered_on == DeliveredOn::SocketWrite {
            self.delivered(id).await;
        }
        Ok(())
    }

    async fn delivered(&mut self, message_id: Uuid) {
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
    ) -> Result<(), String> {
        if sender != self.user.username {
            return Err("sender_id is not who you are".into());
        }
        if let Some(fault) = fault_of(sender, &reciever_id, &payload) {
            return Err(fault);
        }
        if let Err(wait) = self.pod.0.limiter.check(&self.user.username) {
            return Err(format!("too fast: wait {} ms", wait.as_millis()));
        }
        let message = Message {
            message_id: message_id(sender, client_msg_id.as_deref()),
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
        let job = Job::New { message, connection: self.connection.clone(), client_msg_id };
        let taken = queues.get(worker).is_some_and(|queue| queue.try_send(job).is_ok());
        if !taken {
            return Err("too much waits: try again".into());
        }
        self.pod.0.metrics.received.inc();
        Ok(())
    }

    /// Goes on with a newer token of the same user.
    async fn renew(&mut self, token: &str) -> Result<(), End> {
        match self.pod.0.auth.verify(token) {
            Ok(identity) if identity.user_id == self.user.user_id => {
                self.user = identity;
                Ok(())
            }
            _ => self.refuse("not your token".into(), None).await,
        }
    }

    async fn refuse(&mut self, fault: String, client_msg_id: Option<String>) -> Result<(), End> {
        self.write(FrameOut::Typed(TypedOut::Error { message: fault, client_msg_id })).await
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

fn delivery_of(message: Message) -> Delivery {
    Delivery {
        message: message.payload,
        reciever_id: message.reciever_id,
        sender_id: message.sender_id,
        message_id: message.message_id,
        created_at: message.placed_us / 1_000,
        attempt: 0,
        from_pod: String::new(),
    }
}
