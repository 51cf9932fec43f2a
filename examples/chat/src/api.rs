//! What is asked over HTTP: rooms, their history, and how the server is.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRef, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use common::auth::{self, Auth, AuthRejection, Identity, TICKET_LIFETIME};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::history::{self, Stored};
use crate::instance::{DATABASE_WITHIN, Instance, NoRoom};
use crate::message::is_room;
use crate::room::Missed;
use crate::socket;
use crate::store::{self, Range};

/// The most messages that are given at once.
const LIMIT_MAX: usize = 200;

/// All routes of a chat server.
pub(crate) fn routes(instance: Arc<Instance>) -> Router {
    let (auth, telemetry) = (instance.auth.clone(), instance.telemetry.clone());
    Router::new()
        .route("/api/health", get(health))
        .route("/api/me", get(me))
        .route("/api/ws-ticket", post(ticket))
        .route("/api/rooms", get(rooms).post(make_room))
        .route("/api/rooms/{room}/messages", get(messages))
        .route("/api/rooms/{room}/read", put(read))
        .route("/api/rooms/{room}/members", get(members))
        .route("/api/search", get(search))
        .route("/ws/chat", get(socket::open))
        .with_state(App(instance))
        .nest("/api/auth", auth::routes(auth))
        .merge(telemetry.routes())
}

/// What every handler is given.
#[derive(Clone)]
pub(crate) struct App(pub(crate) Arc<Instance>);

impl FromRef<App> for Auth {
    fn from_ref(App(instance): &App) -> Self {
        instance.auth.clone()
    }
}

/// Why something is not answered.
enum Refused {
    Room,
    Database,
    Body,
    Offset,
    Member,
    Search,
    TooMany(String, Duration),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::TooMany(message, wait) => {
                let seconds = wait.as_secs().max(1).to_string();
                let body = Json(json!({"error": true, "message": message}));
                let wait = [(header::RETRY_AFTER, seconds)];
                return (StatusCode::TOO_MANY_REQUESTS, wait, body).into_response();
            }
            Self::Room => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "A room has 1 to 64 letters, digits, spaces, dashes or underscores",
            ),
            Self::Database => (StatusCode::SERVICE_UNAVAILABLE, "History is delayed"),
            Self::Body => (StatusCode::BAD_REQUEST, "This cannot be understood"),
            Self::Search => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The search takes too long: search for more letters",
            ),
            Self::Offset => (StatusCode::UNPROCESSABLE_ENTITY, "No such offset"),
            Self::Member => (StatusCode::FORBIDDEN, "You are not in this room"),
        };
        (status, Json(json!({"error": true, "message": message}))).into_response()
    }
}

impl From<NoRoom> for Refused {
    fn from(error: NoRoom) -> Self {
        match error {
            NoRoom::TooMany(wait) => Self::TooMany(error.to_string(), wait),
            NoRoom::Database(error) => error.into(),
        }
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        tracing::warn!(%error, "the database does not answer");
        Self::Database
    }
}

async fn health(State(App(instance)): State<App>) -> Json<Value> {
    let status = if instance.telemetry.is_ready() { "healthy" } else { "degraded" };
    let components = instance.telemetry.health();
    let components: serde_json::Map<_, _> = components
        .into_iter()
        .map(|(name, trouble)| (name.to_owned(), trouble.unwrap_or_else(|| "ok".into()).into()))
        .collect();
    let server = &instance.settings.server_name;
    Json(json!({"status": status, "server": server, "components": components}))
}

async fn me(identity: Identity) -> Json<Value> {
    Json(json!({"userID": identity.user_id, "username": identity.username}))
}

async fn ticket(
    State(App(instance)): State<App>,
    identity: Identity,
) -> Result<Json<Value>, AuthRejection> {
    let ticket = instance.auth.ticket(&identity).await?;
    Ok(Json(json!({"ticket": ticket, "expires_in": TICKET_LIFETIME.as_secs()})))
}

async fn rooms(State(App(instance)): State<App>, identity: Identity) -> Result<Response, Refused> {
    let mut rooms = store::rooms(&instance.database, identity.user_id).await?;
    for room in &mut rooms {
        let mut online = instance.presence.members(&room.room);
        online.extend(instance.rooms.members_of(&room.room));
        room.members_online = online.len();
    }
    Ok(Json(rooms).into_response())
}

#[derive(Deserialize)]
struct NewRoom {
    name: String,
}

