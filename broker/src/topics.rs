//! The topics that are open, by name and by id.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::{ArcSwap, Guard};
use klamm_protocol::wire::{Str, Uuid};
use klamm_storage::{OpenError, Storage};

use crate::catalog::{TopicImage, Version};
use crate::config::{BrokerConfig, TopicConfig};
use crate::metrics::{Metrics, TopicMetrics};
use crate::partition::Partition;

/// As many topics are opened before another thread is worth its start.
const OPENED_ALONE: usize = 16;

/// What the partitions of a topic share.
#[derive(Debug)]
pub(crate) struct TopicInfo {
    pub(crate) name: Str,
    pub(crate) id: Uuid,
    pub(crate) metrics: TopicMetrics,
    config: ArcSwap<TopicConfig>,
}

impl TopicInfo {
    /// The settings as they are now.
    pub(crate) fn config(&self) -> Guard<Arc<TopicConfig>> {
        self.config.load()
    }
}

/// A topic and its partitions.
#[derive(Debug)]
pub(crate) struct Topic {
    info: Arc<TopicInfo>,
    partitions: ArcSwap<Vec<Arc<Partition>>>,
    /// What the topic was last brought in line with.
    followed: ArcSwap<Followed>,
}

/// What the catalog says of one topic.
#[derive(Debug)]
struct Followed {
    plan: Arc<TopicImage>,
    /// The broker's settings hold where the topic sets nothing.
    broker: Arc<BrokerConfig>,
}

/// A topic that does not follow the catalog, and why.
#[derive(Debug)]
pub(crate) struct Unopened {
    pub(crate) topic: Uuid,
    pub(crate) error: OpenError,
}

impl Deref for Topic {
    type Target = TopicInfo;

    fn deref(&self) -> &TopicInfo {
        &self.info
    }
}

impl Topic {
    /// The partitions, by index.
    pub(crate) fn partitions(&self) -> Guard<Arc<Vec<Arc<Partition>>>> {
        self.partitions.load()
    }

    pub(crate) fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(index).ok()?;
        self.partitions.load().get(index).cloned()
    }

    /// Has these settings hold, for the logs too.
    fn configure(&self, config: Arc<TopicConfig>) {
        if **self.info.config.load() == *config {
            return;
        }
        for partition in self.partitions.load().iter() {
            partition.log().set_options(config.log.clone());
        }
        self.info.config.store(config);
    }
}

/// Whether clients should leave a topic alone: Kafka's own, known by name.
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

/// All open topics.
///
/// Guarded by a lock that is held for a look-up, or to put a topic in or take it out; logs are
/// opened and removed without it.
#[derive(Debug)]
pub(crate) struct Topics {
    storage: Arc<Storage>,
    metrics: Arc<Metrics>,
    open: RwLock<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_name: BTreeMap<Str, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

impl Topics {
    pub(crate) fn new(storage: Arc<Storage>, metrics: Arc<Metrics>) -> Self {
        Self { storage, metrics, open: RwLock::default() }
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        self.read().by_name.get(name).cloned()
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.read().by_id.get(&id).cloned()
    }

    /// Every topic, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.read().by_name.values().cloned().collect()
    }

    /// Brings what is open in line with what the catalog plans: opens, grows, configures and
    /// removes topics. Blocks on the disk where a partition that is opened holds records.
    ///
    /// Gives the topics that have none or not all of their partitions, because a log cannot be
    /// opened, until another time.
    pub(crate) fn follow(&self, version: &Version) -> Vec<Unopened> {
        let Version { image: plan, config, .. } = version;
        for topic in self.all() {
            if plan.topic_by_id(topic.id).is_none() {
                self.remove(&topic);
            }
        }
        let mut missing = Vec::new();
        let mut unopened = Vec::new();
        for planned in plan.topics() {
            match self.by_id(planned.id) {
                None => missing.push(planned),
                Some(topic) => unopened.extend(self.update(&topic, planned, config).err()),
            }
        }
        unopened.extend(self.open_all(&missing, config));
        unopened
    }

