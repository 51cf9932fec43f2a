//! What the logs of one storage share.

use std::sync::Arc;

use klamm_utils::clock::Clock;

use crate::commit::Committer;
use crate::sweep::Sweeper;

/// Time, the committer threads and the thread that removes files.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) sweeper: Arc<Sweeper>,
}
