//! `lease`: says that the pod lives, and who is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::kv::Write;
use common::patience::Patience;
use klamm_client::Kafka;
use klamm_utils::task::TaskGroup;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Hop, Mode, Pod, topics};

/// The hash of what each pod says of itself.
const STATES: &str = "pods:state";
/// The mode that all pods have, if somebody has said so.
const MODE: &str = "pods:mode";
/// How often a pod says who is there.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// The broker makes a topic within this time, or does so later.
const MAKE_WITHIN: Duration = Duration::from_secs(2);
/// Users that a pod names, at most.
pub(super) const NAMES_MAX: usize = 100;

/// What a pod says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Some of its users.
    pub(super) users: Vec<String>,
    pub(super) hops: Vec<Hop>,
    pub(super) redundant: BTreeMap<String, u64>,
}

/// Takes the pod's name: waits until nobody clears up after an earlier pod of the same name.
pub(super) async fn begin(pod: &Pod, tasks: &TaskGroup) -> Option<()> {
    let mut patience = Patience::new(tasks, "take the lease of the pod");
    loop {
        let taken = async {
            let registry = &pod.0.registry;
            if !registry.claim_remains(pod.id(), pod.id()).await? {
                return Ok(false);
            }
            registry.keep_alive(pod.id()).await?;
            registry.release_remains(pod.id(), pod.id()).await?;
            Ok::<_, common::kv::KvError>(true)
        };
        match taken.await {
            Ok(true) => return Some(()),
            Ok(false) => patience.after(&"its remains are being cleared").await?,
            // Without a registry a pod serves all the same: messages go to all pods.
            Err(error) => {
                tracing::warn!(%error, "the registry is away");
                return Some(());
            }
        }
    }
}

/// Renews the lease until the tasks stop, and gives it back then.
pub(super) async fn keep(pod: Pod, kafka: Kafka, tasks: TaskGroup) {
    let renew_every = pod.0.registry.lease() / 3;
    let mut tell = tokio::time::interval(TELL_EVERY.min(renew_every));
    let mut renew = tokio::time::interval(renew_every);
    for ticks in [&mut tell, &mut renew] {
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    loop {
        let outcome = tokio::select! {
            _ = tell.tick() => tell_state(&pod).await,
            _ = renew.tick() => renew_lease(&pod, &kafka).await,
            () = tasks.stopping() => break,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "the registry is away");
        }
    }
    // What lies in its topic is for others to pass on.
    if let Err(error) = pod.0.registry.leave(pod.id()).await {
        tracing::debug!(%error, "the registry is away: the lease runs out");
    }
}

/// Says again who is here, too: what went wrong when they came is made good.
async fn renew_lease(pod: &Pod, kafka: &Kafka) -> common::kv::Result<()> {
    let had_one = pod.0.registry.keep_alive(pod.id()).await?;
    register(pod, &pod.0.sockets.all()).await?;
    if !had_one {
        tracing::info!(pod = pod.id(), "the lease is a new one");
        // It was taken for dead, or the registry is a new one: the topic may be gone.
        let made = tokio::time::timeout(MAKE_WITHIN, topics::make(&pod.0.settings, kafka)).await;
        if !matches!(made, Ok(Ok(()))) {
            tracing::warn!(pod = pod.id(), ?made, "cannot see to the topic of the pod");
        }
    }
    Ok(())
}

/// Registers connections of this pod, and takes back those that have ended meanwhile.
async fn register(pod: &Pod, here: &[(String, String)]) -> common::kv::Result<()> {
    pod.0.registry.register_all(here, pod.id()).await?;
    let still: BTreeSet<_> = pod.0.sockets.all().into_iter().collect();
    let gone: Vec<_> = here.iter().filter(|each| !still.contains(*each)).collect();
    for (user, connection) in gone {
        let is_last = !pod.0.sockets.has(user);
        pod.0.registry.unregister(user, connection, pod.id(), is_last).await?;
    }
    Ok(())
}

/// The registry was told that a user is not here: if it is, it is told so again.
pub(super) async fn register_again(pod: &Pod, user: &str) {
    let here = pod.0.sockets.of(user);
    if here.is_empty() {
        return;
    }
    if let Err(error) = register(pod, &here).await {
        tracing::debug!(%error, "the registry is away: registered with the next renewal");
    }
}

async fn tell_state(pod: &Pod) -> common::kv::Result<()> {
    let kv = pod.0.registry.kv();
    let json = serde_json::to_string(&state(pod)).expect("a struct of texts and numbers is JSON");
    kv.write(&[Write::SetField(STATES.into(), pod.id().into(), json)]).await?;
    if pod.0.settings.dev_mode
        && let Some(mode) = kv.get(MODE).await?
        && let Ok(mode) = serde_json::from_str::<Mode>(&mode)
    {
        pod.0.mode.send_if_modified(|now| std::mem::replace(now, mode) != mode);
    }
    Ok(())
}

/// Has all pods find receivers in this way.
pub(super) async fn set_mode(pod: &Pod, mode: Mode) -> common::kv::Result<()> {
    let json = serde_json::to_string(&mode).expect("a name is JSON");
    pod.0.registry.kv().put(MODE, &json, None).await?;
    pod.0.mode.send_replace(mode);
    Ok(())
}

/// What this pod says of itself.
pub(super) fn state(pod: &Pod) -> State {
    let users: BTreeSet<_> = pod.0.sockets.all().into_iter().map(|(user, _)| user).collect();
    let users = users.into_iter().take(NAMES_MAX).collect();
    let redundant =
        Mode::ALL.map(|mode| (mode.name().into(), pod.0.metrics.redundant(mode))).into();
    State { users, hops: pod.hops().iter().cloned().collect(), redundant }
}

/// What all pods have said of themselves.
pub(super) type States = Arc<BTreeMap<String, State>>;

/// What is known of all pods, for a moment: it is read once for all who ask.
#[derive(Debug, Default)]
pub(super) struct Cache(tokio::sync::Mutex<Option<(Instant, States)>>);

/// What all pods have said of themselves.
pub(super) async fn states(pod: &Pod) -> common::kv::Result<States> {
    let mut cached = pod.0.states.0.lock().await;
    if let Some((read, states)) = &*cached
        && read.elapsed() < TELL_EVERY
    {
        return Ok(Arc::clone(states));
    }
    let told = pod.0.registry.kv().fields(STATES).await?;
    let read = |(pod, json): (String, String)| Some((pod, serde_json::from_str(&json).ok()?));
    let states = Arc::new(told.into_iter().filter_map(read).collect());
    *cached = Some((Instant::now(), Arc::clone(&states)));
    Ok(states)
}

/// A dead pod says nothing any more.
pub(super) async fn forget_state(pod: &Pod, dead: &str) -> common::kv::Result<()> {
    pod.0.registry.kv().write(&[Write::RemoveField(STATES.into(), dead.into())]).await
}
