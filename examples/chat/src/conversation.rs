//! What is done about each thing that a page says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use common::auth::Identity;
use common::hub::Frame;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use klamm_utils::clock::{self, Clock as _, SystemClock};
use uuid::Uuid;

use crate::frames::{self, Failure, Reply, Request, Seen};
use crate::instance::{DATABASE_WITHIN, Instance};
use crate::llm;
use crate::message::{Message, is_client_msg_id, is_content, is_room};
use crate::rooms::{Missed, Socket};
use crate::socket::EXPIRES_SOON;
use crate::store::{self, Range};

/// How many messages of one socket may wait for the broker.
const WAITING_MAX: usize = 100;

/// How many missed messages are told at once, and how large they may be together: less than waits
/// for a page. Who missed more loads the history.
const MISSED_MAX: usize = 200;
const MISSED_BYTES_MAX: usize = 512 * 1024;

/// How many rooms a page may ask for at once.
const RESUMED_MAX: usize = 50;

/// Typing is told at most this often.
const TYPING_EVERY: Duration = Duration::from_secs(2);

/// What may still be told of what was missed.
struct Allowance {
    frames: usize,
    bytes: usize,
}

impl Allowance {
    /// Whether these may be told as well.
    fn take(&mut self, frames: &[Utf8Bytes]) -> bool {
        let bytes: usize = frames.iter().map(|frame| frame.len()).sum();
        let fits = frames.len() <= self.frames && bytes <= self.bytes;
        if fits {
            self.frames -= frames.len();
            self.bytes -= bytes;
        }
        fits
    }
}

type Sending = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// One page's side of it.
pub(crate) struct Conversation {
    instance: Arc<Instance>,
    socket: Arc<Socket>,
    identity: Identity,
    /// Messages of which the broker has not said yet that it has them.
    sending: FuturesUnordered<Sending>,
    typed: Option<Instant>,
    warned: bool,
}

impl Conversation {
    pub(crate) fn new(instance: Arc<Instance>, socket: Arc<Socket>, identity: Identity) -> Self {
        let sending = FuturesUnordered::new();
        Self { instance, socket, identity, sending, typed: None, warned: false }
    }

    /// Does what the page asks for.
    pub(crate) async fn hear(&mut self, text: &str) {
        match serde_json::from_str(text) {
            Ok(request) => self.act(request).await,
            Err(_) => self.say(frames::error("bad_frame", "This cannot be understood")),
        }
    }

    async fn act(&mut self, request: Request) {
        match request {
            Request::JoinRoom { room } => self.join(room).await,
            Request::LeaveRoom { room } => self.leave(room).await,
            Request::ChatMessage { room, content, client_msg_id } => {
                self.send(room, content, client_msg_id);
            }
            Request::Typing { room } => self.typing(room).await,
            Request::Read { room, offset } => self.read(room, offset).await,
            Request::Resume { rooms } => {
                let mut left = Allowance { frames: MISSED_MAX, bytes: MISSED_BYTES_MAX };
                for seen in rooms.into_iter().take(RESUMED_MAX) {
                    self.resume(seen, &mut left).await;
                }
            }
            Request::Auth { token } => self.renew(&token),
            Request::LlmStop { room, id } => self.stop_answer(&room, id).await,
            Request::Ping => self.reply(&Reply::Pong),
        }
    }

    /// Waits for what happens without being asked for: a message is stored or is not, or the
    /// session is about to end.
    pub(crate) async fn go_on(&mut self) {
        let expiry = tokio::time::sleep(self.until_expiry());
        tokio::select! {
            Some(settled) = self.sending.next() => self.reply(&settled),
            () = expiry => {
                if !self.warned {
                    self.warned = true;
                    self.reply(&Reply::AuthExpiring);
                }
            }
        }
    }

    /// Until the page is warned or, after that, the session ends.
    fn until_expiry(&self) -> Duration {
        let warning = if self.warned { 0 } else { EXPIRES_SOON };
        let at_ms = self.identity.expires_at.saturating_sub(warning).saturating_mul(1000);
        Duration::from_millis(at_ms.saturating_sub(now_ms().unsigned_abs()))
    }

    /// Whether the session has ended.
    pub(crate) fn has_expired(&self) -> bool {
        now_ms().unsigned_abs() >= self.identity.expires_at.saturating_mul(1000)
    }

