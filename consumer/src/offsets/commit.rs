//! Commits positions, one outcome for each: what is refused for one partition, or has become
//! another member's, keeps no other from being committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_client::group_offsets::{self, TopicIds};
use klamm_client::{CoordinatorKind, Error, Result, Subject};
use klamm_utils::clock;

use super::{doubt, doubting, group, may_pass};
use crate::assignment::{Assignment, Place};
use crate::group::{Group, Identity};
use crate::position::{Position, Reached};
use crate::shared::Shared;

/// How long the last commit of a consumer may take.
const LAST_COMMIT_WITHIN: Duration = Duration::from_secs(10);

/// How often a consumer that is no member commits what has not changed, too. What it has committed
/// expires when it is old (`offsets.retention.minutes`), be the consumer there or not; what is
/// committed for a group that has members does not.
const COMMIT_ALL_EVERY: Duration = Duration::from_secs(60);

/// What has become of each position.
pub(crate) type Outcomes = Vec<(Position, Result<()>)>;

/// The same, of one try.
type Tried = Vec<(Reached, Result<()>)>;

/// Commits, and tries again what may pass, for `default.api.timeout.ms`.
///
/// # Errors
/// There is no group to commit for.
pub(crate) async fn commit(shared: &Shared, reached: Vec<Reached>) -> Result<Outcomes> {
    let group = group(shared, "commit")?;
    let begun = clock::now();
    let outcomes = commit_each(shared, group, reached).await;
    note(shared, begun, &outcomes);
    Ok(outcomes)
}

/// Tells metrics and interceptors what has become of commits.
fn note(shared: &Shared, begun: Instant, outcomes: &Outcomes) {
    let stored = || outcomes.iter().filter(|(_, outcome)| outcome.is_ok());
    let count = stored().count();
    let took = clock::now().saturating_duration_since(begun);
    shared.metrics.committed(count, outcomes.len() - count, took);
    shared.interceptors.on_commit(|| stored().map(|(position, _)| position.clone()).collect());
}

async fn commit_each(shared: &Shared, group: &Group, reached: Vec<Reached>) -> Outcomes {
    let deadline = clock::now() + shared.settings.api_timeout;
    let mut backoff = shared.kafka.retry_backoff();
    let mut outcomes = Vec::with_capacity(reached.len());
    let mut left = reached;
    loop {
        let tried = commit_once(shared, group, left).await;
        let pause = backoff.next_pause();
        let may_retry = clock::now() + pause <= deadline;
        let mut again = Vec::new();
        for (reached, outcome) in tried {
            match outcome {
                Err(error) if may_retry && may_pass(&error, group) => {
                    tracing::debug!(group = %group.id, %error, "committing again");
                    again.push(reached);
                }
                outcome => outcomes.push((reached.position, outcome)),
            }
        }
        if again.is_empty() {
            return outcomes;
        }
        tokio::time::sleep(pause).await;
        left = again;
    }
}

/// Commits once what the member still has.
async fn commit_once(shared: &Shared, group: &Group, mut left: Vec<Reached>) -> Tried {
    let mut tried = Vec::with_capacity(left.len());
    let (identity, ids) = {
        // Who the member is and what it has belong together, and change together.
        let assignment = shared.assignment();
        if group.subscribes() {
            tried.extend(give_up_lost(&assignment, &mut left));
        }
        let places: Vec<_> = left.iter().map(Reached::place).collect();
        (group.identity(), assignment.topic_ids(&places))
    };
    if !left.is_empty() {
        let outcomes = try_commit(shared, group, (&identity, &ids), &left).await;
        tried.extend(left.into_iter().zip(outcomes));
    }
    tried
}

/// The first position that was not committed, and why.
pub(crate) fn first_failure(outcomes: Outcomes) -> Result<()> {
    outcomes.into_iter().try_for_each(|(_, outcome)| outcome)
}

/// What is no longer a member's own may be another's: a commit would undo that one's, also if the
/// partition has come back since.
fn give_up_lost(assignment: &Assignment, left: &mut Vec<Reached>) -> Tried {
    let lost = left.extract_if(.., |reached| !assignment.still_has(reached));
    let outcome = |reached: Reached| {
        let (topic, partition) = reached.place();
        let subject = Subject::Partition(topic, partition);
        (reached, Err(Error::NotAssigned { subject }))
    };
    lost.map(outcome).collect()
}

/// Commits once: one outcome for each position, in their order.
async fn try_commit(
    shared: &Shared,
    group: &Group,
    who: (&Identity, &TopicIds),
    left: &[Reached],
) -> Vec<Result<()>> {
    match ask(shared, group, who, left).await {
        Ok(outcomes) => outcomes,
        Err(error) => left.iter().map(|_| Err(error.clone())).collect(),
    }
}

