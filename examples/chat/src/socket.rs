//! One page's socket, from its handshake to its end.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as WsMessage, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use common::auth::{AuthError, AuthRejection, Identity};
use common::http::ClientIp;
use common::hub::{Frame, GOING_AWAY, LOGGED_OUT, TOO_SLOW};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use klamm_utils::clock::{Clock as _, SystemClock};
use serde::Deserialize;
use uuid::Uuid;

use crate::api::App;
use crate::attendance;
use crate::conversation::Conversation;
use crate::frames::Reply;
use crate::instance::Instance;
use crate::places::{Most, Place};
use crate::room::Socket;

/// Larger frames end the socket.
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// What is set aside for each socket to read into: pages say little.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// How many frames are written in one go.
const WRITTEN_AT_ONCE: usize = 64;

/// How often a page is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(25);

/// How long before its end a session is asked for a new token.
pub(crate) const EXPIRES_SOON: u64 = 60;

/// How long a page may take for the last frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// What says who opens a socket.
#[derive(Deserialize)]
pub(crate) struct Opening {
    ticket: Option<String>,
    /// As the original has it: found in logs, so only if it is allowed.
    token: Option<String>,
}

/// `GET /ws/chat`.
pub(crate) async fn open(
    State(App(instance)): State<App>,
    Extension(ClientIp(address)): Extension<ClientIp>,
    Query(opening): Query<Opening>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !instance.settings.http.allows_origin(&headers) {
        return (StatusCode::FORBIDDEN, "This page may not open sockets here").into_response();
    }
    let identity = match identify(&instance, &opening, &headers).await {
        Ok(identity) => identity,
        Err(error) => return AuthRejection(error).into_response(),
    };
    let most = Most {
        per_user: instance.settings.sockets_per_user,
        per_address: instance.settings.sockets_per_address,
    };
    let upgrade = upgrade
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES);
    match instance.places.take(identity.user_id, address, most) {
        Some(place) => upgrade.on_upgrade(async move |socket| {
            let tasks = instance.tasks.clone();
            tasks.spawn("socket", attend(instance, place, identity, socket));
        }),
        // A handshake that is refused does not tell a page why: it would try again for ever.
        None => upgrade.on_upgrade(turn_away),
    }
}

/// Tells a page that there are too many.
async fn turn_away(mut web_socket: WebSocket) {
    let reason = "too many open pages".into();
    let close = WsMessage::Close(Some(CloseFrame { code: TOO_MANY, reason }));
    // Whether it hears why or not, it is over.
    let _ = tokio::time::timeout(CLOSE_WITHIN, web_socket.send(close)).await;
}

async fn identify(
    instance: &Instance,
    opening: &Opening,
    headers: &HeaderMap,
) -> Result<Identity, AuthError> {
    if let Some(ticket) = &opening.ticket {
        return instance.auth.redeem(ticket).await;
    }
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| value.strip_prefix("Bearer "));
    let token = opening.token.as_deref().filter(|_| instance.settings.compat_token_in_query);
    let identity = instance.auth.verify(bearer.or(token).ok_or(AuthError::NotLoggedIn)?)?;
    // The token may outlive its session.
    instance.auth.goes_on(&identity).await?;
    Ok(identity)
}

/// Attends to a page until one side ends.
async fn attend(instance: Arc<Instance>, place: Place, identity: Identity, web_socket: WebSocket) {
    let open = Open::new(Arc::clone(&instance), identity.clone());
    let (instance, socket) = (&instance, Arc::clone(&open.socket));
    if instance.tasks.is_stopping() {
        socket.mailbox.close(GOING_AWAY);
    }
    socket.mailbox.push(Frame::lasting(hello(instance, socket.id).text()));
    let (sink, stream) = web_socket.split();
    let mut talk = Conversation::new(Arc::clone(instance), Arc::clone(&socket), identity);
    tokio::select! {
        () = read(&mut talk, &socket, stream) => {}
        () = write(instance, &socket, sink) => {}
    }
    drop(open);
    // Another page may have it, whatever there is left to do for this one.
    drop(place);
    talk.finish().await;
}

/// A page that is open. However its task ends, it is closed: who would stay in its rooms would be
/// there for ever.
struct Open {
    instance: Arc<Instance>,
    socket: Arc<Socket>,
    identity: Identity,
}

impl Open {
    fn new(instance: Arc<Instance>, identity: Identity) -> Self {
        let Identity { user_id, session, .. } = identity;
        let socket = Arc::new(Socket::new(user_id, session, identity.username.clone()));
        instance.metrics.sockets.inc();
        instance.rooms.open(&socket);
        Self { instance, socket, identity }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Self { instance, socket, identity } = self;
        instance.metrics.left_out.inc_by(socket.mailbox.left_out());
        for room in instance.rooms.close(socket) {
            attendance::announce(instance, &room, identity, false);
        }
        instance.metrics.sockets.dec();
    }
}

