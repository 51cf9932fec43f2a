//! How a broker comes to life.

use std::io;
use std::path::{Path, PathBuf};
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
use crate::faults::Faults;
use crate::group::Groups;
use crate::http::Http;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::open_files::OpenFiles;
use crate::partition::ColdReads;
use crate::producer_ids::ProducerIds;
use crate::server::{Complaints, Connections, Gate, HeldPorts, Listener, RequestMemory};
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
    /// A broker of Apache Kafka has run in the data folder.
    #[error(
        "{} is the data folder of a Kafka broker, as {KAFKAS_FILE} in it shows: Klamm needs one of \
         its own; MirrorMaker 2 moves topics from broker to broker", .0.display()
    )]
    KafkasFolder(PathBuf),
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
    place: Place,
    faults: Arc<Faults>,
}

/// Where a broker was, so that it comes back there.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The port of each listener.
    ports: Vec<u16>,
    http_port: Option<u16>,
    held: HeldPorts,
    /// Removed when the broker is not to come back.
    folder: Option<TempDir>,
}

impl Place {
    fn is_known(&self) -> bool {
        !self.ports.is_empty()
    }

    /// Puts the ports that the broker had in place of those configured.
    fn fix(&self, config: &mut BrokerConfig) {
        for (listener, port) in config.listeners.iter_mut().zip(&self.ports) {
            listener.port = *port;
        }
        if let (Some(address), Some(port)) = (&mut config.http_listen, self.http_port) {
            address.port = port;
        }
    }
}

impl BrokerBuilder {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(SystemClock::new());
        let disk = Arc::new(RealDisk);
        Self {
            settings: BrokerSettings::new(),
            clock,
            disk,
            is_temporary: false,
            place: Place::default(),
            faults: Arc::default(),
        }
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

    /// For tests and demonstrations: free ports, which stay the broker's own over a restart, no
    /// HTTP, nothing waits for the disk, and the data goes with the broker.
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
        self.make_folder()?;
        let mut config = self.settings.config()?;
        self.place.fix(&mut config);
        let listeners = self.bind(&config).await?;
        let http = match &config.http_listen {
            Some(address) => Some(Http::bind(address).await.map_err(StartError::Listen)?),
            None => None,
        };
        let node = self.open(config).await?;
        let bootstrap = listeners.iter().filter_map(Listener::advertised).collect();
        let http_address = http.as_ref().map(Http::address);
        self.place.ports = listeners.iter().map(Listener::port).collect();
        self.place.http_port = http_address.map(|address| address.port());
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
        Ok(Broker::new(node, bootstrap, http_address, self))
    }

    async fn open(&self, config: BrokerConfig) -> Result<Arc<Node>, StartError> {
        let (disk, clock) = (Arc::clone(&self.disk), Arc::clone(&self.clock));
        let (config, faults) = (Arc::new(config), Arc::clone(&self.faults));
        let opening = tokio::task::spawn_blocking(move || open(config, disk, clock, faults));
        Ok(Arc::new(opening.await??))
    }

    fn make_folder(&mut self) -> Result<(), StartError> {
        if self.is_temporary && self.place.folder.is_none() {
            let folder = tempfile::Builder::new().prefix("klamm-").tempdir();
            let folder = folder.map_err(StartError::TemporaryFolder)?;
            self.settings.set("log.dirs", folder.path().to_string_lossy(), Origin::Argument);
            self.place.folder = Some(folder);
        }
        Ok(())
    }

    async fn bind(&mut self, config: &BrokerConfig) -> Result<Vec<Listener>, StartError> {
        // Only Linux lets a socket listen beside one that holds its port.
        let can_hold = cfg!(target_os = "linux");
        let holds = can_hold && self.is_temporary && !self.place.is_known();
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for configured in &config.listeners {
            let held = holds.then_some(&mut self.place.held);
            let bound = Listener::bind(configured, &config.sockets, held).await;
            listeners.push(bound.map_err(StartError::Listen)?);
        }
        Ok(listeners)
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) fn ports(&self) -> &[u16] {
        &self.place.ports
    }
}

/// What every start of a Kafka broker leaves in its data folder, and nobody else.
const KAFKAS_FILE: &str = "recovery-point-offset-checkpoint";

/// The folder of a Kafka broker must not be touched: not all that lies there is understood, and
/// what is not would be lost to Kafka, too.
fn check_folder(disk: &dyn Disk, dir: &Path) -> Result<(), StartError> {
    // One that cannot be listed is about to be made, or told of.
    let entries = disk.list(dir).unwrap_or_default();
    if entries.iter().any(|entry| entry.name == KAFKAS_FILE) {
        return Err(StartError::KafkasFolder(dir.to_owned()));
    }
    Ok(())
}

/// Opens the data: the catalog first, then the topics that it names. Blocks.
pub(crate) fn open(
    config: Arc<BrokerConfig>,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    faults: Arc<Faults>,
) -> Result<Node, StartError> {
    let files = OpenFiles::of_process();
    files.warn_unless_they_fit(config.connections.count_max);
    check_folder(&*disk, &config.data_dir)?;
    let options = StorageOptions { open_files_max: files.logs, ..StorageOptions::default() };
    let storage = Storage::open(disk, &config.data_dir, &options, Arc::clone(&clock))?;
    let storage = Arc::new(storage);
    let catalog = Catalog::open(&storage, Arc::clone(&config), Arc::clone(&clock))?;
    let metrics = Arc::new(Metrics::new());
    let node = Node {
        topics: Topics::new(Arc::clone(&storage), Arc::clone(&metrics)),
        cold_reads: ColdReads::default(),
        memory: RequestMemory::new(config.requests.memory_bytes),
        connections: Arc::new(Connections::new(files.connections)),
        complaints: Complaints::new(Arc::clone(&clock)),
        gate: Gate::default(),
        faults,
        producer_ids: ProducerIds::default(),
        groups: Groups::default(),
        transactions: Transactions::default(),
        fetch_sessions: FetchSessions::default(),
        telemetry: Telemetry::default(),
        tasks: TaskGroup::new("broker"),
        followed: tokio::sync::Mutex::default(),
        clock,
        storage,
        catalog,
        metrics,
    };
    changes::open_all(&node)?;
    Ok(node)
}
