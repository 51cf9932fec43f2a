//! Asking the coordinators of groups.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::owners::Owner;
use super::{Admin, Effect, Outcomes, may_help, to_each};
use crate::coordinator::CoordinatorKind;
use crate::error::{Error, Result};

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

    /// Asks the coordinators of these groups or transactional ids, as
    /// [`by_owner`](Self::by_owner). One that is it no more is forgotten.
    pub(super) async fn by_coordinators<T, F: Future<Output = Result<Outcomes<Str, T>>>>(
        &self,
        kind: CoordinatorKind,
        groups: &[Str],
        effect: Effect,
        ask: impl Fn(i32, Vec<Str>) -> F,
    ) -> Result<Outcomes<Str, T>> {
        let find = async |groups: Vec<_>| {
            let found = self.kafka.coordinators(kind, &groups).await?.into_iter();
            let owner = |node: Result<_>| node.map_or_else(Owner::Unknown, Owner::Node);
            Ok(found.map(|(group, node)| (group, owner(node))).collect())
        };
        let ask = async |node, groups: Vec<_>, deadline| {
            let told = self.until(deadline, ask(node, groups.clone())).await;
            let answers = to_each(groups, told);
            for (group, answer) in &answers {
                if answer.as_ref().is_err_and(Error::is_stale_coordinator) {
                    self.kafka.forget_coordinator(kind, group, node);
                }
            }
            answers
        };
        self.by_owner(groups.to_vec(), find, ask, |error| may_help(error, effect)).await
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

#[cfg(test)]
mod tests {
    use crate::{ClientConfig, Kafka, fake};
    use klamm_protocol::api::find_coordinator::{self, FindCoordinator};
    use klamm_protocol::api::metadata::Metadata;
    use klamm_protocol::declare::Api as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_coordinator_that_says_nothing_is_looked_up_anew_by_the_next_call() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = silent.local_addr().unwrap().to_string();
        let looked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&looked);
        let address = fake::broker(move |asked| match asked.api_key {
            Metadata::KEY => Some(fake::metadata(asked, &[&asked.address, &place], 0)),
            FindCoordinator::KEY => {
                counted.fetch_add(1, Ordering::Relaxed);
                let found = find_coordinator::Response { node_id: 1, ..Default::default() };
                Some(fake::answer::<FindCoordinator>(asked, &found))
            }
            _ => Some(fake::versions(asked, &[(Metadata::KEY, 12), (FindCoordinator::KEY, 3)])),
        });
        let kafka = Kafka::connect(ClientConfig::new(&address.await)).await.unwrap();
        let admin = kafka.admin().with_timeout(Duration::from_millis(200));
        for calls in 1..=2 {
            assert!(admin.describe_groups(&["g".into()]).await.unwrap()[0].1.is_err());
            assert_eq!(looked.load(Ordering::Relaxed), calls);
        }
    }
}