    async fn join(&mut self, room: String) {
        if !is_room(&room) {
            let why = "A room has 1 to 64 letters, digits, spaces, dashes or underscores";
            return self.say(frames::refused("join_room", &room, why));
        }
        let instance = Arc::clone(&self.instance);
        let Some((log, _)) = instance.log.get() else {
            let why = "The messages cannot be reached yet";
            return self.say(frames::refused("join_room", &room, why));
        };
        let partition = log.partition_of(&room);
        let first = instance.rooms.join(partition, &room, &self.socket);
        let pointers = store::pointers(&instance.database, &room, self.identity.user_id);
        let stored = tokio::time::timeout(DATABASE_WITHIN, pointers).await;
        let (read, stored_head) = stored.ok().and_then(Result::ok).unwrap_or_default();
        let here = match instance.rooms.after(partition, &room, -1) {
            Missed::All(tail) | Missed::From(_, tail) => tail.last().map(|last| last.offset),
        };
        let head_offset = here.max(stored_head).unwrap_or(-1);
        if read.is_none() {
            self.become_member(&room, head_offset).await;
        }
        let members = instance.members(&room).await;
        let reply = Reply::JoinRoom { room: room.clone(), success: true, members, head_offset };
        self.reply(&reply);
        if first {
            instance.announce(&room, &self.identity, true);
        }
    }

