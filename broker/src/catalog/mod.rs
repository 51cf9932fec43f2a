//! The topics and settings of the cluster, kept in the metadata log.
//!
//! | module | what it gives |
//! |---|---|
//! | [`records`] | the records of the log, in Kafka's format |
//! | [`image`] | what they amount to |
//! | [`resource`] | what has settings |
//! | [`plan`], [`configs`], [`names`] | what a change needs, or why it is refused |
//! | `snapshot`, `store`, `identity` | how all this lies on the disk |
//!
//! # Invariants
//!
//! - A change is one batch of records: it is made whole or not at all.
//! - Nobody sees a change before it is durable, neither in the image nor in what is answered to
//!   whoever asks for the same change or one that it forbids.
//! - The image is what the records say and nothing else, so that it is the same after a restart.

pub mod configs;
mod files;
mod identity;
pub mod image;
pub mod names;
pub mod plan;
pub mod records;
pub mod resource;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use futures_util::future::{FutureExt as _, Shared};
use klamm_protocol::error_code::ErrorCode;
use klamm_storage::{AppendError, ChangeError, OpenError, Outcome, ReadError, Storage, Ticket};
use klamm_utils::clock::Clock;
use klamm_utils::episode::Episode;

use self::identity::Identity;
use self::records::{FeatureLevelRecord, MetadataRecord};
use self::store::{Loaded, LogState, Store};
use crate::config::BrokerConfig;

pub use self::configs::{ConfigChange, ConfigOperation};
pub use self::identity::new_id;
pub use self::image::{Image, PartitionImage, TopicImage};
pub use self::names::check_topic_name;
pub use self::plan::{NewTopic, Planner, Refusal};
pub use self::resource::Resource;
pub use self::snapshot::{DecodeError, EncodeError};

/// The topic whose one partition is the metadata log; no client may make or read it.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// The format in which the records are written: that of Kafka 4.3.
const METADATA_VERSION: i16 = 30;

/// Why the catalog cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The metadata log cannot be opened.
    #[error("the metadata log: {0}")]
    Open(#[from] OpenError),
    /// The metadata log cannot be read.
    #[error("the metadata log: {0}")]
    Read(#[from] ReadError),
    /// A change was not appended.
    #[error("the metadata log: {0}")]
    Append(#[from] AppendError),
    /// The log could not be cut behind a snapshot.
    #[error("the metadata log: {0}")]
    Trim(#[from] ChangeError),
    /// A change cannot be said in records.
    #[error("the metadata log: {0}")]
    Encode(#[from] EncodeError),
    /// The log holds something that is not understood.
    #[error("the metadata log at offset {offset}: {error}")]
    Decode {
        /// Where reading had come to.
        offset: i64,
        /// What is wrong.
        error: DecodeError,
    },
    /// The log lacks changes that were durable.
    #[error(
        "{dir}: the changes of topics and settings at offsets {} to {} were stored and are lost; \
         restore the folder from a backup, or, to do without them and have topics that only they \
         know set aside, remove durable.klamm from it",
        offsets.start, offsets.end - 1, dir = dir.display()
    )]
    Missing {
        /// The folder of the log.
        dir: PathBuf,
        /// The first that are.
        offsets: Range<i64>,
    },
    /// The log begins behind a snapshot that is not there.
    #[error(
        "the metadata log begins at offset {log_start}, and no snapshot of what was before it \
         can be read"
    )]
    NoSnapshot {
        /// Where it begins.
        log_start: i64,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk answered.
        source: std::io::Error,
    },
    /// The folder belongs to another broker.
    #[error("the data belongs to node {found}, but node.id is {configured}")]
    OtherNode {
        /// The node that it belongs to.
        found: i32,
        /// The node that wants it.
        configured: i32,
    },
    /// The folder belongs to another cluster.
    #[error("the data belongs to cluster {found}, but cluster.id is {configured}")]
    OtherCluster {
        /// The cluster that it belongs to.
        found: String,
        /// The cluster that wants it.
        configured: String,
    },
    /// The file that says whose the folder is cannot hold it.
    #[error("cluster.id cannot be {configured:?}: it does not come back from meta.properties")]
    ClusterId {
        /// The cluster's.
        configured: String,
    },
    /// The log did not take a change for good.
    #[error("the metadata log did not keep a change: {0:?}")]
    NotKept(Outcome),
}