fn hello(instance: &Instance, connection_id: Uuid) -> Reply {
    let epoch = instance.log.get().map(|(log, _)| log.epoch.clone()).unwrap_or_default();
    let now = SystemClock::new().now_ms();
    Reply::Hello { connection_id, server: instance.settings.server_name.clone(), epoch, now }
}

/// Takes what the page says, until it has gone, is silent for long, or its session ends.
async fn read(talk: &mut Conversation, socket: &Socket, mut stream: SplitStream<WebSocket>) {
    let mut heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            said = stream.next() => {
                heard = tokio::time::Instant::now();
                match said {
                    Some(Ok(WsMessage::Text(text))) => talk.hear(&text),
                    Some(Ok(WsMessage::Ping(_) | WsMessage::Pong(_))) => {}
                    Some(Ok(WsMessage::Binary(_))) => socket.mailbox.close(UNSUPPORTED),
                    Some(Err(error)) => {
                        tracing::debug!(%error, "a socket failed");
                        return;
                    }
                    Some(Ok(WsMessage::Close(_))) | None => return,
                }
            }
            () = talk.go_on() => {}
            () = tokio::time::sleep_until(heard + 3 * PING_EVERY) => return,
        }
        if talk.has_expired() {
            socket.mailbox.close(LOGGED_OUT);
            // What is left is to say so.
            return std::future::pending().await;
        }
    }
}

/// A close code: this user, or this address, has as many pages open as it may.
const TOO_MANY: u16 = 4409;

/// A close code: text is all that is understood.
const UNSUPPORTED: u16 = 1003;

/// Sends what is in the mailbox, until that is closed or the page has gone.
async fn write(instance: &Instance, socket: &Socket, mut sink: SplitSink<WebSocket, WsMessage>) {
    let mut pings = tokio::time::interval(PING_EVERY);
    pings.reset();
    let (mut frames, mut marks) = (Vec::new(), Vec::new());
    let code = loop {
        let pings = tokio::select! {
            taken = socket.mailbox.take(&mut frames, WRITTEN_AT_ONCE) => match taken {
                Ok(()) => false,
                Err(code) => break code,
            },
            _ = pings.tick() => true,
        };
        let send = async {
            if pings {
                sink.feed(WsMessage::Ping(bytes::Bytes::new())).await?;
            }
            for Frame { text, mark, .. } in frames.drain(..) {
                sink.feed(WsMessage::Text(text)).await?;
                marks.extend(mark);
            }
            sink.flush().await
        };
        // A page that takes nothing would keep us here while its mailbox overflows.
        tokio::select! {
            sent = send => match sent {
                Ok(()) if marks.is_empty() => {}
                Ok(()) => instance.delivered.note_all(socket.user, marks.drain(..)),
                // What it said before it went is still to be read: that ends it.
                Err(_) => return socket.mailbox.closed().await,
            },
            () = socket.mailbox.closed() => {}
        }
    };
    let farewell = async {
        if code == TOO_SLOW {
            for room in socket.rooms() {
                let resync = Reply::Resync { room: room.to_string() };
                sink.feed(WsMessage::Text(resync.text())).await?;
            }
        }
        let reason = "".into();
        sink.send(WsMessage::Close(Some(CloseFrame { code, reason }))).await
    };
    // Whether it hears why or not, it is over.
    let _ = tokio::time::timeout(CLOSE_WITHIN, farewell).await;
}

#[cfg(test)]
mod tests {
    use common::bus::Bus;
    use common::db::Database;
    use common::telemetry::Telemetry;
    use klamm_utils::task::TaskGroup;

    use super::*;
    use crate::server::{Backends, Settings};

    /// It was: whoever's task had panicked was in the room until the server ended.
    #[tokio::test]
    async fn a_page_whose_task_panics_is_closed() {
        let (tasks, telemetry) = (TaskGroup::new("test"), Telemetry::new());
        let backends =
            Backends { database: Database::in_memory().await.unwrap(), bus: Bus::memory() };
        let instance = Instance::new(Settings::dev("Asia", ""), backends, telemetry, tasks.clone());
        let instance = Arc::new(instance);
        let identity = Identity {
            user_id: Uuid::from_u128(7),
            username: "alice".into(),
            session: Uuid::from_u128(8),
            expires_at: u64::MAX,
        };
        let open = Open::new(Arc::clone(&instance), identity);
        instance.rooms.join(0, "a", &open.socket);
        assert_eq!(instance.rooms.count("a"), 1);
        tasks.spawn("socket", async move {
            let _open = open;
            panic!("a fault");
        });
        tasks.join(CLOSE_WITHIN).await;
        assert_eq!(instance.rooms.count("a"), 0);
    }
}
