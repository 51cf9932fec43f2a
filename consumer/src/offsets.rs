//! Committed offsets: where partitions begin, and how far they have been worked on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_client::config::keys;
use klamm_client::group_offsets::{self, CommittedOffset, Reader};
use klamm_client::{ConfigError, CoordinatorKind, Error, Result, Subject};
use klamm_protocol::error_code::ErrorCode;
use klamm_utils::clock;

use crate::assignment::Place;
use crate::cursor::Start;
use crate::fetcher::Shared;
use crate::group::{Group, Identity};
use crate::position::Position;

/// How long the last commit of a consumer may take.
const LAST_COMMIT_WITHIN: Duration = Duration::from_secs(10);

/// What a group says of a partition: where it goes on, if it has committed that.
pub(crate) type Committed = (Place, Result<Option<Position>>);

/// Commits, and tries again what may pass, for `default.api.timeout.ms`.
pub(crate) async fn commit(shared: &Shared, positions: Vec<Position>) -> Result<()> {
    let group = group(shared, "commit")?;
    let deadline = clock::now() + shared.kafka.config().get(&keys::API_TIMEOUT);
    let mut backoff = shared.kafka.retry_backoff();
    let mut left = positions;
    while !left.is_empty() {
        require_assigned(shared, group, &left)?;
        let identity = group.identity();
        let (refused, error) = match try_commit(shared, group, &identity, &left).await {
            Ok((refused, Some(error))) => (refused, error),
            Ok((_, None)) => return Ok(()),
            Err(error) => (left, error),
        };
        let pause = backoff.next_pause();
        if !may_pass(&error, group) || clock::now() + pause > deadline {
            return Err(error);
        }
        tracing::debug!(group = %group.id, %error, "committing again");
        tokio::time::sleep(pause).await;
        left = refused;
    }
    Ok(())
}

/// Whether what the coordinator refused may succeed later, though only if the partitions stay.
fn may_pass(error: &Error, group: &Group) -> bool {
    match error.code() {
        // Until the member has the group's new generation, or has learnt that it is out of it.
        Some(
            ErrorCode::REBALANCE_IN_PROGRESS
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::STALE_MEMBER_EPOCH,
        ) => group.subscribes(),
        _ => error.is_retriable() || error.is_stale_coordinator(),
    }
}

/// What is not, or no longer, a member's own may be another's: a commit would undo that one's.
fn require_assigned(shared: &Shared, group: &Group, positions: &[Position]) -> Result<()> {
    if !group.subscribes() {
        return Ok(());
    }
    let assignment = shared.assignment();
    for Position { topic, partition, .. } in positions {
        if assignment.cursor(&(topic.clone(), *partition)).is_none() {
            let subject = Subject::Partition(topic.clone(), *partition);
            return Err(Error::NotAssigned { subject });
        }
    }
    Ok(())
}

/// Commits once. Gives what was refused, with the first reason.
async fn try_commit(
    shared: &Shared,
    group: &Group,
    identity: &Identity,
    positions: &[Position],
) -> Result<(Vec<Position>, Option<Error>)> {
    let node = shared.kafka.coordinator(CoordinatorKind::Group, &group.id).await?;
    let committer = group.committer(identity);
    let answers = doubting(shared, group, node, async {
        let connection = shared.kafka.broker(node).await?;
        let offsets = positions.iter().cloned().map(Into::into);
        group_offsets::commit(&connection, &group.id, &committer, offsets).await
    })
    .await?;
    let codes: HashMap<Place, ErrorCode> = answers.into_iter().collect();
    let (mut refused, mut first) = (Vec::new(), None);
    for position in positions {
        let place = (position.topic.clone(), position.partition);
        // What the answer leaves out counts as not stored.
        let code = codes.get(&place).copied().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
        let subject = Subject::Partition(place.0.clone(), place.1);
        match Error::check(code, None, subject) {
            Ok(()) => {
                if let Some(cursor) = shared.assignment().cursor_mut(&place) {
                    cursor.set_committed(position.offset);
                }
            }
            Err(error) => {
                doubt(shared, group, node, &error);
                first.get_or_insert(error);
                refused.push(position.clone());
            }
        }
    }
    Ok((refused, first))
}

/// What the group has committed of partitions; asked once.
pub(crate) async fn committed(shared: &Shared, places: &[Place]) -> Result<Vec<Committed>> {
    let group = group(shared, "know what was committed")?;
    let node = shared.kafka.coordinator(CoordinatorKind::Group, &group.id).await?;
    let of_group = doubting(shared, group, node, async {
        let connection = shared.kafka.broker(node).await?;
        let groups = std::slice::from_ref(&group.id);
        let reader = Reader { stable: true, member: group.epoch() };
        let mut answers =
            group_offsets::fetch(&connection, groups, Some(places), &reader).await?.into_iter();
        answers.next().map_or_else(|| Ok(Vec::new()), |(_, of_group)| of_group)
    })
    .await?;
    let position = |(place, committed): (Place, Result<Option<CommittedOffset>>)| {
        let committed =
            committed.map(|found| found.map(|found| Position::from_committed(&place, found)));
        (place, committed)
    };
    Ok(of_group.into_iter().map(position).collect())
}

