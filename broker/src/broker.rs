//! A broker that runs.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use crate::builder::{BrokerBuilder, StartError};
use crate::config::BrokerConfig;
use crate::config::address::Address;
use crate::faults::Faults;
use crate::node::Node;

/// A running broker.
///
/// [`stop`](Self::stop) ends it well, [`kill`](Self::kill) as a crash would; either gives what can
/// be [started again](StoppedBroker::restart) in the same place. Dropping it ends it as a crash
/// would, without waiting for the end.
#[derive(Debug)]
pub struct Broker {
    node: Running,
    addresses: Vec<Address>,
    http_address: Option<SocketAddr>,
    /// How to start it again.
    builder: BrokerBuilder,
}

/// A broker that has ended, and can be started again with its data and at its addresses.
///
/// Dropping it gives up the ports, and removes the data of an ephemeral broker.
#[derive(Debug)]
pub struct StoppedBroker {
    builder: BrokerBuilder,
}

impl StoppedBroker {
    /// Starts the broker again: the same settings, the same data folder, the same ports, and the
    /// faults that are left.
    ///
    /// An ephemeral broker keeps its ports to itself while it is down (on Linux). Any other finds
    /// them as a restarted process would.
    ///
    /// # Errors
    /// See [`StartError`]: [`Listen`](StartError::Listen) names the address that somebody else has
    /// taken. An ephemeral broker that does not start takes its data with it.
    pub async fn restart(self) -> Result<Broker, StartError> {
        tracing::debug!(ports = ?self.builder.ports(), "a broker is started again");
        self.builder.start().await
    }

    /// The faults that the next start will have.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        self.builder.faults()
    }
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
        builder: BrokerBuilder,
    ) -> Self {
        Self { node: Running(node), addresses, http_address, builder }
    }

    #[cfg(test)]
    pub(crate) fn node(&self) -> Arc<Node> {
        Arc::clone(&self.node.0)
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

    /// What goes wrong on purpose: see [`Fault`](crate::faults::Fault).
    #[must_use]
    pub fn faults(&self) -> &Faults {
        self.builder.faults()
    }

    /// Stops answering, as a process does that is suspended (`SIGSTOP`): clients still connect and
    /// send, because the kernel takes that in, and get no answer to what they sent after this
    /// returned. An answer that is being written may still leave.
    ///
    /// Timers go on, as the clock does for a suspended process: a member of a group whose session
    /// ends meanwhile is out when the broker [resumes](Self::resume). A suspended process would
    /// notice only then, and a heartbeat that has waited might come before. The HTTP address still
    /// answers.
    pub fn pause(&self) {
        self.node.gate.close();
    }

    /// Goes on after a [pause](Self::pause), with what came meanwhile.
    pub fn resume(&self) {
        self.node.gate.open();
    }

    /// Ends the broker: takes no more requests, answers those that are in, syncs every log, and
    /// leaves the marks of a clean stop. Connections that have not ended within
    /// `shutdown.timeout.ms` are cut. A paused broker resumes to do so.
    pub async fn stop(self) -> StoppedBroker {
        self.node.gate.open();
        self.end_tasks().await;
        let node = Arc::clone(&self.node.0);
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
        StoppedBroker { builder: self.builder }
    }

    /// Ends the broker as a crash would (`SIGKILL`), for tests: connections are cut, no request is
    /// answered, nothing is finished, no mark is left. The data folder is free for the next start
    /// when this returns. What was acknowledged is there then, once the logs have been checked.
    pub async fn kill(self) -> StoppedBroker {
        self.node.gate.cut();
        self.end_tasks().await;
        let node = Arc::clone(&self.node.0);
        let ending = tokio::task::spawn_blocking(move || node.storage.abandon());
        if let Err(error) = ending.await {
            tracing::error!(%error, "the logs could not be left");
        }
        StoppedBroker { builder: self.builder }
    }

    async fn end_tasks(&self) {
        self.node.tasks.stop();
        if !self.node.tasks.join(self.node.config().shutdown_timeout).await {
            self.node.gate.cut();
            // What still runs uses the data: nobody may be told that it is free.
            self.node.tasks.ended().await;
        }
    }
}

/// Ends with the broker.
#[derive(Debug)]
struct Running(Arc<Node>);

impl Deref for Running {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.gate.cut();
        self.0.tasks.stop();
    }
}
