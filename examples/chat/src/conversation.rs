//! What is done about each thing that a page says.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use common::auth::{AuthError, Identity};
use common::hub::Frame;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use klamm_utils::clock::{self, Clock as _, SystemClock};
use uuid::Uuid;

use crate::attendance;
use crate::catch_up;
use crate::frames::{self, Failure, Reply, Request, Seen};
use crate::instance::Instance;
use crate::llm;
use crate::message::{Message, is_client_msg_id, is_content, is_room};
use crate::queue::Queue;
use crate::room::Socket;
use crate::socket::EXPIRES_SOON;

/// How many messages of one socket may wait for the broker.
const WAITING_MAX: usize = 100;

/// How many things of one page may wait for the database, and how many for the bus.
const ERRANDS_MAX: usize = 64;

/// What a page is told that asks for more.
const TOO_MUCH: &str = "Too much at once: wait a moment, then try again";

/// For how long that is done which a page asked for before it went.
const FINISH_WITHIN: Duration = Duration::from_secs(30);

/// Typing is told at most this often.
const TYPING_EVERY: Duration = Duration::from_secs(2);

type Sending = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Errand = Pin<Box<dyn Future<Output = ()> + Send>>;
type Renewal = Pin<Box<dyn Future<Output = Result<Identity, AuthError>> + Send>>;

/// One page's side of it.
pub(crate) struct Conversation {
    instance: Arc<Instance>,
    socket: Arc<Socket>,
    identity: Identity,
    /// Messages of which the broker has not said yet that it has them.
    sending: FuturesUnordered<Sending>,
    /// What goes over the bus.
    telling: FuturesUnordered<Errand>,
    /// What has to be asked of the database, one after the other.
    errands: VecDeque<Errand>,
    /// A newer token of which it is asked whether its session goes on.
    renewal: Option<Renewal>,
    queue: Queue,
    typed: Option<Instant>,
    warned: bool,
}

impl Conversation {
    pub(crate) fn new(instance: Arc<Instance>, socket: Arc<Socket>, identity: Identity) -> Self {
        Self {
            instance,
            socket,
            identity,
            sending: FuturesUnordered::new(),
            telling: FuturesUnordered::new(),
            errands: VecDeque::new(),
            renewal: None,
            queue: Queue::default(),
            typed: None,
            warned: false,
        }
    }

    /// Does what the page asks for. Nothing is waited for here: see [`go_on`](Self::go_on).
    pub(crate) fn hear(&mut self, text: &str) {
        match serde_json::from_str(text) {
            Ok(request) => self.act(request),
            Err(_) => self.say(frames::error("bad_frame", "This cannot be understood")),
        }
    }

    fn act(&mut self, request: Request) {
        match request {
            Request::JoinRoom { room } => self.join(room),
            Request::LeaveRoom { room } => self.leave(room),
            Request::ChatMessage { room, content, client_msg_id } => {
                self.send(room, content, client_msg_id);
            }
            Request::Typing { room } => self.typing(room),
            Request::Read { room, offset } => self.read(&room, offset),
            Request::Resume { rooms } => self.resume(rooms),
            Request::Auth { token } => self.renew(token),
            Request::LlmStop { room, id } => self.stop_answer(&room, id),
            Request::Ping => self.reply(&Reply::Pong),
        }
    }

    /// Waits for what happens without being asked for: a message is stored or is not, the database
    /// has answered, or the session is about to end.
    pub(crate) async fn go_on(&mut self) {
        let expiry = tokio::time::sleep(self.until_expiry());
        tokio::select! {
            Some(settled) = self.sending.next() => self.reply(&settled),
            Some(()) = self.telling.next() => {}
            Some(()) = first(&mut self.errands) => {}
            Some(renewed) = outcome(&mut self.renewal) => self.renewed(renewed),
            () = expiry => {
                if !self.warned {
                    self.warned = true;
                    self.reply(&Reply::AuthExpiring);
                }
            }
        }
    }