    /// Who cannot be written down now is a member next time.
    async fn become_member(&mut self, room: &str, read_offset: i64) {
        let who = (self.identity.user_id, &*self.identity.username);
        let added = store::add_member(&self.instance.database, room, who, read_offset);
        match tokio::time::timeout(DATABASE_WITHIN, added).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, room, "a member is not written down"),
            Err(_) => tracing::warn!(room, "a member is not written down: no answer"),
        }
    }

    async fn leave(&mut self, room: String) {
        let instance = &self.instance;
        if !instance.rooms.is_in(&room, &self.socket) {
            return self.say(frames::refused("leave_room", &room, "You are not in this room"));
        }
        let last = instance.rooms.leave(&room, &self.socket);
        let removed = store::remove_member(&instance.database, &room, self.identity.user_id);
        if let Ok(Err(error)) = tokio::time::timeout(DATABASE_WITHIN, removed).await {
            tracing::warn!(%error, room, "a member is still written down");
        }
        self.reply(&Reply::LeaveRoom { room: room.clone(), success: true });
        if last {
            instance.announce(&room, &self.identity, false);
        }
    }

    /// Puts a message into the log; it is shown, here as elsewhere, when it is read from there.
    fn send(&mut self, room: String, content: String, client_msg_id: Option<String>) {
        let fail = |code, retryable| {
            let client_msg_id = client_msg_id.clone();
            self.reply(&Reply::MessageFailed { client_msg_id, code, retryable });
        };
        if !is_content(&content) || !client_msg_id.as_deref().is_none_or(is_client_msg_id) {
            return fail(Failure::TooLong, false);
        }
        if !self.instance.rooms.is_in(&room, &self.socket) {
            return fail(Failure::NotJoined, true);
        }
        if let Err(wait) = self.instance.messages.check(&self.identity.user_id) {
            let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            self.reply(&Reply::SlowDown { retry_ms });
            return fail(Failure::RateLimited, true);
        }
        let Some((_, writer)) = self.instance.log.get() else {
            return fail(Failure::BrokerUnavailable, true);
        };
        if self.sending.len() >= WAITING_MAX {
            return fail(Failure::BrokerUnavailable, true);
        }
        let message = self.message(room, content, client_msg_id);
        if let Some(stored) = self.instance.rooms.find(&message.room, message.id) {
            self.instance.metrics.duplicates.inc();
            return self.reply(&acknowledged(&stored.message, stored.offset));
        }
        let stored = writer.send(&message);
        let instance = Arc::clone(&self.instance);
        let begun = clock::now();
        self.sending.push(Box::pin(async move {
            match stored.await {
                Ok(offset) => {
                    instance.metrics.sent.inc();
                    instance.metrics.stored_seconds.observe(begun.elapsed().as_secs_f64());
                    acknowledged(&message, offset)
                }
                Err(code) => {
                    instance.metrics.failed.inc();
                    let client_msg_id = message.client_msg_id;
                    Reply::MessageFailed { client_msg_id, code, retryable: true }
                }
            }
        }));
    }

    fn message(&self, room: String, content: String, client_msg_id: Option<String>) -> Message {
        let sender = self.identity.user_id;
        let named = client_msg_id.as_deref().map(|name| Message::id_of(sender, name));
        Message {
            id: named.unwrap_or_else(Uuid::now_v7),
            client_msg_id,
            room,
            sender,
            sender_name: self.identity.username.clone(),
            kind: "chat_message".into(),
            content,
            server: self.instance.settings.server_name.clone(),
            created_at: now_ms(),
        }
    }

    async fn typing(&mut self, room: String) {
        let now = clock::now();
        let soon = self.typed.is_some_and(|typed| now.duration_since(typed) < TYPING_EVERY);
        if soon || !self.instance.rooms.is_in(&room, &self.socket) {
            return;
        }
        self.typed = Some(now);
        let (user, name) = (self.identity.user_id, self.identity.username.clone());
        self.instance.tell(&room, &Reply::Typing { room: room.clone(), user, name }).await;
    }

    async fn read(&mut self, room: String, offset: i64) {
        if self.instance.rooms.is_in(&room, &self.socket) {
            self.instance.read(&room, &self.identity, offset).await;
        }
    }

    /// Tells a page that was here before what it has missed, or that it must load the history.
    async fn resume(&mut self, Seen { room, offset, epoch }: Seen, left: &mut Allowance) {
        let instance = Arc::clone(&self.instance);
        let missed = match instance.log.get() {
            Some((log, _)) if log.epoch == epoch && is_room(&room) => {
                self.missed(log.partition_of(&room), &log.topic, &room, offset).await
            }
            _ => None,
        };
        match missed.filter(|frames| left.take(frames)) {
            Some(frames) => {
                frames.into_iter().for_each(|frame| self.say(frame));
                self.reply(&Reply::Resumed { room });
            }
            None => self.reply(&Reply::Resync { room }),
        }
    }

    /// The frames of all messages behind `offset`; none if they are not known or too many.
    async fn missed(
        &mut self,
        partition: i32,
        topic: &str,
        room: &str,
        offset: i64,
    ) -> Option<Vec<Utf8Bytes>> {
        let (from, newer) = match self.instance.rooms.after(partition, room, offset) {
            Missed::All(newer) => (i64::MIN, newer),
            Missed::From(from, newer) => (from, newer),
        };
        let mut frames = Vec::new();
        if from > offset {
            let database = &self.instance.database;
            let older = async {
                let group = &self.instance.settings.kafka_group;
                let written = store::offsets(database, group, topic).await?;
                let range = Range::After(offset);
                let older = store::history(database, room, range, MISSED_MAX + 1).await?;
                Ok::<_, sqlx::Error>((written.get(&partition).copied().unwrap_or(0), older))
            };
            let (written, older) = tokio::time::timeout(DATABASE_WITHIN, older).await.ok()?.ok()?;
            if written < from {
                return None;
            }
            let older = older.into_iter().filter(|placed| placed.offset < from);
            frames.extend(older.map(|placed| placed.frame()));
        }
        frames.extend(newer.iter().map(|placed| placed.frame()));
        Some(frames)
    }

    fn renew(&mut self, token: &str) {
        match self.instance.auth.verify(token) {
            Ok(identity) if identity.user_id == self.identity.user_id => {
                self.identity = identity;
                self.warned = false;
            }
            _ => self.say(frames::error("not_logged_in", "This token is not good")),
        }
    }

    async fn stop_answer(&mut self, room: &str, id: Uuid) {
        if self.instance.rooms.is_in(room, &self.socket) {
            let told = self.instance.bus.publish(llm::STOP, Bytes::copy_from_slice(id.as_bytes()));
            if let Err(error) = told.await {
                tracing::debug!(%error, "the answer goes on");
            }
        }
    }

    fn reply(&self, reply: &Reply) {
        self.say(reply.text());
    }

    fn say(&self, text: axum::extract::ws::Utf8Bytes) {
        self.socket.mailbox.push(Frame::lasting(text));
    }
}

fn acknowledged(message: &Message, offset: i64) -> Reply {
    let (client_msg_id, id) = (message.client_msg_id.clone(), message.id);
    Reply::MessageAck { client_msg_id, id, offset, created_at: message.created_at }
}

fn now_ms() -> i64 {
    SystemClock::new().now_ms()
}
