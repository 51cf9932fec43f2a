//! What is read, and how requests are refused.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use common::auth::{AuthError, AuthRejection};
use common::kv::KvError;
use serde::{Deserialize, Serialize};

use super::access::Caller;
use super::{App, BATCH_MESSAGES_MAX, Log};
use crate::wire::{Unsent, WaitingMessage, WireError};

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("a batch has at most {BATCH_MESSAGES_MAX} messages, not {0}")]
    TooMany(usize),
    #[error("the broker is away")]
    NoBroker,
    #[error("not stored: {0}")]
    NotStored(#[from] klamm_producer::Error),
    #[error("neither store answers: {0}")]
    NoStore(#[from] KvError),
    #[error("only in dev mode")]
    NotInDevMode,
    #[error("only {0} may do that, or a service")]
    Another(String),
    #[error(transparent)]
    Auth(#[from] AuthError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Auth(error) => return AuthRejection(error).into_response(),
            Self::Wire(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotInDevMode | Self::Another(_) => StatusCode::FORBIDDEN,
            Self::NoBroker | Self::NotStored(_) | Self::NoStore(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let body = Json(serde_json::json!({ "error": true, "message": self.to_string() }));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return (status, [(header::RETRY_AFTER, "1")], body).into_response();
        }
        (status, body).into_response()
    }
}

/// What `GET /stats` tells: how much the master is spared.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    reads_aux: u64,
    reads_master: u64,
    /// The share of reads that did not go to the master, of all this service has answered.
    off_master: f64,
    master: &'static str,
    auxiliary: &'static str,
    changes: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Cut {
    cut: bool,
}

impl App {
    pub(super) fn log(&self) -> Result<&Log, Refusal> {
        self.log.get().ok_or(Refusal::NoBroker)
    }
}

pub(super) async fn health(State(app): State<App>) -> Response {
    let status = if app.log.get().is_some() { "healthy" } else { "starting" };
    Json(serde_json::json!({ "status": status, "server": &*app.name })).into_response()
}

pub(super) async fn unsent(
    State(app): State<App>,
    caller: Caller,
    Path(touser): Path<String>,
) -> Result<Json<Unsent>, Refusal> {
    caller.acts_as(&touser)?;
    Ok(Json(app.log()?.view.unsent(&touser).await?))
}

pub(super) async fn messages(
    State(app): State<App>,
    caller: Caller,
    Path((touser, fromuser)): Path<(String, String)>,
) -> Result<Json<Vec<WaitingMessage>>, Refusal> {
    caller.acts_as(&touser)?;
    Ok(Json(app.log()?.view.messages(&touser, &fromuser).await?))
}

pub(super) async fn stats(State(app): State<App>, _: Caller) -> Json<Stats> {
    let (reads_aux, reads_master) = (app.metrics.reads("aux"), app.metrics.reads("master"));
    let all = reads_aux + reads_master;
    let off_master = if all == 0 { 1.0 } else { reads_aux as f64 / all as f64 };
    let state = async |kv: &common::kv::Kv| match kv.get("unsent:ping").await {
        Ok(_) => "up",
        Err(KvError::Cut) => "cut",
        Err(_) => "down",
    };
    let (master, auxiliary) = tokio::join!(state(&app.stores.master), state(&app.stores.auxiliary));
    let changes = app.live.changes.load(Ordering::Relaxed);
    Json(Stats { reads_aux, reads_master, off_master, master, auxiliary, changes })
}

pub(super) async fn cut_master(
    State(app): State<App>,
    Json(Cut { cut }): Json<Cut>,
) -> Result<Json<serde_json::Value>, Refusal> {
    if !app.dev_mode {
        return Err(Refusal::NotInDevMode);
    }
    app.stores.master.cut(cut);
    tracing::info!(cut, "the master is cut off by hand, or joined again");
    Ok(Json(serde_json::json!({ "cut": cut })))
}