async fn ask(
    shared: &Shared,
    group: &Group,
    (identity, ids): (&Identity, &TopicIds),
    left: &[Reached],
) -> Result<Vec<Result<()>>> {
    let node = shared.kafka.coordinator(CoordinatorKind::Group, &group.id).await?;
    let committer = group.committer(identity);
    let told = doubting(shared, group, node, async {
        let connection = shared.kafka.broker(node).await?;
        let offsets = left.iter().map(|reached| reached.position.clone().into());
        group_offsets::commit(&connection, &group.id, &committer, offsets, ids).await
    })
    .await?;
    let outcome = |(reached, (_, outcome)): (&Reached, (Place, Result<()>))| {
        match &outcome {
            Ok(()) => shared.assignment().note_committed(reached),
            Err(error) => doubt(shared, group, node, error),
        }
        outcome
    };
    Ok(left.iter().zip(told).map(outcome).collect())
}

/// Commits how far the application has worked in the partitions that `chosen` chooses. A failure
/// is told in the log: the next owner begins earlier.
pub(crate) async fn commit_worked(shared: &Shared, chosen: impl Fn(&Position) -> bool) {
    for (_, outcome) in try_commit_worked(shared, chosen).await {
        match outcome {
            Ok(()) => {}
            // Another owner commits it.
            Err(error @ Error::NotAssigned { .. }) => tracing::debug!(%error, "not committed"),
            Err(error) => tracing::warn!(%error, "not committed"),
        }
    }
}

/// The same, with what has become of it. It looks anew before each try how far that is, so that it
/// undoes nothing that the application has committed meanwhile.
pub(crate) async fn try_commit_worked(
    shared: &Shared,
    chosen: impl Fn(&Position) -> bool,
) -> Outcomes {
    let Some(group) = shared.group.as_deref() else { return Vec::new() };
    let deadline = clock::now() + shared.settings.api_timeout;
    let mut backoff = shared.kafka.retry_backoff();
    loop {
        let mut worked = shared.assignment().uncommitted();
        worked.retain(|reached| chosen(&reached.position));
        if worked.is_empty() {
            return Vec::new();
        }
        let begun = clock::now();
        let tried = commit_once(shared, group, worked).await;
        let mut outcomes: Outcomes =
            tried.into_iter().map(|(reached, outcome)| (reached.position, outcome)).collect();
        let passes =
            |outcome: &Result<()>| outcome.as_ref().is_err_and(|error| may_pass(error, group));
        let pause = backoff.next_pause();
        if !outcomes.iter().any(|(_, outcome)| passes(outcome)) || clock::now() + pause > deadline {
            note(shared, begun, &outcomes);
            return outcomes;
        }
        // What has failed is tried again, and told in the end.
        outcomes.retain(|(_, outcome)| outcome.is_ok());
        if !outcomes.is_empty() {
            note(shared, begun, &outcomes);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Commits again and again how far the application has worked, and a last time when it is told
/// to stop, unless the application has done that.
pub(crate) async fn commit_always(
    shared: Arc<Shared>,
    interval: Duration,
    stopping: impl Future<Output = ()>,
) {
    let expires = shared.group.as_deref().is_some_and(|group| !group.subscribes());
    let committing = async {
        let mut all_at = clock::now();
        loop {
            tokio::time::sleep(interval).await;
            if expires && all_at.elapsed() >= COMMIT_ALL_EVERY {
                shared.assignment().doubt_committed();
                all_at = clock::now();
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::{Cursor, Start, tenure_of};

    #[test]
    fn what_was_lost_in_between_is_not_committed_again() {
        let places = [("t".into(), 0), ("t".into(), 1)];
        let start = |(topic, partition): &Place| (topic.clone(), *partition, Start::Offset(0));
        let (mut assignment, now) = (Assignment::default(), clock::now());
        assignment.add(places.iter().map(start), now);
        let positions = places.clone().map(|(topic, partition)| Position::new(topic, partition, 7));
        let mut left = assignment.reached(positions.clone());
        assert!(give_up_lost(&assignment, &mut left).is_empty(), "nothing was lost");
        // While the commit is tried again, one goes to another member and comes back.
        assignment.remove(&places[..1]);
        assignment.add(places[..1].iter().map(start), now);
        let lost = give_up_lost(&assignment, &mut left);
        assert_eq!((lost.len(), lost[0].0.position.partition), (1, 0));
        assert!(matches!(lost[0].1, Err(Error::NotAssigned { .. })), "{lost:?}");
        assert_eq!((left.len(), left[0].position.partition), (1, 1), "the other is committed");
        let late = lost[0].0.clone();
        assignment.note_committed(&late);
        let committed = |place| assignment.cursor(place).and_then(Cursor::committed);
        assert_eq!(committed(&places[0]), None, "that was of the assignment before");
        // What was delivered before, and is committed only now, may be behind another member's.
        let tenure = late.term.map(tenure_of);
        let mut left = assignment.reached(positions.map(|it| Position { tenure, ..it }));
        let lost = give_up_lost(&assignment, &mut left);
        assert_eq!((lost.len(), lost[0].0.position.partition), (1, 0));
    }
}
