//! What the logs of one storage share.

use std::sync::Arc;
use std::time::Duration;

use klamm_utils::clock::Clock;

use crate::buffers::Buffers;
use crate::commit::Committer;
use crate::sweep::Sweeper;

/// Time, the committer threads, the thread that removes files, and memory to read into.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) committer: Arc<Committer>,
    /// The longest that a sync waits for company.
    pub(crate) gather_max: Duration,
    pub(crate) sweeper: Arc<Sweeper>,
    pub(crate) buffers: Buffers,
}