/// The same, and tried again for `default.api.timeout.ms`.
pub(crate) async fn committed_soon(shared: &Shared, places: &[Place]) -> Result<Vec<Committed>> {
    let group = group(shared, "know what was committed")?;
    let deadline = clock::now() + shared.kafka.config().get(&keys::API_TIMEOUT);
    let mut backoff = shared.kafka.retry_backoff();
    loop {
        let outcome = committed(shared, places).await;
        let passes = |error: &Error| may_pass(error, group);
        let passing = match &outcome {
            Ok(found) => {
                found.iter().filter_map(|(_, found)| found.as_ref().err()).all(passes)
                    && found.iter().any(|(_, found)| found.is_err())
            }
            Err(error) => passes(error),
        };
        let pause = backoff.next_pause();
        if !passing || clock::now() + pause > deadline {
            return outcome;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Commits how far the application has worked in the partitions that `chosen` chooses. A failure
/// is told in the log: the next owner begins earlier.
pub(crate) async fn commit_worked(shared: &Shared, chosen: impl Fn(&Position) -> bool) {
    let mut positions = shared.assignment().uncommitted();
    positions.retain(chosen);
    if positions.is_empty() {
        return;
    }
    match commit(shared, positions).await {
        Ok(()) => {}
        // Another owner commits it.
        Err(error @ Error::NotAssigned { .. }) => tracing::debug!(%error, "not committed"),
        Err(error) => tracing::warn!(%error, "not committed"),
    }
}

/// Commits again and again how far the application has worked, and a last time when it is told
/// to stop, unless the application has done that.
pub(crate) async fn commit_always(
    shared: Arc<Shared>,
    interval: Duration,
    stopping: impl Future<Output = ()>,
) {
    let committing = async {
        loop {
            tokio::time::sleep(interval).await;
            commit_worked(&shared, |_| true).await;
        }
    };
    tokio::select! {
        () = stopping => {}
        () = committing => {}
    }
    if shared.assignment().has_closed() {
        return;
    }
    let last = tokio::time::timeout(LAST_COMMIT_WITHIN, commit_worked(&shared, |_| true));
    if last.await.is_err() {
        tracing::warn!("the last commit of the consumer did not come through");
    }
}

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
                Err(error)
                    if shared.group.as_ref().is_some_and(|group| may_pass(&error, group)) =>
                {
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
                cursor.seek(Start::Offset(position.offset));
                cursor.set_committed(position.offset);
                continue;
            }
            Ok(None) if cursor.reset(shared.settings.reset) => continue,
            Ok(None) => Error::NoOffset { subject: subject() },
            Err(error) if error.is_retriable() => {
                cursor.retry_at = Some(clock::now() + pause);
                continue;
            }
            Err(error) => {
                cursor.halted = true;
                error
            }
        };
        assignment.fail(failure);
    }
    shared.deliver(assignment);
    shared.ring();
    Ok(())
}

/// Tells the application that partitions cannot begin.
fn halt(shared: &Shared, waiting: &[(Place, u64)], error: Error) {
    let mut assignment = shared.assignment();
    for (place, term) in waiting {
        if let Some(cursor) = assignment.answered(place, *term) {
            cursor.halted = true;
        }
    }
    assignment.fail(error);
    shared.deliver(assignment);
}

fn group<'a>(shared: &'a Shared, purpose: &'static str) -> Result<&'a Group> {
    let name = keys::GROUP_ID.name();
    shared.group.as_deref().ok_or_else(|| ConfigError::Missing { name, purpose }.into())
}

/// Asks the coordinator `node`, and looks it up anew when its answer never comes.
async fn doubting<T>(
    shared: &Shared,
    group: &Group,
    node: i32,
    asking: impl Future<Output = Result<T>>,
) -> Result<T> {
    let answer = asking.await;
    if let Err(error) = &answer {
        doubt(shared, group, node, error);
    }
    answer
}

fn doubt(shared: &Shared, group: &Group, node: i32, error: &Error) {
    if error.is_stale_coordinator() {
        shared.kafka.forget_coordinator(CoordinatorKind::Group, &group.id, node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Subscription;
    use klamm_client::ClientConfig;
    use klamm_client::config::GroupProtocol;

    #[test]
    fn a_member_commits_again_after_a_rebalance() {
        let config = ClientConfig::new("localhost:9092").set("group.id", "g");
        let subscription = Subscription::parse(["t"], GroupProtocol::Classic).expect("no pattern");
        let group = |subscription| {
            let group = Group::of(&config, subscription).expect("a sensible group");
            group.expect("it has an id")
        };
        let (member, outsider) = (group(Some(subscription)), group(None));
        let check = |code, of_member, of_outsider| {
            let subject = Subject::Partition("t".into(), 0);
            let error = Error::check(code, None, subject).expect_err("a refusal");
            assert_eq!(may_pass(&error, &member), of_member, "{code:?} of a member");
            assert_eq!(may_pass(&error, &outsider), of_outsider, "{code:?} of an outsider");
        };
        check(ErrorCode::REBALANCE_IN_PROGRESS, true, false);
        check(ErrorCode::ILLEGAL_GENERATION, true, false);
        check(ErrorCode::UNKNOWN_MEMBER_ID, true, false);
        check(ErrorCode::STALE_MEMBER_EPOCH, true, false);
        check(ErrorCode::FENCED_INSTANCE_ID, false, false);
        check(ErrorCode::NOT_COORDINATOR, true, true);
    }
}
