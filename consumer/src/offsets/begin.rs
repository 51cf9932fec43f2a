//! Finds out where partitions begin.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_client::{Error, Result, Subject};
use klamm_utils::clock;

use super::{committed, may_pass};
use crate::assignment::Place;
use crate::refusal::is_unexplained;
use crate::shared::Shared;

/// Finds out where partitions begin of which the group knows it. Ends when it is told to stop.
pub(crate) async fn begin(shared: Arc<Shared>, stopping: impl Future<Output = ()>) {
    let beginning = async {
        let mut backoff = shared.kafka.retry_backoff();
        loop {
            let changed = shared.changed.notified();
            let now = clock::now();
            let (waiting, retry_at) = {
                let assignment = shared.assignment();
                (assignment.await_committed(now), assignment.retry_at(now))
            };
            if waiting.is_empty() {
                tokio::select! {
                    () = changed => {}
                    () = sleep_until(retry_at) => {}
                }
                continue;
            }
            match begin_at(&shared, &waiting, backoff.next_pause()).await {
                Ok(()) => backoff.reset(),
                Err(error) if passes(&shared, &error) => {
                    tracing::warn!(%error, "where to begin is not known");
                    tokio::time::sleep(backoff.next_pause()).await;
                }
                Err(error) => halt(&shared, &waiting, error),
            }
        }
    };
    tokio::select! {
        () = stopping => {}
        () = beginning => {}
    }
}

/// Whether the group may say later where its partitions begin.
fn passes(shared: &Shared, error: &Error) -> bool {
    let group = shared.group.as_ref();
    is_unexplained(error) || group.is_some_and(|group| may_pass(error, group))
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// Asks once where these partitions begin, and has those begin of which that is known.
async fn begin_at(shared: &Shared, waiting: &[(Place, u64)], pause: Duration) -> Result<()> {
    let places: Vec<_> = waiting.iter().map(|(place, _)| place.clone()).collect();
    let found = match &shared.group {
        Some(_) => committed(shared, &places).await?,
        None => places.into_iter().map(|place| (place, Ok(None))).collect(),
    };
    let terms: HashMap<_, _> = waiting.iter().map(|(place, term)| (place, *term)).collect();
    let mut assignment = shared.assignment();
    for (place, outcome) in found {
        let Some(term) = terms.get(&place) else { continue };
        let Some(cursor) = assignment.answered(&place, *term) else { continue };
        let subject = || Subject::Partition(place.0.clone(), place.1);
        let failure = match outcome {
            Ok(Some(position)) => {
                cursor.go_to((position.offset, position.leader_epoch.unwrap_or(-1)));
                cursor.set_committed(position.offset);
                continue;
            }
            Ok(None) if cursor.reset(shared.settings.reset_start()) => continue,
            Ok(None) => Error::NoOffset { subject: subject() },
            Err(error) if error.is_retriable() || is_unexplained(&error) => {
                if is_unexplained(&error) {
                    tracing::warn!(%error, "where to begin is not known");
                }
                cursor.retry_at = Some(clock::now() + pause);
                continue;
            }
            Err(error) => error,
        };
        assignment.halt(&[place], failure);
    }
    shared.deliver(assignment);
    shared.ring();
    Ok(())
}

/// Tells the application that partitions cannot begin.
fn halt(shared: &Shared, waiting: &[(Place, u64)], error: Error) {
    let mut assignment = shared.assignment();
    let concerned =
        waiting.iter().filter(|(place, term)| assignment.answered(place, *term).is_some());
    let places: Vec<_> = concerned.map(|(place, _)| place.clone()).collect();
    assignment.halt(&places, error);
    shared.deliver(assignment);
}
