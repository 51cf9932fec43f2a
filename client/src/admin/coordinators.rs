//! Asking the coordinators of groups.

use std::collections::{BTreeMap, HashMap};

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::clock;

use super::{Admin, Effect, Outcomes, may_help};
use crate::coordinator::CoordinatorKind;
use crate::error::{Error, Result};
use crate::together::together;

/// Codes by which a broker says that it cannot coordinate this group, or not yet.
const ELSEWHERE: [ErrorCode; 3] = [
    ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ErrorCode::NOT_COORDINATOR,
];

impl Admin {
    /// Asks the coordinator of each group, as [`by_coordinators`](Self::by_coordinators).
    pub(super) async fn by_coordinator<T, F: Future<Output = Result<Outcomes<Str, T>>>>(
        &self,
        groups: &[Str],
        effect: Effect,
        ask: impl Fn(i32, Vec<Str>) -> F,
    ) -> Result<Outcomes<Str, T>> {
        self.by_coordinators(CoordinatorKind::Group, groups, effect, ask).await
    }

    /// Asks the coordinator of each group or transactional id, and again those that have moved or
    /// are not ready. Outcomes are in the order of the question.
    pub(super) async fn by_coordinators<T, F: Future<Output = Result<Outcomes<Str, T>>>>(
        &self,
        kind: CoordinatorKind,
        groups: &[Str],
        effect: Effect,
        ask: impl Fn(i32, Vec<Str>) -> F,
    ) -> Result<Outcomes<Str, T>> {
        let order: HashMap<_, usize> = groups.iter().cloned().zip(0..).collect();
        let (mut left, mut outcomes) = (groups.to_vec(), Vec::new());
        let mut refused = Vec::<(Str, Error)>::new();
        let deadline = self.deadline();
        let mut backoff = self.kafka.retry_backoff();
        loop {
            let find = async || self.kafka.coordinators(kind, &left).await;
            let found = match self.retry_until(deadline, Effect::Reads, find).await {
                Ok(found) => found,
                Err(error) if refused.is_empty() => return Err(error),
                // What was done before is told, and why the rest was not.
                Err(_) => {
                    outcomes.extend(refused.into_iter().map(|(group, error)| (group, Err(error))));
                    break;
                }
            };
            let mut answers = Vec::with_capacity(left.len());
            let mut led = BTreeMap::<_, Vec<_>>::new();
            for (group, node) in found {
                match node {
                    Ok(node) => led.entry(node).or_default().push(group),
                    Err(error) => answers.push((group, Err(error))),
                }
            }
            let ask = |node, groups| self.until(deadline, ask(node, groups));
            let asked =
                led.into_iter().map(|(node, groups)| self.told_by(kind, node, groups, &ask));
            answers.extend(together(asked).await.into_iter().flatten());
            let pause = backoff.next_pause();
            let last_try = clock::now() + pause > deadline;
            refused = Vec::new();
            for (group, outcome) in answers {
                match outcome {
                    Err(error) if !last_try && may_help(&error, effect) => {
                        refused.push((group, error));
                    }
                    outcome => outcomes.push((group, outcome)),
                }
            }
            if refused.is_empty() {
                break;
            }
            left = refused.iter().map(|(group, _)| group.clone()).collect();
            tokio::time::sleep(pause).await;
        }
        outcomes.sort_by_key(|(group, _)| order.get(group).copied());
        Ok(outcomes)
    }

    /// What one coordinator tells of its groups; those that are not its own are looked up anew.
    async fn told_by<T, F: Future<Output = Result<Outcomes<Str, T>>>>(
        &self,
        kind: CoordinatorKind,
        node: i32,
        groups: Vec<Str>,
        ask: &impl Fn(i32, Vec<Str>) -> F,
    ) -> Outcomes<Str, T> {
        let answers = match ask(node, groups.clone()).await {
            Ok(answers) => answers,
            Err(error) => groups.into_iter().map(|group| (group, Err(error.clone()))).collect(),
        };
        for (group, answer) in &answers {
            if answer.as_ref().is_err_and(Error::is_stale_coordinator) {
                self.kafka.forget_coordinator(kind, group, node);
            }
        }
        answers
    }

    /// As [`by_coordinator`](Self::by_coordinator), for one group.
    pub(super) async fn by_coordinator_of<T, F: Future<Output = Result<T>>>(
        &self,
        group: &Str,
        effect: Effect,
        ask: impl Fn(i32) -> F,
    ) -> Result<T> {
        let ask = async |node, _| Ok(vec![(group.clone(), ask(node).await)]);
        let mut outcomes = self.by_coordinator(std::slice::from_ref(group), effect, ask).await?;
        outcomes.pop().expect("one outcome of the one group").1
    }
}

/// What a coordinator told of each partition, unless one of them sends the caller to another
/// coordinator: brokers tell that of a group beside its partitions.
pub(crate) fn unless_elsewhere<T>(
    mut outcomes: Outcomes<(Str, i32), T>,
) -> Result<Outcomes<(Str, i32), T>> {
    let is_elsewhere = |(_, outcome): &(_, Result<T>)| {
        let code = outcome.as_ref().err().and_then(Error::code);
        code.is_some_and(|code| ELSEWHERE.contains(&code))
    };
    match outcomes.iter().position(is_elsewhere) {
        Some(place) => outcomes.swap_remove(place).1.map(|_| outcomes),
        None => Ok(outcomes),
    }
}
