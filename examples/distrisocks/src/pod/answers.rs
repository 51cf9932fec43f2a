//! What a pod answers over HTTP, in the original's generic reply.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use common::auth::{AuthRejection, Identity, TICKET_LIFETIME};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Mode, Pod, known, lease, socket};
use crate::status::Status;
use crate::store::{Message, NoPlace, Place};
use crate::wire::{done, refused};

/// Bytes of a frame, at most.
const FRAME_BYTES_MAX: usize = 16 * 1024;

pub(super) fn routes(pod: Pod) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ws", get(open))
        .route("/ws-ticket", post(ticket))
        .route("/conversations", get(conversations))
        .route("/messages", get(messages))
        .route("/pods", get(pods))
        .route("/mode", post(set_mode))
        .with_state(pod)
}

type Answer = Result<Response, Response>;

async fn health(State(pod): State<Pod>) -> Response {
    done("healthy", json!({ "pod_id": pod.id() })).into_response()
}

#[derive(Deserialize)]
struct Ticket {
    ticket: Option<String>,
}

/// Opens a socket for whoever has an access token in the header, or a ticket.
async fn open(
    State(pod): State<Pod>,
    Query(Ticket { ticket }): Query<Ticket>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Answer {
    if !pod.0.settings.http.allows_origin(&headers) {
        return Err((StatusCode::FORBIDDEN, refused("not from this page")).into_response());
    }
    let identity = match ticket {
        Some(ticket) => pod.0.auth.redeem(&ticket).await.map_err(AuthRejection::from),
        None => match Identity::from_request_parts(&mut request.into_parts().0, &pod).await {
            // The token may outlive its session.
            Ok(identity) => match pod.0.auth.goes_on(&identity).await {
                Ok(()) => Ok(identity),
                Err(error) => Err(error.into()),
            },
            Err(refused) => Err(refused),
        },
    };
    let identity = identity.map_err(IntoResponse::into_response)?;
    let upgrade = upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX);
    Ok(upgrade.on_upgrade(async move |web| {
        // A task of the pod, which ends it and waits for it.
        let tasks = pod.0.socket_tasks.clone();
        drop(tasks.spawn("sock-recv", socket::serve(pod, identity, web)));
    }))
}

async fn ticket(State(pod): State<Pod>, identity: Identity) -> Response {
    match pod.0.auth.ticket(&identity).await {
        Ok(ticket) => {
            let expires_in = TICKET_LIFETIME.as_secs();
            Json(json!({ "ticket": ticket, "expires_in": expires_in })).into_response()
        }
        Err(error) => AuthRejection(error).into_response(),
    }
}

/// With whom the user has written, and some who are there besides.
async fn conversations(State(pod): State<Pod>, identity: Identity) -> Answer {
    let found = pod.0.store.conversations(&identity.username).await.map_err(away)?;
    let known: BTreeSet<_> = found.iter().map(|with| with.username.clone()).collect();
    // Without the registry nobody is known to be there.
    let at = pod.0.registry.pods_of_all(&known).await.unwrap_or_default();
    let mut list: Vec<Value> = found
        .into_iter()
        .map(|with| {
            json!({
                "online": at.contains_key(&with.username),
                "username": with.username,
                "last_message": with.last_message,
                "last_at": with.last_at,
            })
        })
        .collect();
    let states = lease::states(&pod).await.unwrap_or_default();
    let online: BTreeSet<_> = states.values().flat_map(|state| &state.users).collect();
    let others = online.into_iter().filter(|user| !known.contains(*user));
    let others = others.filter(|user| **user != identity.username).take(lease::NAMES_MAX);
    list.extend(others.map(|user| json!({ "username": user, "online": true })));
    Ok(done("", list).into_response())
}

#[derive(Deserialize)]
struct Page {
    with: String,
    /// The cursor of a message: what was written before it.
    before: Option<String>,
}

/// A message of the history, with the names of the original's table.
#[derive(Serialize)]
struct Row {
    message_id: Uuid,
    payload: String,
    sender_id: String,
    reciever_id: String,
    created_at: i64,
    /// What `before` takes.
    cursor: String,
    status: Status,
    sent_at: Option<i64>,
    delivered_at: Option<i64>,
}

async fn messages(
    State(pod): State<Pod>,
    identity: Identity,
    Query(Page { with, before }): Query<Page>,
) -> Answer {
    let before = before.map_or(Ok(Place::LAST), |before| before.parse());
    let before = before.map_err(|error: NoPlace| {
        (StatusCode::BAD_REQUEST, refused(error.to_string())).into_response()
    })?;
    let Some(with) = known::account(&pod, &with).await.map_err(away)? else {
        let fault = format!("there is no user called {with}");
        return Err((StatusCode::NOT_FOUND, refused(fault)).into_response());
    };
    let found = pod.0.store.history(&identity.username, &with, before).await.map_err(away)?;
    let rows: Vec<_> = found.into_iter().map(row).collect();
    Ok(done("", rows).into_response())
}

fn row(message: Message) -> Row {
    Row {
        cursor: message.place().to_string(),
        message_id: message.message_id,
        payload: message.payload,
        sender_id: message.sender_id,
        reciever_id: message.reciever_id,
        created_at: message.placed_us / 1_000,
        status: Status::of_rank(message.status),
        sent_at: message.sent_at,
        delivered_at: message.delivered_at,
    }
}

/// Which pods there are, who is where, and how the latest messages went. Who wrote to whom is for
/// these two only, unless this is a demonstration.
async fn pods(State(pod): State<Pod>, who: Identity) -> Answer {
    // Without the registry a pod knows of itself.
    let states = lease::states(&pod).await.unwrap_or_default();
    let mut states = BTreeMap::clone(&states);
    states.insert(pod.id().into(), lease::state(&pod));
    let known = pod.0.registry.pods().await.unwrap_or_default();
    let mut redundant = BTreeMap::<String, u64>::new();
    let (mut hops, mut pods) = (Vec::new(), Vec::new());
    for (pod_id, state) in states {
        let alive = pod_id == pod.id() || known.living.contains(&pod_id);
        for (mode, count) in state.redundant {
            *redundant.entry(mode).or_default() += count;
        }
        hops.extend(state.hops);
        let users = if alive { state.users } else { Vec::new() };
        pods.push(json!({ "pod_id": pod_id, "alive": alive, "users": users }));
    }
    if !pod.0.settings.dev_mode {
        hops.retain(|hop| [&hop.sender_id, &hop.reciever_id].contains(&&who.username));
        for pod in &mut pods {
            pod["users"] = json!([]);
        }
    }
    hops.sort_by_key(|hop| std::cmp::Reverse(hop.at));
    hops.truncate(super::HOPS);
    let mode = *pod.0.mode.borrow();
    let data = json!({
        "mode": mode, "modes": Mode::ALL, "pods": pods, "hops": hops, "redundant": redundant,
    });
    Ok(done("", data).into_response())
}

#[derive(Deserialize)]
struct SetMode {
    mode: Mode,
}

async fn set_mode(
    State(pod): State<Pod>,
    _: Identity,
    Json(SetMode { mode }): Json<SetMode>,
) -> Answer {
    if !pod.0.settings.dev_mode {
        return Err((StatusCode::FORBIDDEN, refused("only in dev mode")).into_response());
    }
    lease::set_mode(&pod, mode).await.map_err(away)?;
    Ok(done("", json!({ "mode": mode })).into_response())
}

fn away(error: impl std::fmt::Display) -> Response {
    tracing::warn!(%error, "cannot answer");
    (StatusCode::SERVICE_UNAVAILABLE, refused("try again later")).into_response()
}
