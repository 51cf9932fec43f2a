//! How a broker comes to life.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use klamm_storage::disk::{Disk, RealDisk};
use klamm_storage::{OpenError, Storage, StorageOptions};
use klamm_utils::clock::{Clock, SystemClock};
use klamm_utils::task::TaskGroup;
use tempfile::TempDir;

use crate::api::fetch::FetchSessions;
use crate::broker::Broker;
use crate::catalog::{Catalog, CatalogError};
use crate::config::settings::{Origin, SettingsError};
use crate::config::{BrokerConfig, BrokerSettings};
use crate::group::Groups;
use crate::http::Http;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::partition::ColdReads;
use crate::producer_ids::ProducerIds;
use crate::server::{Complaints, Listener, RequestMemory};
use crate::telemetry::Telemetry;
use crate::topics::Topics;
use crate::txn::Transactions;
use crate::{changes, cleaner, housekeeping};

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An address cannot be served.
    #[error(transparent)]
    Listen(io::Error),
    /// The folder for an ephemeral broker cannot be made.
    #[error("cannot make a temporary folder: {0}")]
    TemporaryFolder(io::Error),
    /// The data folder, or a log in it, cannot be opened.
    #[error(transparent)]
    Storage(#[from] OpenError),
    /// The metadata log cannot be used.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A thread panicked while it opened the data.
    #[error("opening the data failed: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Gathers what a broker is to be. Defaults are those of `klamm serve`.
#[derive(Debug)]
pub struct BrokerBuilder {
    settings: BrokerSettings,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    /// Whether the data goes with the broker.
    is_temporary: bool,
}

impl BrokerBuilder {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(SystemClock::new());
        let disk = Arc::new(RealDisk);
        Self { settings: BrokerSettings::new(), clock, disk, is_temporary: false }
    }

    /// Starts from these settings, in place of those given so far.
    #[must_use]
    pub fn settings(mut self, settings: BrokerSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets one key of `server.properties`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.settings.set(key, value, Origin::Argument);
        self
    }

    /// Keeps the data in this folder.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        let folder: PathBuf = folder.into();
        self.is_temporary = false;
        self.set("log.dirs", folder.to_string_lossy())
    }

    /// Listens at `host:port`; port 0 lets the system choose.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        self.settings.set_listen(&[address], Origin::Argument);
        self
    }

    /// For tests and demonstrations: free ports, no HTTP, nothing waits for the disk, and the data
    /// goes with the broker.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.is_temporary = true;
        self.listen("localhost:0").set("http.listen", "").set("durability", "os-cached")
    }

    /// Takes the time from here.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps the data folder on this disk, in place of the machine's.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Starts the broker within the runtime that is running. It answers when this returns.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub async fn start(mut self) -> Result<Broker, StartError> {
        let folder = self.temporary_folder()?;
        let config = Arc::new(self.settings.config()?);
        let listeners = bind(&config).await?;
        let http = match &config.http_listen {
            Some(address) => Some(Http::bind(address).await.map_err(StartError::Listen)?),
            None => None,
        };
        let (disk, clock) = (self.disk, self.clock);
        let opening = tokio::task::spawn_blocking(move || open(config, disk, clock));
        let node = Arc::new(opening.await??);
        let bootstrap = listeners.iter().filter_map(Listener::advertised).collect();
        let http_address = http.as_ref().map(Http::address);
        node.groups.shards.start(&node);
        node.transactions.start(&node);
        for listener in listeners {
            listener.start(&node);
        }
        if let Some(http) = http {
            http.start(&node);
        }
        housekeeping::start(&node);
        cleaner::start(&node);
        Ok(Broker::new(node, bootstrap, http_address, folder))
    }

    fn temporary_folder(&mut self) -> Result<Option<TempDir>, StartError> {
        if !self.is_temporary {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("klamm-").tempdir();
        let folder = folder.map_err(StartError::TemporaryFolder)?;
        self.settings.set("log.dirs", folder.path().to_string_lossy(), Origin::Argument);
        Ok(Some(folder))
    }
}

async fn bind(config: &BrokerConfig) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::with_capacity(config.listeners.len());
    for one in &config.listeners {
        let advertise = one.advertise.clone();
        let bound = Listener::bind(&one.bind, one.port, advertise, config.sockets.backlog).await;
        listeners.push(bound.map_err(StartError::Listen)?);
    }
    Ok(listeners)
}

/// Opens the data: the catalog first, then the topics that it names. Blocks.
pub(crate) fn open(
    config: Arc<BrokerConfig>,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
) -> Result<Node, StartError> {
    let options = StorageOptions::default();
    let storage = Storage::open(disk, &config.data_dir, &options, Arc::clone(&clock))?;
    let storage = Arc::new(storage);
    let catalog = Catalog::open(&storage, Arc::clone(&config), Arc::clone(&clock))?;
    let metrics = Arc::new(Metrics::new());
    let node = Node {
        topics: Topics::new(Arc::clone(&storage), Arc::clone(&metrics)),
        cold_reads: ColdReads::default(),
        memory: RequestMemory::new(config.requests.memory_bytes),
        connections: Arc::default(),
        complaints: Complaints::new(Arc::clone(&clock)),
        producer_ids: ProducerIds::default(),
        groups: Groups::default(),
        transactions: Transactions::default(),
        fetch_sessions: FetchSessions::default(),
        telemetry: Telemetry::default(),
        tasks: TaskGroup::new("broker"),
        following: tokio::sync::Mutex::default(),
        clock,
        storage,
        catalog,
        metrics,
    };
    changes::open_all(&node)?;
    Ok(node)
}
