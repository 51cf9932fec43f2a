//! One partition, from the log into the stores.
//!
//! The master says how far it is, beside what it holds, and both change at once: a worker begins
//! there, whatever the group has committed. So what is written is written once, a master that has
//! lost everything is filled again from the log, and of two workers that both believe to own the
//! partition only one is believed.

use common::kv::Stores;
use common::patience::Patience;
use klamm_consumer::{PartitionStream, Start};
use klamm_utils::task::TaskGroup;

use crate::begin::begin;
use crate::marks::Place;
use crate::metrics::Metrics;
use crate::reports::Reports;
use crate::worker::{Interrupted, Worker};

/// What all partitions share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) stores: Stores,
    pub(crate) reports: Reports,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskGroup,
    /// The id of the topic: a topic made anew is another log.
    pub(crate) log: String,
}

/// Works a partition into the stores until it goes to another member.
pub(crate) async fn work(shared: Shared, mut stream: PartitionStream) {
    let partition = stream.partition();
    let place = Place::new(partition, &shared.log);
    tracing::debug!(partition, "taken");
    let mut patience = Patience::new(&shared.tasks, "follow a partition");
    loop {
        let begun = tokio::select! {
            begun = begin(&shared.stores, &place, &shared.tasks) => begun,
            () = shared.tasks.stopping() => None,
        };
        let Some(settled) = begun else { return };
        let start = if settled > 0 { Start::Offset(settled) } else { Start::Earliest };
        if stream.seek(start).is_err() {
            return;
        }
        let mut worker = Worker::new(&shared, &place, settled);
        let interrupted = worker.follow(&mut stream).await;
        if let Interrupted::Gone = interrupted {
            worker.commit(&stream).await;
            return;
        }
        if worker.reached() > settled {
            // What is wrong now was not wrong before.
            patience = Patience::new(&shared.tasks, "follow a partition");
        }
        if patience.after(&interrupted).await.is_none() {
            return;
        }
    }
}
