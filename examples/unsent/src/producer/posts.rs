//! What is written to the log.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use klamm_producer::{Record, RecordMetadata};
use serde::{Deserialize, Serialize};

use super::access::Caller;
use super::answers::Refusal;
use super::{App, BATCH_MESSAGES_MAX};
use crate::wire::{HandedOver, Message, TOPIC};

/// Where a message lies.
#[derive(Debug, Serialize)]
struct Accepted {
    partition: i32,
    offset: Option<i64>,
    message_id: String,
}

/// What became of one message of a batch.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    Accepted(Accepted),
    Refused { message_id: String, error: String },
}

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    upto_offset: Option<i64>,
    #[serde(default)]
    message_ids: Vec<String>,
}

pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Json(message): Json<Message>,
) -> Result<Response, Refusal> {
    caller.acts_as(&message.fromuser)?;
    message.check()?;
    let log = app.log()?;
    app.access.count(&caller, 1)?;
    let stored = log.producer.send(record(&message.touser, &message)).await?;
    Ok((StatusCode::ACCEPTED, Json(accepted(stored, message.message_id))).into_response())
}

/// All messages are looked at before one is sent.
pub(super) async fn batch(
    State(app): State<App>,
    caller: Caller,
    Json(messages): Json<Vec<Message>>,
) -> Result<Response, Refusal> {
    messages.iter().try_for_each(|message| caller.acts_as(&message.fromuser))?;
    if messages.len() > BATCH_MESSAGES_MAX {
        return Err(Refusal::TooMany(messages.len()));
    }
    messages.iter().try_for_each(Message::check)?;
    // Who is refused for want of a log has not used up anything.
    let log = app.log()?;
    app.access.count(&caller, u32::try_from(messages.len()).unwrap_or(u32::MAX))?;
    let records: Vec<_> = messages.iter().map(|message| record(&message.touser, message)).collect();
    let stored = log.producer.send_all(records).await;
    let all_stored = stored.iter().all(Result::is_ok);
    let outcomes: Vec<_> = stored
        .into_iter()
        .zip(messages)
        .map(|(stored, Message { message_id, .. })| match stored {
            Ok(stored) => Outcome::Accepted(accepted(stored, message_id)),
            Err(error) => Outcome::Refused { message_id, error: error.to_string() },
        })
        .collect();
    let status = match all_stored {
        true => StatusCode::ACCEPTED,
        // Those that failed may be posted again under their ids, and are counted once.
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok((status, Json(outcomes)).into_response())
}

/// Everything that was written before has been handed over.
pub(super) async fn hand_over(
    State(app): State<App>,
    caller: Caller,
    Path((touser, fromuser)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let (upto_offset, message_ids) = (None, Vec::new());
    hand_over_record(&app, &caller, HandedOver { touser, fromuser, upto_offset, message_ids }).await
}

/// What was written up to an offset has been handed over, or some messages have.
pub(super) async fn hand_over_some(
    State(app): State<App>,
    caller: Caller,
    Path((touser, fromuser)): Path<(String, String)>,
    Json(Which { upto_offset, message_ids }): Json<Which>,
) -> Result<Response, Refusal> {
    hand_over_record(&app, &caller, HandedOver { touser, fromuser, upto_offset, message_ids }).await
}

async fn hand_over_record(
    app: &App,
    caller: &Caller,
    handed_over: HandedOver,
) -> Result<Response, Refusal> {
    caller.acts_as(&handed_over.touser)?;
    handed_over.check()?;
    let log = app.log()?;
    // It is a record as any other.
    app.access.count(caller, 1)?;
    log.producer.send(record(&handed_over.touser, &handed_over)).await?;
    Ok((StatusCode::ACCEPTED, Json(handed_over)).into_response())
}

/// The key is the user written to: all of one user's records are in one order.
fn record(touser: &str, value: &impl Serialize) -> Record {
    let value = serde_json::to_vec(value).expect("a struct of texts and numbers is JSON");
    Record::to(TOPIC).key(touser.to_owned()).value(value)
}

fn accepted(stored: RecordMetadata, message_id: String) -> Accepted {
    Accepted { partition: stored.partition, offset: stored.offset, message_id }
}
