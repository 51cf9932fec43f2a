//! What the parts of one broker share.

use std::sync::Arc;

use klamm_protocol::wire::Str;
use klamm_storage::Storage;
use klamm_utils::clock::Clock;
use klamm_utils::task::TaskGroup;

use crate::api::fetch::FetchSessions;
use crate::catalog::{Catalog, METADATA_TOPIC};
use crate::config::BrokerConfig;
use crate::faults::Faults;
use crate::group::Groups;
use crate::metrics::Metrics;
use crate::partition::ColdReads;
use crate::producer_ids::ProducerIds;
use crate::server::{Complaints, Connections, Gate, RequestMemory};
use crate::telemetry::Telemetry;
use crate::topics::{Topic, Topics};
use crate::txn::Transactions;

/// One broker.
pub(crate) struct Node {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) storage: Arc<Storage>,
    /// What there is to be, kept on disk.
    pub(crate) catalog: Catalog,
    /// What of it is open.
    pub(crate) topics: Topics,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) telemetry: Telemetry,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) memory: RequestMemory,
    pub(crate) cold_reads: ColdReads,
    pub(crate) connections: Arc<Connections>,
    pub(crate) complaints: Complaints,
    pub(crate) gate: Gate,
    pub(crate) faults: Arc<Faults>,
    pub(crate) tasks: TaskGroup,
    /// The version of the catalog that open topics were last brought in line with, by where it
    /// ends. Held while they are.
    pub(crate) followed: tokio::sync::Mutex<Option<i64>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Node {
    /// The settings as they are now. They change while the broker runs: ask again for each request
    /// and each round of a task, and keep no part of them longer.
    pub(crate) fn config(&self) -> Arc<BrokerConfig> {
        self.catalog.broker_config()
    }

    pub(crate) fn id(&self) -> i32 {
        self.catalog.node_id()
    }

    /// The names of the logs that take no records since an error of the disk.
    pub(crate) fn read_only(&self) -> Vec<String> {
        let mut names: Vec<_> = self.topics.all().iter().flat_map(read_only_of).collect();
        if self.catalog.is_read_only() {
            names.push(format!("{METADATA_TOPIC}-0"));
        }
        names
    }

    pub(crate) fn cluster_id(&self) -> Str {
        self.catalog.cluster_id().into()
    }
}

fn read_only_of(topic: &Arc<Topic>) -> Vec<String> {
    let partitions = topic.partitions();
    partitions
        .iter()
        .filter(|partition| partition.is_read_only())
        .map(ToString::to_string)
        .collect()
}