/// The topics and settings of the cluster. Clones are handles to one catalog.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Identity,
    store: Store,
    /// What the broker was started with.
    started_with: Arc<BrokerConfig>,
    clock: Arc<dyn Clock>,
    /// What is durable, for everybody.
    published: ArcSwap<Version>,
    /// Guards the order of changes; held while one is planned and appended, never across a wait.
    writer: Mutex<Writer>,
    /// Held while a snapshot is written, so that there is one at a time.
    snapshot: tokio::sync::Mutex<()>,
    /// Changes are not stored.
    failure: Episode,
}

/// The catalog at one offset.
#[derive(Debug)]
pub struct Version {
    /// Everything that there is.
    pub image: Arc<Image>,
    /// The settings of this broker: those it was started with, and above them those that the image
    /// says. The same allocation until one of them changes.
    pub config: Arc<BrokerConfig>,
    /// The offset behind the last record of the image.
    pub(crate) end: i64,
}

#[derive(Debug)]
struct Writer {
    /// With all that was appended, durable or not: what the next change is planned upon.
    latest: Arc<Version>,
    /// What says when all that is durable; `None` as long as nothing was appended.
    commit: Option<Commit>,
    /// Bytes of log since the last snapshot.
    log_bytes: u64,
}

impl Catalog {
    /// Opens the catalog of a storage; one that is new becomes that of this broker. Blocks.
    ///
    /// # Errors
    /// The data is another broker's, or cannot be read.
    pub fn open(
        storage: &Storage,
        started_with: Arc<BrokerConfig>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CatalogError> {
        let identity = Identity::open(&**storage.disk(), storage.dir(), &started_with)?;
        let Loaded { store, image, end, log_bytes } = Store::open(storage, &started_with)?;
        let config = broker_config(&started_with, &image);
        let version = Arc::new(Version { image: Arc::new(image), config, end });
        let catalog = Self(Arc::new(Inner {
            identity,
            store,
            started_with,
            clock,
            published: ArcSwap::new(Arc::clone(&version)),
            writer: Mutex::new(Writer { latest: version, commit: None, log_bytes }),
            snapshot: tokio::sync::Mutex::default(),
            failure: Episode::default(),
        }));
        Ok(catalog)
    }

    /// Whether nothing can be changed until a restart, since a change could not be stored.
    pub(crate) fn is_read_only(&self) -> bool {
        self.0.store.is_read_only()
    }

    /// The number of this broker, to which the data belongs.
    #[must_use]
    pub fn node_id(&self) -> i32 {
        self.0.identity.node_id
    }

    /// The id of the cluster: made at the first start, the same ever after.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.0.identity.cluster_id
    }

    /// Everything as it is now.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.0.published.load().image)
    }

    /// How far the metadata log is.
    pub(crate) fn log(&self) -> LogState {
        self.0.store.state()
    }

    /// The settings of this broker as they are now, with those set while it ran.
    #[must_use]
    pub fn broker_config(&self) -> Arc<BrokerConfig> {
        Arc::clone(&self.0.published.load().config)
    }

    /// Everything and the settings of this broker, of one moment.
    #[must_use]
    pub fn version(&self) -> Arc<Version> {
        self.0.published.load_full()
    }

    /// What a change would lead to; nothing is changed.
    pub fn plan<T>(&self, plan: impl FnOnce(&mut Planner<'_>) -> T) -> T {
        plan(&mut self.0.planner(&self.version()))
    }

    /// Makes a change: what `plan` plans, whole or not at all. Returns what `plan` returns once
    /// the change, and all that it was planned upon, is durable and [`image`](Self::image) shows
    /// it; at once if it plans nothing and all that is.
    ///
    /// # Cancel safety
    /// A change that was begun is made even if nobody waits for it, but is seen only with the
    /// change after it: who has to act on it should wait in a task of its own.
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR`: the disk did not take the change; the log says why.
    pub async fn change<T>(&self, plan: impl FnOnce(&mut Planner<'_>) -> T) -> Result<T, Refusal> {
        let result = self.try_change(plan).await;
        result.map_err(|error| {
            if self.0.failure.fails() {
                tracing::error!(%error, "a change of topics or settings was not stored");
            }
            Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, "The change was not stored.")
        })
    }

    /// Gives out a block of ids for idempotent producers. No id is ever in two blocks.
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR`: the disk did not take note of it.
    pub async fn allocate_producer_ids(&self) -> Result<Range<i64>, ErrorCode> {
        let block = self.change(|planner| planner.allocate_producer_ids()).await;
        block.map_err(|refusal| refusal.code)
    }

    async fn try_change<T>(
        &self,
        plan: impl FnOnce(&mut Planner<'_>) -> T,
    ) -> Result<T, CatalogError> {
        let (result, appended) = self.0.append(plan)?;
        let Some(Appended { commit, version, is_snapshot_due }) = appended else {
            return Ok(result);
        };
        match commit.await {
            Outcome::Committed => self.0.publish(&version),
            lost => return Err(CatalogError::NotKept(lost)),
        }
        if self.0.failure.succeeds() {
            tracing::info!("changes of topics and settings are stored again");
        }
        if is_snapshot_due {
            self.write_snapshot().await;
        }
        Ok(result)
    }

    /// Writes a snapshot of what is durable. A failure is told and costs nothing but disk: the
    /// next change tries again.
    async fn write_snapshot(&self) {
        let Ok(_one_at_a_time) = self.0.snapshot.try_lock() else { return };
        let inner = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || {
            let version = inner.published.load_full();
            let now_ms = inner.clock.now_ms();
            inner.store.write_snapshot(&version.image, version.end, now_ms)
        });
        match written.await {
            Ok(Ok(())) => self.0.lock().log_bytes = 0,
            Ok(Err(error)) => tracing::error!(%error, "no snapshot of the metadata was written"),
            Err(error) => tracing::error!(%error, "writing a snapshot of the metadata failed"),
        }
    }
}

