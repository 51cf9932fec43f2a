//! Where a message goes, by where the registry has its receiver.

use std::collections::{BTreeSet, HashMap};

use super::{Mode, Pod, SharedTopic, topics};
use crate::wire::Routed;

/// How often a message is passed on from pod to pod before its receiver counts as away.
const ATTEMPTS_MAX: u32 = 3;
/// So often is the topic of a pod tried before the one that all pods read.
const TRIES: u32 = 2;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To these topics.
    Topics(Vec<String>),
    /// Its receiver is away.
    Away,
}

/// Where somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// At these pods, as the registry has it.
    At(BTreeSet<String>),
    /// The registry does not answer.
    Unknown,
}

/// To the pods of the receiver, as the registry has them; to all, if it does not answer, or if one
/// of these topics takes nothing.
pub(super) fn route(pod: &Pod, routed: &Routed, at: &Whereabouts, failures: u32) -> Route {
    let mode = *pod.0.mode.borrow();
    let to_all = |topic: SharedTopic| Route::Topics(vec![topic.name().to_owned()]);
    if routed.attempt >= ATTEMPTS_MAX {
        return Route::Away;
    }
    match (at, mode) {
        (Whereabouts::At(pods), _) if pods.is_empty() => Route::Away,
        (Whereabouts::At(pods), Mode::PodId) if failures < TRIES => {
            let topics = pods.iter().map(|pod_id| topics::of_pod(&pod.0.settings, pod_id));
            Route::Topics(topics.collect())
        }
        (_, Mode::Broadcast) => to_all(SharedTopic::Broadcast),
        (_, Mode::SingleTopic) => to_all(SharedTopic::Single),
        (_, Mode::PodId) => {
            pod.0.metrics.fallbacks.inc();
            to_all(SharedTopic::Broadcast)
        }
    }
}

/// Where the registry has people; nothing if it does not answer.
pub(super) struct Found(Option<HashMap<String, BTreeSet<String>>>);

impl Found {
    /// Asks the registry, once for all of them.
    pub(super) async fn ask(pod: &Pod, receivers: &BTreeSet<String>) -> Self {
        if receivers.is_empty() {
            return Self(Some(HashMap::new()));
        }
        match pod.0.registry.pods_of_all(receivers).await {
            Ok(found) => Self(Some(found)),
            Err(error) => {
                tracing::debug!(%error, "the registry is away: to all pods");
                Self(None)
            }
        }
    }

    /// Where one of them is.
    pub(super) fn of(&self, receiver: &str) -> Whereabouts {
        match &self.0 {
            Some(found) => Whereabouts::At(found.get(receiver).cloned().unwrap_or_default()),
            None => Whereabouts::Unknown,
        }
    }
}
