//! What the logs of one storage share.

use std::sync::Arc;

use klamm_utils::clock::Clock;

use crate::buffers::Buffers;
use crate::commit::Committer;
use crate::sweep::Sweeper;

/// Time, the committer threads, the thread that removes files, and memory to read into.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) sweeper: Arc<Sweeper>,
    pub(crate) buffers: Buffers,
}
