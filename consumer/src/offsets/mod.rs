//! Committed offsets: where partitions begin, and how far they have been worked on.

mod begin;
mod commit;

use klamm_client::config::keys;
use klamm_client::group_offsets::{self, CommittedOffset, Reader};
use klamm_client::{ConfigError, CoordinatorKind, Error, Result};
use klamm_protocol::error_code::ErrorCode;
use klamm_utils::clock;

use crate::assignment::Place;
use crate::group::Group;
use crate::position::Position;
use crate::shared::Shared;

pub(crate) use begin::begin;
pub(crate) use commit::{commit, commit_always, commit_worked, first_failure, try_commit_worked};

/// What a group says of a partition: where it goes on, if it has committed that.
pub(crate) type Committed = (Place, Result<Option<Position>>);

/// What the group has committed of partitions; asked once.
pub(crate) async fn committed(shared: &Shared, places: &[Place]) -> Result<Vec<Committed>> {
    let group = group(shared, "know what was committed")?;
    let node = shared.kafka.coordinator(CoordinatorKind::Group, &group.id).await?;
    let of_group = doubting(shared, group, node, async {
        let connection = shared.kafka.broker(node).await?;
        let groups = std::slice::from_ref(&group.id);
        let ids = shared.assignment().topic_ids(places);
        let reader = Reader { stable: true, member: group.epoch(), ids };
        let told = group_offsets::fetch(&connection, groups, Some(places), &reader).await?;
        let of_group = told.into_iter().map(|(_, of_group)| of_group).next();
        of_group.expect("one outcome for each group")
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
    let deadline = clock::now() + shared.settings.api_timeout;
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
    use klamm_client::config::GroupProtocol;
    use klamm_client::{ClientConfig, Origin, Subject};

    #[test]
    fn a_member_commits_again_after_a_rebalance() {
        let config = ClientConfig::new("localhost:9092").set("group.id", "g");
        let subscription = Subscription::parse(["t"], GroupProtocol::Classic).expect("no pattern");
        let group = |subscription| {
            let group = Group::of(&config, subscription).expect("a sensible group");
            group.expect("it has an id")
        };
        let (member, outsider) = (group(Some(subscription)), group(None));
        let origin = Origin { api: "OffsetCommit", address: "a:1".into() };
        let check = |code, of_member, of_outsider| {
            let subject = Subject::Partition("t".into(), 0);
            let error = origin.error(code, subject);
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
