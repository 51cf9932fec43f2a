//! Who is connected where: users to pods, and which pods live.
//!
//! A pod lives as long as it renews its lease. What dead pods have registered is not believed, and
//! is cleared away by who comes across it. In [`Mode::Single`] the keys are those of the original:
//! the user's id holds the pod's.

pub mod suite;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::kv::{Found, Kv, Read, Result, Write};

/// The set of pods that have ever taken a lease and were not forgotten.
const PODS: &str = "pods";

/// How long a pod lives without renewing its lease.
pub const LEASE: Duration = Duration::from_secs(15);

/// How many pods a user may be at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One: the last that the user came to. Key `<user>`, value `<pod>`.
    Single,
    /// Several. Hash `conn:{<user>}`, field `<user>-<random number>`, value `<pod>`.
    #[default]
    Multi,
}

/// Who is connected where. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    kv: Kv,
    mode: Mode,
    lease: Duration,
}

impl Registry {
    /// A registry in this store.
    #[must_use]
    pub fn new(kv: Kv, mode: Mode) -> Self {
        Self { kv, mode, lease: LEASE }
    }

    /// The same with leases of another length.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// How long a pod lives without renewing its lease.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// The store that it is in.
    #[must_use]
    pub fn kv(&self) -> &Kv {
        &self.kv
    }

    /// Gives a pod a lease, or renews it; tells whether it had one. A pod that had none was taken
    /// for dead, and must register its users anew.
    pub async fn keep_alive(&self, pod: &str) -> Result<bool> {
        let key = lease_key(pod);
        if self.kv.renew(&key, self.lease).await? {
            return Ok(true);
        }
        self.kv.write(&[Write::AddMember(PODS.into(), pod.into())]).await?;
        self.kv.put(&key, pod, Some(self.lease)).await?;
        Ok(false)
    }

    /// The pod has ended: nothing of it is believed any more, and others clear up after it.
    pub async fn leave(&self, pod: &str) -> Result<()> {
        self.kv.write(&[Write::Delete(lease_key(pod))]).await
    }

    /// The pods that are known, living and dead.
    pub async fn pods(&self) -> Result<Pods> {
        let known: Vec<_> = self.kv.members(PODS).await?.into_iter().collect();
        self.sort_out(known).await
    }

    /// Takes the right to clear up after a dead pod, for a while; tells whether it is free.
    pub async fn claim_remains(&self, dead: &str, by: &str) -> Result<bool> {
        self.kv.claim(&remains_key(dead), by, self.lease * 2).await
    }

    /// Gives that right back.
    pub async fn release_remains(&self, dead: &str) -> Result<()> {
        self.kv.write(&[Write::Delete(remains_key(dead))]).await
    }

    /// The remains of a dead pod are cleared: it is known no more.
    pub async fn bury(&self, dead: &str) -> Result<()> {
        let gone =
            [Write::RemoveMember(PODS.into(), dead.into()), Write::Delete(remains_key(dead))];
        self.kv.write(&gone).await
    }

    /// The user is connected at the pod. `connection` tells this connection from others: the
    /// original's `username-<random number>`.
    pub async fn register(&self, user: &str, connection: &str, pod: &str) -> Result<()> {
        match self.mode {
            Mode::Single => self.kv.put(user, pod, None).await,
            Mode::Multi => {
                let (hash, field) = (user_key(user), connection.to_owned());
                self.kv.write(&[Write::SetField(hash, field, pod.into())]).await
            }
        }
    }

    /// The connection has ended. A newer one of the same user stays registered: in the mode
    /// `Single` the caller says so by `is_last`, if it is at the same pod.
    pub async fn unregister(
        &self,
        user: &str,
        connection: &str,
        pod: &str,
        is_last: bool,
    ) -> Result<()> {
        match self.mode {
            Mode::Single if !is_last => Ok(()),
            Mode::Single => self.kv.remove_if(user, pod).await.map(drop),
            Mode::Multi => {
                self.kv.write(&[Write::RemoveField(user_key(user), connection.into())]).await
            }
        }
    }