/// A version on its way to the disk.
struct Appended {
    commit: Commit,
    version: Arc<Version>,
    is_snapshot_due: bool,
}

/// What becomes of an append, for any number of those who wait for it.
type Commit = Shared<Ticket>;

impl Inner {
    fn planner<'a>(&self, version: &'a Version) -> Planner<'a> {
        Planner::new(&version.config, self.identity.directory, (*version.image).clone())
    }

    /// Plans a change upon all changes before it and fixes its place behind them.
    fn append<T>(
        &self,
        plan: impl FnOnce(&mut Planner<'_>) -> T,
    ) -> Result<(T, Option<Appended>), CatalogError> {
        let mut writer = self.lock();
        let before = Arc::clone(&writer.latest);
        let mut planner = self.planner(&before);
        let is_first = before.image.is_new();
        let result = plan(&mut planner);
        let (mut image, mut records) = planner.into_parts();
        if records.is_empty() {
            return Ok((result, self.under_way(&writer)));
        }
        if is_first {
            let first = first_record();
            let applied = image.apply(&first);
            debug_assert_eq!(applied, Ok(()), "a feature level always fits");
            records.insert(0, first);
        }
        let (ticket, bytes) = self.store.append(&records, self.clock.now_ms())?;
        let config = if image.has_same_broker_settings(&before.image) {
            Arc::clone(&before.config)
        } else {
            broker_config(&self.started_with, &image)
        };
        let version =
            Arc::new(Version { image: Arc::new(image), config, end: ticket.last_offset() + 1 });
        let commit = ticket.shared();
        writer.latest = Arc::clone(&version);
        writer.commit = Some(commit.clone());
        writer.log_bytes += bytes;
        let is_snapshot_due = self.store.is_snapshot_due(writer.log_bytes);
        Ok((result, Some(Appended { commit, version, is_snapshot_due })))
    }

    /// What changes are planned upon, if it is not shown yet, and perhaps never will be.
    fn under_way(&self, writer: &Writer) -> Option<Appended> {
        let version = Arc::clone(&writer.latest);
        let commit = writer.commit.clone().filter(|_| self.published.load().end < version.end);
        commit.map(|commit| Appended { commit, version, is_snapshot_due: false })
    }

    /// Shows a version to everybody, unless a later one, which contains it, is shown already.
    fn publish(&self, version: &Arc<Version>) {
        self.published
            .rcu(|shown| Arc::clone(if shown.end < version.end { version } else { shown }));
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings of a broker, with those that the image says.
fn broker_config(started_with: &Arc<BrokerConfig>, image: &Image) -> Arc<BrokerConfig> {
    let own = image.settings(&Resource::Broker(Some(started_with.node_id)));
    let all = image.settings(&Resource::Broker(None));
    if own.is_empty() && all.is_empty() {
        return Arc::clone(started_with);
    }
    Arc::new(started_with.with_dynamic(own, all))
}

/// What every metadata log begins with.
fn first_record() -> MetadataRecord {
    MetadataRecord::FeatureLevel(FeatureLevelRecord {
        name: "metadata.version".into(),
        feature_level: METADATA_VERSION,
    })
}
