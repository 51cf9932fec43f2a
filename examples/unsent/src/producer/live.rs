//! What changes, as it changes: one follower of the topic, and a bounded queue for all who listen.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use common::patience::Patience;
use futures_util::{Stream, StreamExt as _, stream};
use klamm_client::Kafka;
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_utils::clock::{Clock as _, SystemClock};
use klamm_utils::task::TaskGroup;
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::App;
use super::access::Caller;
use super::answers::Refusal;
use crate::wire::{CHANGES, Change};

/// Changes that a listener may be behind. One that is further is told to ask anew.
const BEHIND_MAX: usize = 1_024;
/// For who has no session that ends.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Proxies close what says nothing for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// The topic is followed from so long ago: clocks differ, and a change that is told again does no
/// harm.
const BACK_MS: i64 = 30_000;

/// The changes, for whoever listens.
#[derive(Clone, Debug)]
pub(super) struct Live {
    all: broadcast::Sender<News>,
    pub(super) changes: Arc<AtomicU64>,
}

/// What all that listen are told.
#[derive(Clone, Debug)]
enum News {
    Change(Arc<Change>),
    /// Changes may have been missed before this: what waits is to be asked for.
    Resync,
}

impl Default for Live {
    fn default() -> Self {
        Self { all: broadcast::Sender::new(BEHIND_MAX), changes: Arc::default() }
    }
}

impl Live {
    /// Follows the topic of changes until the tasks stop.
    pub(super) async fn follow(&self, kafka: &Kafka, tasks: &TaskGroup) {
        let mut patience = Patience::new(tasks, "follow what changes");
        loop {
            let error = tokio::select! {
                error = self.tell(kafka) => error,
                () = tasks.stopping() => return,
            };
            if patience.after(&error).await.is_none() {
                return;
            }
        }
    }

    /// Tells all that listen, until the topic cannot be read.
    async fn tell(&self, kafka: &Kafka) -> klamm_consumer::Error {
        // Not from its end: where that is shows only later, and what changes until then is lost.
        let start = Start::Timestamp(SystemClock::new().now_ms().saturating_sub(BACK_MS));
        let consumer = kafka.consumer().assign_topic(CHANGES, start).build();
        let mut consumer = match consumer.await {
            Ok(consumer) => consumer,
            Err(error) => return error,
        };
        // That nobody listens is no error, here and below.
        let _ = self.all.send(News::Resync);
        loop {
            let batch = match consumer.next_batch().await {
                Ok(batch) => batch,
                Err(error) => return error,
            };
            for record in batch {
                if let Ok(change) = serde_json::from_slice(&record.value.unwrap_or_default()) {
                    self.changes.fetch_add(1, Ordering::Relaxed);
                    let _ = self.all.send(News::Change(Arc::new(change)));
                }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Whose {
    /// If it is left out, one's own; everybody's for a service.
    touser: Option<String>,
    /// For browsers, which cannot send their token with this request.
    ticket: Option<String>,
}

/// `change` events, and `resync` for who may have missed some: what waits is to be asked for.
pub(super) async fn follow(
    State(app): State<App>,
    by_token: Result<Caller, Refusal>,
    Query(Whose { touser, ticket }): Query<Whose>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let caller = match ticket {
        Some(ticket) => app.access.redeem(&ticket)?,
        None => by_token?,
    };
    let (touser, lasts) = whose(caller, touser)?;
    let stopping = app.tasks.stopping();
    let over = async move {
        tokio::select! {
            () = stopping => {}
            () = tokio::time::sleep(lasts) => {}
        }
    };
    let changes = stream::unfold(app.live.all.subscribe(), move |mut all| {
        let touser = touser.clone();
        async move {
            loop {
                let event = match all.recv().await {
                    Ok(News::Change(change))
                        if touser.as_ref().is_none_or(|user| *user == change.touser) =>
                    {
                        let json = serde_json::to_string(&*change);
                        let json = json.expect("a struct of texts and numbers is JSON");
                        Event::default().event("change").data(json)
                    }
                    Ok(News::Change(_)) => continue,
                    Ok(News::Resync) | Err(RecvError::Lagged(_)) => {
                        Event::default().event("resync").data("{}")
                    }
                    Err(RecvError::Closed) => return None,
                };
                return Some((Ok(event), all));
            }
        }
    });
    let hello = stream::iter([Ok(Event::default().event("hello").data("{}"))]);
    let events = hello.chain(changes).take_until(over);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Whose changes are told, and for how long: no longer than the session lasts.
fn whose(caller: Caller, touser: Option<String>) -> Result<(Option<String>, Duration), Refusal> {
    if let Some(user) = &touser {
        caller.acts_as(user)?;
    }
    let Caller::User(identity) = caller else { return Ok((touser, FOR_EVER)) };
    let now = u64::try_from(SystemClock::new().now_ms() / 1_000).unwrap_or(0);
    let lasts = Duration::from_secs(identity.expires_at.saturating_sub(now));
    Ok((Some(identity.username), lasts))
}