    /// The living pods at which the user is connected. What dead pods have registered goes.
    pub async fn pods_of(&self, user: &str) -> Result<BTreeSet<String>> {
        match self.mode {
            Mode::Single => {
                let Some(pod) = self.kv.get(user).await? else { return Ok(BTreeSet::new()) };
                let pods = self.sort_out(vec![pod]).await?;
                for dead in &pods.dead {
                    self.kv.remove_if(user, dead).await?;
                }
                Ok(pods.living)
            }
            Mode::Multi => {
                let hash = user_key(user);
                let connections = self.kv.fields(&hash).await?;
                let named: BTreeSet<_> = connections.values().cloned().collect();
                let pods = self.sort_out(named.into_iter().collect()).await?;
                let stale = connections.into_iter().filter(|(_, pod)| pods.dead.contains(pod));
                let stale = stale.map(|(field, _)| Write::RemoveField(hash.clone(), field));
                self.kv.write(&stale.collect::<Vec<_>>()).await?;
                Ok(pods.living)
            }
        }
    }

    /// The user is not at that pod, as the pod itself says: what it has registered of it goes.
    pub async fn correct(&self, user: &str, pod: &str) -> Result<()> {
        match self.mode {
            Mode::Single => self.kv.remove_if(user, pod).await.map(drop),
            Mode::Multi => {
                let hash = user_key(user);
                let stale = self.kv.fields(&hash).await?.into_iter().filter(|(_, at)| at == pod);
                let stale = stale.map(|(field, _)| Write::RemoveField(hash.clone(), field));
                self.kv.write(&stale.collect::<Vec<_>>()).await
            }
        }
    }

    async fn sort_out(&self, pods: Vec<String>) -> Result<Pods> {
        let leases: Vec<_> = pods.iter().map(|pod| Read::Text(lease_key(pod))).collect();
        let leases = self.kv.read(&leases).await?;
        let mut sorted = Pods::default();
        for (pod, lease) in pods.into_iter().zip(leases) {
            let lives = lease != Found::Text(None);
            if lives {
                sorted.living.insert(pod)
            } else {
                sorted.dead.insert(pod)
            };
        }
        Ok(sorted)
    }
}

/// Pods by whether their leases run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    /// Those whose leases run.
    pub living: BTreeSet<String>,
    /// Those whose leases have run out.
    pub dead: BTreeSet<String>,
}

fn lease_key(pod: &str) -> String {
    format!("pod:{{{pod}}}")
}

fn remains_key(pod: &str) -> String {
    format!("reap:{{{pod}}}")
}

fn user_key(user: &str) -> String {
    format!("conn:{{{user}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_passes_the_suite() {
        for mode in [Mode::Single, Mode::Multi] {
            suite::conforms(&Registry::new(Kv::memory(), mode), "test").await;
        }
    }

    #[tokio::test]
    async fn single_keeps_the_keys_of_the_original() {
        let kv = Kv::memory();
        let registry = Registry::new(kv.clone(), Mode::Single);
        registry.register("u2", "u2-17", "pod-1").await.unwrap();
        assert_eq!(kv.get("u2").await.unwrap().as_deref(), Some("pod-1"));
    }

    /// The original never let a mapping go: a pod that died kept its users' messages.
    #[tokio::test(start_paused = true)]
    async fn fault_004_a_crashed_pod_swallows_no_messages() {
        let registry = Registry::new(Kv::memory(), Mode::Multi);
        registry.keep_alive("pod-1").await.unwrap();
        registry.register("bob", "bob-1", "pod-1").await.unwrap();
        assert_eq!(registry.pods_of("bob").await.unwrap(), ["pod-1".to_owned()].into());
        tokio::time::advance(LEASE).await;
        assert!(registry.pods_of("bob").await.unwrap().is_empty());
        assert!(registry.kv().fields("conn:{bob}").await.unwrap().is_empty());
    }
}
