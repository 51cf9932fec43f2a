//! A broker that runs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::builder::BrokerBuilder;
use crate::config::BrokerConfig;
use crate::config::address::Address;
use crate::node::Node;

/// A running broker.
///
/// [`stop`](Self::stop) ends it well. Dropping it ends it as a crash would: what was acknowledged
/// is there at the next start, which has to check the logs first.
#[derive(Debug)]
pub struct Broker {
    node: Arc<Node>,
    addresses: Vec<Address>,
    http_address: Option<SocketAddr>,
    /// Removed with the broker.
    folder: Option<TempDir>,
}

impl Broker {
    /// Begins to describe a broker.
    #[must_use]
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    pub(crate) fn new(
        node: Arc<Node>,
        addresses: Vec<Address>,
        http_address: Option<SocketAddr>,
        folder: Option<TempDir>,
    ) -> Self {
        Self { node, addresses, http_address, folder }
    }

    /// What to give a client as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(Address::to_string).collect();
        addresses.join(",")
    }

    /// What clients are told to connect to, one for each listener. A listener on all interfaces
    /// tells each client the address that it has reached; here it is `localhost`.
    #[must_use]
    pub fn advertised(&self) -> &[Address] {
        &self.addresses
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are served, if they are.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// The settings as they are now; some can be changed while the broker runs.
    #[must_use]
    pub fn config(&self) -> Arc<BrokerConfig> {
        self.node.config()
    }

    /// Where the data is.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.node.storage.dir()
    }

    /// The id of the cluster: made at the first start, kept with the data.
    #[must_use]
    pub fn cluster_id(&self) -> String {
        self.node.catalog.cluster_id().to_string()
    }

    /// How many topics and partitions there are.
    #[must_use]
    pub fn topic_counts(&self) -> (usize, usize) {
        let topics = self.node.topics.all();
        (topics.len(), topics.iter().map(|topic| topic.partitions().len()).sum())
    }

    /// Ends the broker: takes no more requests, answers those that are in, syncs every log, and
    /// leaves the marks of a clean stop. Connections that have not ended within
    /// `shutdown.timeout.ms` are cut.
    pub async fn stop(mut self) {
        let node = Arc::clone(&self.node);
        node.tasks.stop();
        node.tasks.join(node.config().shutdown_timeout).await;
        let closing = tokio::task::spawn_blocking(move || {
            for topic in node.topics.all() {
                for partition in topic.partitions().iter() {
                    partition.keep_producers(&node.storage);
                }
            }
            if let Err(error) = node.storage.close() {
                tracing::error!(%error, "the logs were not closed well and will be checked");
            }
        });
        if let Err(error) = closing.await {
            tracing::error!(%error, "closing the logs failed; they will be checked");
        }
        drop(self.folder.take());
    }

    /// Ends the broker as a crash would, for tests: nothing is finished, no mark is left, and the
    /// data folder is free for the next start when this returns.
    pub async fn crash(mut self) {
        let node = Arc::clone(&self.node);
        node.tasks.stop();
        node.tasks.join(node.config().shutdown_timeout).await;
        let ending = tokio::task::spawn_blocking(move || node.storage.abandon());
        if let Err(error) = ending.await {
            tracing::error!(%error, "the logs could not be left");
        }
        drop(self.folder.take());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.node.tasks.stop();
    }
}