    /// Does what was asked for before the page went: it is not there to ask again.
    pub(crate) async fn finish(mut self) {
        let errands = async { while first(&mut self.errands).await.is_some() {} };
        if tokio::time::timeout(FINISH_WITHIN, errands).await.is_err() {
            let left = self.errands.len();
            tracing::warn!(left, "a page has gone, and not all that it asked for was done");
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

    /// Whether the page asks for more than one that behaves does.
    fn asks_too_much(&self) -> bool {
        self.instance.frames.check(&self.identity.user_id).is_err()
            || self.errands.len() >= ERRANDS_MAX
            || self.telling.len() >= ERRANDS_MAX
    }

    fn join(&mut self, room: String) {
        let refuse = |why| self.say(frames::refused("join_room", &room, why));
        if !is_room(&room) {
            return refuse("A room has 1 to 64 letters, digits, spaces, dashes or underscores");
        }
        if self.asks_too_much() {
            return refuse(TOO_MUCH);
        }
        if !self.socket.is_in(&room) && self.socket.rooms().len() >= catch_up::ROOMS_MAX {
            return refuse("A page shows 50 rooms at most: leave one, then try again");
        }
        let Some((log, _)) = self.instance.log.get() else {
            return refuse("The messages cannot be reached yet");
        };
        if self.instance.rooms.join(log.partition_of(&room), &room, &self.socket) {
            attendance::announce(&self.instance, &room, &self.identity, true);
        }
        let (instance, socket) = (Arc::clone(&self.instance), Arc::clone(&self.socket));
        let who = self.identity.clone();
        self.errands.push_back(Box::pin(async move {
            let joined = catch_up::joined(&instance, &room, (socket.user, &who.username)).await;
            let text = joined.map(|joined| joined.text()).unwrap_or_else(|error| {
                instance.show_no_more(&room, &socket, &who);
                frames::refused("join_room", &room, &error.to_string())
            });
            socket.mailbox.push(Frame::lasting(text));
        }));
    }

    fn leave(&mut self, room: String) {
        let refuse = |why| self.say(frames::refused("leave_room", &room, why));
        if !self.socket.is_in(&room) {
            return refuse("You are not in this room");
        }
        if self.asks_too_much() {
            return refuse(TOO_MUCH);
        }
        self.instance.show_no_more(&room, &self.socket, &self.identity);
        let (instance, socket) = (Arc::clone(&self.instance), Arc::clone(&self.socket));
        let who = self.identity.clone();
        self.errands.push_back(Box::pin(async move {
            let left = catch_up::left(&instance, room, &who).await;
            socket.mailbox.push(Frame::lasting(left));
        }));
    }

    /// Puts a message into the log; it is shown, here as elsewhere, when it is read from there.
    fn send(&mut self, room: String, content: String, client_msg_id: Option<String>) {
        let fail = |code, retryable| {
            let client_msg_id = client_msg_id.clone();
            self.reply(&Reply::MessageFailed { client_msg_id, code, retryable });
        };
        if !is_content(&content) || !client_msg_id.as_deref().is_none_or(is_client_msg_id) {
            return fail(Failure::NotPossible, false);
        }
        if !self.socket.is_in(&room) {
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
        if let Some(first) = self.instance.rooms.find(message.id) {
            self.instance.metrics.duplicates.inc();
            return self.reply(&acknowledged(message, first.offset, first.created_at));
        }
        let stored = writer.send_in(&mut self.queue, &message);
        let instance = Arc::clone(&self.instance);
        let begun = clock::now();
        self.sending.push(Box::pin(async move {
            match stored.await {
                Ok(offset) => {
                    instance.metrics.sent.inc();
                    instance.metrics.stored_seconds.observe(begun.elapsed().as_secs_f64());
                    instance.rooms.stored(&message.room, offset);
                    let created_at = message.created_at;
                    acknowledged(message, offset, created_at)
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
        let named = client_msg_id.as_deref().map(|name| Message::id_of(sender, &room, name));
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

    fn typing(&mut self, room: String) {
        let now = clock::now();
        let soon = self.typed.is_some_and(|typed| now.duration_since(typed) < TYPING_EVERY);
        if soon || !self.socket.is_in(&room) || self.asks_too_much() {
            return;
        }
        self.typed = Some(now);
        let (user, name) = (self.identity.user_id, self.identity.username.clone());
        let instance = Arc::clone(&self.instance);
        self.telling.push(Box::pin(async move {
            let channel = room.clone();
            instance.tell(&channel, &Reply::Typing { room, user, name }).await;
        }));
    }

    /// Nobody has read what is not there yet. What is too much is left out: the next one says more.
    fn read(&mut self, room: &str, offset: i64) {
        let Some((log, _)) = self.instance.log.get() else { return };
        let next = self.instance.rooms.next(log.partition_of(room)).unwrap_or(0);
        let head = self.instance.rooms.head(room).max(Some(next - 1));
        if Some(offset) <= head && self.socket.is_in(room) && !self.asks_too_much() {
            self.instance.note_read(room, self.identity.user_id, offset);
        }
    }

    /// Tells a page that was here before what it has missed, or that it must load the history.
    fn resume(&mut self, mut rooms: Vec<Seen>) {
        let most = if self.asks_too_much() { 0 } else { catch_up::ROOMS_MAX };
        for Seen { room, .. } in rooms.split_off(most.min(rooms.len())) {
            self.reply(&Reply::Resync { room });
        }
        if rooms.is_empty() {
            return;
        }
        let (instance, socket) = (Arc::clone(&self.instance), Arc::clone(&self.socket));
        self.errands.push_back(Box::pin(async move {
            catch_up::resume(&instance, &socket, rooms).await;
        }));
    }

    /// Goes on with a newer token of the same session, if the database says so.
    fn renew(&mut self, token: String) {
        if self.renewal.is_some() {
            return;
        }
        let (instance, known) = (Arc::clone(&self.instance), self.identity.clone());
        self.renewal = Some(Box::pin(async move { instance.auth.renew(&known, &token).await }));
    }

    fn renewed(&mut self, renewed: Result<Identity, AuthError>) {
        match renewed {
            Ok(identity) => {
                self.identity = identity;
                self.warned = false;
            }
            Err(_) => self.say(frames::error("not_logged_in", "This token is not good")),
        }
    }

    fn stop_answer(&mut self, room: &str, id: Uuid) {
        if !self.socket.is_in(room) || self.asks_too_much() {
            return;
        }
        let instance = Arc::clone(&self.instance);
        self.telling.push(Box::pin(async move {
            let id = Bytes::copy_from_slice(id.as_bytes());
            if let Err(error) = instance.bus.publish(llm::STOP, id).await {
                tracing::debug!(%error, "the answer goes on");
            }
        }));
    }

    fn reply(&self, reply: &Reply) {
        self.say(reply.text());
    }

    fn say(&self, text: Utf8Bytes) {
        self.socket.mailbox.push(Frame::lasting(text));
    }
}

/// Does the first of these.
async fn first(errands: &mut VecDeque<Errand>) -> Option<()> {
    errands.front_mut()?.await;
    errands.pop_front().map(drop)
}

/// What comes of it, if it is asked.
async fn outcome(renewal: &mut Option<Renewal>) -> Option<Result<Identity, AuthError>> {
    let renewed = renewal.as_mut()?.await;
    *renewal = None;
    Some(renewed)
}

fn acknowledged(message: Message, offset: i64, created_at: i64) -> Reply {
    let Message { id, client_msg_id, .. } = message;
    Reply::MessageAck { client_msg_id, id, offset, created_at }
}

fn now_ms() -> i64 {
    SystemClock::new().now_ms()
}
