//! Which broker coordinates a group, and asking it.

use std::collections::{BTreeMap, HashMap};

use klamm_protocol::api::find_coordinator::{self, FindCoordinator};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::clock;

use super::{Admin, Effect, Outcomes};
use crate::error::{Error, Result, Subject};

/// The version from which one question may be about many groups.
const MANY_KEYS_FROM: i16 = 4;

/// What the brokers call a group among the things that have a coordinator.
const GROUP: i8 = 0;

/// Codes by which a broker says that it cannot coordinate this group, or not yet.
const ELSEWHERE: [ErrorCode; 3] = [
    ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ErrorCode::NOT_COORDINATOR,
];

impl Admin {
    /// Asks the coordinator of each group, and again those that have moved or are not ready.
    /// Outcomes are in the order of the question.
    pub(super) async fn by_coordinator<T>(
        &self,
        groups: &[Str],
        effect: Effect,
        ask: impl AsyncFn(i32, &[Str]) -> Result<Outcomes<Str, T>>,
    ) -> Result<Outcomes<Str, T>> {
        let order: HashMap<_, usize> = groups.iter().cloned().zip(0..).collect();
        let (mut left, mut outcomes) = (groups.to_vec(), Vec::new());
        let deadline = clock::now() + self.timeout;
        let mut backoff = self.kafka.retry_backoff();
        loop {
            let pause = backoff.next_pause();
            let last_try = clock::now() + pause > deadline;
            let found = self.retry(Effect::Reads, async || self.find_coordinators(&left).await);
            let mut answers = Vec::with_capacity(left.len());
            let mut led = BTreeMap::<_, Vec<_>>::new();
            for (group, node) in found.await? {
                match node {
                    Ok(node) => led.entry(node).or_default().push(group),
                    Err(error) => answers.push((group, Err(error))),
                }
            }
            for (node, groups) in led {
                match ask(node, &groups).await {
                    Ok(answered) => answers.extend(answered),
                    Err(error) => {
                        answers.extend(groups.into_iter().map(|group| (group, Err(error.clone()))));
                    }
                }
            }
            left = Vec::new();
            for (group, outcome) in answers {
                match outcome {
                    Err(error) if !last_try && may_help(&error, effect) => left.push(group),
                    outcome => outcomes.push((group, outcome)),
                }
            }
            if left.is_empty() {
                outcomes.sort_by_key(|(group, _)| order.get(group).copied());
                return Ok(outcomes);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// As [`by_coordinator`](Self::by_coordinator), for one group.
    pub(super) async fn by_coordinator_of<T>(
        &self,
        group: &Str,
        effect: Effect,
        ask: impl AsyncFn(i32) -> Result<T>,
    ) -> Result<T> {
        let ask = async |node, _: &[Str]| Ok(vec![(group.clone(), ask(node).await)]);
        let outcomes = self.by_coordinator(std::slice::from_ref(group), effect, ask).await?;
        let unanswered = || Err(Error::Closed);
        outcomes.into_iter().next().map_or_else(unanswered, |(_, outcome)| outcome)
    }

    /// The coordinator of each group: one question for all where the broker knows that.
    async fn find_coordinators(&self, groups: &[Str]) -> Result<Outcomes<Str, i32>> {
        let connection = self.kafka.any_broker().await?;
        let version = connection.version::<FindCoordinator>(i16::MAX)?;
        let mut found = Vec::with_capacity(groups.len());
        if version >= MANY_KEYS_FROM {
            let request = find_coordinator::Request {
                key_type: GROUP,
                coordinator_keys: groups.to_vec(),
                ..find_coordinator::Request::default()
            };
            let answer = connection.submit::<FindCoordinator>(version, &request).await?;
            for told in answer.answer().await?.coordinators {
                let subject = Subject::Name(told.key.clone());
                let node = Error::check(told.error_code, told.error_message, subject);
                found.push((told.key, node.map(|()| told.node_id)));
            }
            return Ok(found);
        }
        for group in groups {
            let request =
                find_coordinator::Request { key: group.clone(), ..Default::default() };
            let answer = connection.submit::<FindCoordinator>(version, &request).await?;
            let told = answer.answer().await?;
            let subject = Subject::Name(group.clone());
            let node = Error::check(told.error_code, told.error_message, subject);
            found.push((group.clone(), node.map(|()| told.node_id)));
        }
        Ok(found)
    }
}

/// The first of these codes that sends the caller to another coordinator, as the error of the
/// group: brokers tell it beside each partition.
pub(super) fn unless_elsewhere(
    group: &Str,
    mut codes: impl Iterator<Item = ErrorCode>,
) -> Result<()> {
    let code = codes.find(|code| ELSEWHERE.contains(code)).unwrap_or(ErrorCode::NONE);
    Error::check(code, None, Subject::Name(group.clone()))
}

/// Whether asking again may help, and does no harm.
fn may_help(error: &Error, effect: Effect) -> bool {
    error.is_retriable() && (effect == Effect::Reads || !error.possibly_written())
}
