//! Who is connected where: users to pods, and which pods live.
//!
//! A pod lives as long as it renews its lease. What dead pods have registered is not believed, and
//! is cleared away by who comes across it. In [`Mode::Single`] the keys are those of the original:
//! the user's id holds the pod's.

pub mod suite;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::kv::{Found, Kv, Read, Result, Write};

/// The set of pods that have ever taken a lease and were not forgotten. No user's name has a colon,
/// and in [`Mode::Single`] names are keys.
const PODS: &str = "pods:known";

/// Connections that are registered in one round trip, at most.
const CHUNK: usize = 500;

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
    /// for dead, and must make anew what others have cleared.
    pub async fn keep_alive(&self, pod: &str) -> Result<bool> {
        // Each time: who cleared up after it in vain has forgotten it.
        self.kv.write(&[Write::AddMember(PODS.into(), pod.into())]).await?;
        let key = lease_key(pod);
        if self.kv.renew(&key, self.lease).await? {
            return Ok(true);
        }
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

    /// Gives that right back, if it is still that of `by`.
    pub async fn release_remains(&self, dead: &str, by: &str) -> Result<()> {
        self.kv.remove_if(&remains_key(dead), by).await.map(drop)
    }

    /// The remains of a dead pod are cleared: it is known no more.
    pub async fn bury(&self, dead: &str, by: &str) -> Result<()> {
        self.kv.write(&[Write::RemoveMember(PODS.into(), dead.into())]).await?;
        self.release_remains(dead, by).await
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

    /// These users are connected at the pod, each by its connection: what of it is missing is
    /// written. To say so again changes nothing.
    pub async fn register_all(&self, here: &[(String, String)], pod: &str) -> Result<()> {
        for chunk in here.chunks(CHUNK) {
            match self.mode {
                Mode::Multi => {
                    let set = |(user, connection): &(String, String)| {
                        Write::SetField(user_key(user), connection.clone(), pod.into())
                    };
                    self.kv.write(&chunk.iter().map(set).collect::<Vec<_>>()).await?;
                }
                Mode::Single => {
                    let users: BTreeSet<_> = chunk.iter().map(|(user, _)| user.clone()).collect();
                    let at = self.pods_of_all(&users).await?;
                    // Who went on to another pod stays there.
                    let missing = users.into_iter().filter(|user| !at.contains_key(user));
                    for user in missing.collect::<Vec<_>>() {
                        self.kv.put(&user, pod, None).await?;
                    }
                }
            }
        }
        Ok(())
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
        let mut found = self.pods_of_all(&BTreeSet::from([user.to_owned()])).await?;
        Ok(found.remove(user).unwrap_or_default())
    }

    /// The same of several users, in two round trips for all of them.
    pub async fn pods_of_all(
        &self,
        users: &BTreeSet<String>,
    ) -> Result<HashMap<String, BTreeSet<String>>> {
        let connections = self.connections(users).await?;
        let named: BTreeSet<_> = connections.iter().map(|each| each.pod.clone()).collect();
        let pods = self.sort_out(named.into_iter().collect()).await?;
        let (mut found, mut stale) = (HashMap::<_, BTreeSet<_>>::new(), Vec::new());
        for Connection { user, field, pod } in connections {
            if pods.living.contains(&pod) {
                found.entry(user).or_default().insert(pod);
            } else if let Some(field) = field {
                stale.push(Write::RemoveField(user_key(&user), field));
            } else {
                self.kv.remove_if(&user, &pod).await?;
            }
        }
        if !stale.is_empty() {
            self.kv.write(&stale).await?;
        }
        Ok(found)
    }

    /// What is registered of these users, whether or not it is true.
    async fn connections(&self, users: &BTreeSet<String>) -> Result<Vec<Connection>> {
        let read = |user: &String| match self.mode {
            Mode::Single => Read::Text(user.clone()),
            Mode::Multi => Read::Fields(user_key(user)),
        };
        let found = self.kv.read(&users.iter().map(read).collect::<Vec<_>>()).await?;
        let mut connections = Vec::new();
        for (user, found) in users.iter().zip(found) {
            let user = || user.clone();
            match found {
                Found::Text(Some(pod)) => {
                    connections.push(Connection { user: user(), field: None, pod });
                }
                Found::Fields(fields) => {
                    connections.extend(fields.into_iter().map(|(field, pod)| Connection {
                        user: user(),
                        field: Some(field),
                        pod,
                    }));
                }
                _ => {}
            }
        }
        Ok(connections)
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

/// One that is registered.
struct Connection {
    user: String,
    /// Its field, in the mode `Multi`.
    field: Option<String>,
    pod: String,
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

    /// The lease of a pod that was buried too early runs on: it must be known again, or nobody would
    /// look after it when it does die.
    #[tokio::test(start_paused = true)]
    async fn a_pod_that_renews_its_lease_is_known() {
        let registry = Registry::new(Kv::memory(), Mode::Multi);
        registry.keep_alive("pod-1").await.unwrap();
        registry.bury("pod-1", "pod-2").await.unwrap();
        assert!(registry.keep_alive("pod-1").await.unwrap());
        assert_eq!(registry.pods().await.unwrap().living, ["pod-1".to_owned()].into());
    }

    /// It was: the user "pods" took the key in which pods are known.
    #[tokio::test]
    async fn no_user_takes_a_key_of_pods() {
        let registry = Registry::new(Kv::memory(), Mode::Single);
        registry.keep_alive("pod-1").await.unwrap();
        for user in ["pods", "pod", "reap"] {
            registry.register(user, "1", "pod-1").await.unwrap();
        }
        assert!(registry.keep_alive("pod-1").await.unwrap());
        assert_eq!(registry.pods().await.unwrap().living.len(), 1);
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
