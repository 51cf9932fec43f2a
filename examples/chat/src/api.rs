//! What is asked over HTTP: rooms, their history, and how the server is.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRef, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use common::auth::{self, Auth, Identity, TICKET_LIFETIME};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::instance::{DATABASE_WITHIN, Instance};
use crate::message::{Placed, is_room};
use crate::rooms::Missed;
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
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Room => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "A room has 1 to 64 letters, digits, spaces, dashes or underscores",
            ),
            Self::Database => (StatusCode::SERVICE_UNAVAILABLE, "History is delayed"),
            Self::Body => (StatusCode::BAD_REQUEST, "This cannot be understood"),
            Self::Offset => (StatusCode::UNPROCESSABLE_ENTITY, "No such offset"),
        };
        (status, Json(json!({"error": true, "message": message}))).into_response()
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

async fn ticket(State(App(instance)): State<App>, identity: Identity) -> Json<Value> {
    let ticket = instance.auth.ticket(&identity);
    Json(json!({"ticket": ticket, "expires_in": TICKET_LIFETIME.as_secs()}))
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
    let made = store::make_room(&instance.database, &name, identity.user_id).await?;
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
    let stored = async {
        let stored = store::history(&instance.database, &room, range, limit).await?;
        let (read, _) = store::pointers(&instance.database, &room, identity.user_id).await?;
        Ok::<_, sqlx::Error>((stored, read))
    };
    // Without the database, the last messages are better than none.
    let answer = tokio::time::timeout(DATABASE_WITHIN, stored).await;
    let (stored, read_offset, delayed) = match answer {
        Ok(Ok((stored, read))) => (stored, read, false),
        Ok(Err(_)) | Err(_) => (Vec::new(), None, true),
    };
    let messages = merged(stored, last_messages(&instance, &room), range, limit);
    let body = json!({
        "error": false, "messages": messages, "read_offset": read_offset, "delayed": delayed,
    });
    Ok(Json(body).into_response())
}

fn last_messages(instance: &Instance, room: &str) -> Vec<Placed> {
    let Some((log, _)) = instance.log.get() else { return Vec::new() };
    let (Missed::All(tail) | Missed::From(_, tail)) =
        instance.rooms.after(log.partition_of(room), room, -1);
    tail.iter().map(|placed| Placed::clone(placed)).collect()
}

/// Both in the order of the log, each message once, and no more than were asked for.
fn merged(mut stored: Vec<Placed>, tail: Vec<Placed>, range: Range, limit: usize) -> Vec<Placed> {
    let wanted = |placed: &Placed| match range {
        Range::Before(offset) => placed.offset < offset,
        Range::After(offset) => placed.offset > offset,
    };
    let full = stored.len() == limit;
    let (oldest, newest) = (
        stored.first().map_or(i64::MAX, |placed| placed.offset),
        stored.last().map_or(i64::MIN, |placed| placed.offset),
    );
    // A page that is full has no gap: only what is newer, or in it, may be added.
    let fits = |placed: &Placed| match range {
        Range::Before(_) => !full || placed.offset > oldest,
        Range::After(_) => !full || placed.offset < newest,
    };
    stored.extend(tail.into_iter().filter(|placed| wanted(placed) && fits(placed)));
    stored.sort_by_key(|placed| placed.offset);
    let mut ids = std::collections::HashSet::new();
    stored.retain(|placed| ids.insert(placed.message.id));
    match range {
        Range::Before(_) => stored.split_off(stored.len().saturating_sub(limit)),
        Range::After(_) => {
            stored.truncate(limit);
            stored
        }
    }
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
    if offset < 0 {
        return Err(Refused::Offset);
    }
    instance.read(&room, &identity, offset).await;
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
    Ok(Json(store::search(&instance.database, identity.user_id, text).await?).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::placed;

    fn offsets(stored: &[i64], tail: &[i64], range: Range, limit: usize) -> Vec<i64> {
        let list = |offsets: &[i64]| offsets.iter().map(|&at| placed("a", at)).collect();
        let merged = merged(list(stored), list(tail), range, limit);
        merged.iter().map(|placed| placed.offset).collect()
    }

    #[test]
    fn history_and_tail_are_merged_without_gaps_or_doubles() {
        let newest = Range::Before(i64::MAX);
        assert_eq!(offsets(&[1, 2], &[2, 3], newest, 10), [1, 2, 3]);
        assert_eq!(offsets(&[4, 5, 6], &[5, 6, 7, 8], newest, 3), [6, 7, 8]);
        assert_eq!(offsets(&[], &[5, 6], newest, 3), [5, 6]);
        assert_eq!(offsets(&[1, 2, 3], &[5, 6], Range::Before(4), 3), [1, 2, 3]);
        assert_eq!(offsets(&[2, 3, 4], &[7, 8], Range::After(1), 3), [2, 3, 4]);
        assert_eq!(offsets(&[2, 3], &[3, 4, 5], Range::After(1), 3), [2, 3, 4]);
    }
}