async fn make_room(
    State(App(instance)): State<App>,
    identity: Identity,
    body: Result<Json<NewRoom>, JsonRejection>,
) -> Result<Response, Refused> {
    let Json(NewRoom { name }) = body.map_err(|_| Refused::Body)?;
    if !is_room(&name) {
        return Err(Refused::Room);
    }
    let made = instance.make_room(&name, identity.user_id).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(json!({"error": false, "room": name}))).into_response())
}

#[derive(Deserialize)]
struct Asked {
    before: Option<i64>,
    after: Option<i64>,
    limit: Option<usize>,
}

/// The history: what the database has, and what it may not have yet.
async fn messages(
    State(App(instance)): State<App>,
    identity: Identity,
    Path(room): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    if !is_room(&room) {
        return Err(Refused::Room);
    }
    let range = match (asked.before, asked.after) {
        (_, Some(after)) => Range::After(after),
        (before, None) => Range::Before(before.unwrap_or(i64::MAX)),
    };
    let limit = asked.limit.unwrap_or(50).clamp(1, LIMIT_MAX);
    let log = instance.log.get().map(|(log, _)| log);
    let stored = async {
        let database = &instance.database;
        // First how far it is, then what it has: the other way round there could be a hole.
        let written = match log {
            Some(log) => {
                let group = &instance.settings.kafka_group;
                let written = store::offsets(database, group, &log.topic).await?;
                written.get(&log.partition_of(&room)).copied().unwrap_or(0)
            }
            // Nothing is known of what comes behind it.
            None => i64::MAX,
        };
        let messages = store::history(database, &room, range, limit).await?;
        let (read, _) = store::read_and_head(database, &room, identity.user_id).await?;
        Ok::<_, sqlx::Error>((Stored { written, messages }, read))
    };
    // Without the database, the last messages are better than none.
    let answer = tokio::time::timeout(DATABASE_WITHIN, stored).await;
    let is_away = !matches!(answer, Ok(Ok(_)));
    let nothing = || (Stored { written: 0, messages: Vec::new() }, None);
    let (stored, read_offset) = answer.ok().and_then(Result::ok).unwrap_or_else(nothing);
    let tail = log.map(|log| instance.rooms.after(log.partition_of(&room), &room, -1));
    let tail = tail.unwrap_or(Missed::All(Vec::new()));
    let (messages, is_behind) = history::page(stored, tail, range, limit);
    let body = json!({
        "error": false, "messages": messages, "read_offset": read_offset,
        "delayed": is_away || is_behind,
    });
    Ok(Json(body).into_response())
}

#[derive(Deserialize)]
struct ReadTo {
    offset: i64,
}

async fn read(
    State(App(instance)): State<App>,
    identity: Identity,
    Path(room): Path<String>,
    body: Result<Json<ReadTo>, JsonRejection>,
) -> Result<Response, Refused> {
    let Json(ReadTo { offset }) = body.map_err(|_| Refused::Body)?;
    if !is_room(&room) {
        return Err(Refused::Room);
    }
    let pointers = store::read_and_head(&instance.database, &room, identity.user_id);
    let pointers = tokio::time::timeout(DATABASE_WITHIN, pointers).await;
    let (Some(_), stored_head) = pointers.map_err(|_| Refused::Database)?? else {
        return Err(Refused::Member);
    };
    if offset < 0 || Some(offset) > instance.rooms.head(&room).max(stored_head) {
        return Err(Refused::Offset);
    }
    instance.note_read(&room, identity.user_id, offset);
    Ok(Json(json!({"error": false})).into_response())
}

async fn members(
    State(App(instance)): State<App>,
    _identity: Identity,
    Path(room): Path<String>,
) -> Result<Response, Refused> {
    if !is_room(&room) {
        return Err(Refused::Room);
    }
    Ok(Json(instance.members(&room).await).into_response())
}

#[derive(Deserialize)]
struct Searched {
    q: String,
}

async fn search(
    State(App(instance)): State<App>,
    identity: Identity,
    Query(Searched { q }): Query<Searched>,
) -> Result<Response, Refused> {
    let text = q.trim();
    if text.is_empty() || text.len() > 256 || text.contains('\0') {
        return Err(Refused::Body);
    }
    instance.searches.check(identity.user_id).map_err(|wait| {
        Refused::TooMany("One search at a time: try again in a moment".into(), wait)
    })?;
    let (database, text) = (instance.database.clone(), text.to_owned());
    let found = async move { store::search(&database, identity.user_id, &text).await };
    let found = instance.searches.find(&instance.tasks, found).await;
    Ok(Json(found.ok_or(Refused::Search)??).into_response())
}
