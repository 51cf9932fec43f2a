//! `lease`: says that the pod lives and who is there, and looks after those that do not.

use std::collections::BTreeMap;
use std::time::Duration;

use common::kv::Write;
use common::patience::Patience;
use klamm_client::Kafka;
use klamm_utils::task::TaskGroup;
use serde::{Deserialize, Serialize};

use super::{Hop, Mode, Pod, reap};

/// The hash of what each pod says of itself.
const STATES: &str = "pods:state";
/// The mode that all pods have, if somebody has said so.
const MODE: &str = "pods:mode";
/// How often a pod says who is there.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What a pod says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
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
            registry.release_remains(pod.id()).await?;
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
            _ = renew.tick() => {
                let renewed = renew_lease(&pod).await;
                reap::reap_dead(&pod, &kafka, &tasks).await;
                renewed
            }
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

async fn renew_lease(pod: &Pod) -> common::kv::Result<()> {
    if !pod.0.registry.keep_alive(pod.id()).await? {
        // It was taken for dead, or the registry is a new one.
        for (user, connection) in pod.0.sockets.all() {
            pod.0.registry.register(&user, &connection, pod.id()).await?;
        }
    }
    Ok(())
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
    let mut users: Vec<_> = pod.0.sockets.all().into_iter().map(|(user, _)| user).collect();
    users.sort();
    users.dedup();
    let modes = [Mode::PodId, Mode::Broadcast, Mode::SingleTopic];
    let redundant = modes.map(|mode| (mode.name().into(), pod.0.metrics.redundant(mode))).into();
    State { users, hops: pod.hops().iter().cloned().collect(), redundant }
}

/// What all pods have said of themselves.
pub(super) async fn states(pod: &Pod) -> common::kv::Result<BTreeMap<String, State>> {
    let told = pod.0.registry.kv().fields(STATES).await?;
    let read = |(pod, json): (String, String)| Some((pod, serde_json::from_str(&json).ok()?));
    Ok(told.into_iter().filter_map(read).collect())
}

/// A dead pod says nothing any more.
pub(super) async fn forget_state(pod: &Pod, dead: &str) -> common::kv::Result<()> {
    pod.0.registry.kv().write(&[Write::RemoveField(STATES.into(), dead.into())]).await
}