    /// Opens topics side by side: after a crash each log has to be read.
    fn open_all(&self, missing: &[&Arc<TopicImage>], config: &Arc<BrokerConfig>) -> Vec<Unopened> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = missing.len().div_ceil(threads).max(OPENED_ALONE);
        let open = |share: &'_ [&Arc<TopicImage>]| -> Vec<Unopened> {
            share.iter().filter_map(|planned| self.open(planned, config).err()).collect()
        };
        if missing.len() <= share {
            return open(missing);
        }
        std::thread::scope(|scope| {
            let shares: Vec<_> =
                missing.chunks(share).map(|share| scope.spawn(move || open(share))).collect();
            let unopened = shares.into_iter().flat_map(|share| {
                share.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            unopened.collect()
        })
    }

    fn open(&self, plan: &Arc<TopicImage>, config: &Arc<BrokerConfig>) -> Result<(), Unopened> {
        let info = Arc::new(TopicInfo {
            name: plan.name.clone(),
            id: plan.id,
            metrics: self.metrics.topic(&plan.name),
            config: ArcSwap::new(plan.overrides.effective(config)),
        });
        let followed = Followed { plan: Arc::clone(plan), broker: Arc::clone(config) };
        let (partitions, followed) = (ArcSwap::default(), ArcSwap::from_pointee(followed));
        let topic = Topic { info, partitions, followed };
        self.grow(&topic, plan).inspect_err(|_| self.metrics.forget_topic(&plan.name))?;
        let topic = Arc::new(topic);
        let mut open = self.write();
        open.by_name.insert(plan.name.clone(), Arc::clone(&topic));
        open.by_id.insert(plan.id, topic);
        Ok(())
    }

    fn update(
        &self,
        topic: &Topic,
        plan: &Arc<TopicImage>,
        broker: &Arc<BrokerConfig>,
    ) -> Result<(), Unopened> {
        let followed = topic.followed.load_full();
        let is_same_broker = Arc::ptr_eq(&followed.broker, broker);
        if is_same_broker && Arc::ptr_eq(&followed.plan, plan) {
            return Ok(());
        }
        if !is_same_broker || followed.plan.overrides != plan.overrides {
            topic.configure(plan.overrides.effective(broker));
        }
        self.grow(topic, plan)?;
        let (plan, broker) = (Arc::clone(plan), Arc::clone(broker));
        topic.followed.store(Arc::new(Followed { plan, broker }));
        Ok(())
    }

    /// Opens the partitions that a topic does not have yet: all, or none.
    fn grow(&self, topic: &Topic, plan: &TopicImage) -> Result<(), Unopened> {
        let mut partitions = topic.partitions.load().as_ref().clone();
        let known = partitions.len();
        let epochs = plan.partitions.iter().map(|partition| partition.leader_epoch);
        for (index, leader_epoch) in (0..).zip(epochs).skip(known) {
            match Partition::open(&self.storage, &topic.info, index, leader_epoch) {
                Ok(partition) => partitions.push(Arc::new(partition)),
                Err(error) => {
                    let opened = partitions.iter().skip(known);
                    opened.for_each(|it| self.storage.release_log(it.log().name()));
                    return Err(Unopened { topic: plan.id, error });
                }
            }
        }
        topic.partitions.store(Arc::new(partitions));
        Ok(())
    }

    /// Takes a topic away: whoever waits for it is told, and its logs are removed.
    fn remove(&self, topic: &Topic) {
        {
            let mut open = self.write();
            open.by_id.remove(&topic.id);
            // A topic of the same name may have taken its place.
            if open.by_name.get(&topic.name).is_some_and(|named| named.id == topic.id) {
                open.by_name.remove(&topic.name);
            }
        }
        self.metrics.forget_topic(&topic.name);
        let partitions = topic.partitions.swap(Arc::default());
        partitions.iter().for_each(|partition| partition.end());
        let logs = partitions.iter().map(|partition| partition.log().name());
        if let Err(error) = self.storage.remove_logs(logs) {
            tracing::error!(topic = %topic.name, %error, "files of a deleted topic stay");
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Open> {
        self.open.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
