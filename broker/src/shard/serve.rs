//! The task of a shard: it reads the log and serves it, again after each failure.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Batch;
use tokio::sync::mpsc::WeakSender;

use super::load::{LoadError, is_empty, load};
use super::mailbox::{Mailbox, Refuse, Sent};
use super::writes::LOST;
use crate::node::Node;
use crate::partition::Partition;

/// How long a shard whose log failed waits before it reads it anew.
const REST: Duration = Duration::from_secs(1);

/// What the task of a shard does with what is in its log and with what it is asked.
pub(crate) trait Serve: Sized + Send + 'static {
    /// The topic whose partitions have shards.
    const TOPIC: &'static str;
    /// What is coordinated there, which the tasks are named after.
    const NAME: &'static str;
    /// What a shard is asked.
    type Command: Refuse;
    /// What the records that were read amount to.
    type Replay: Replay;

    /// Serves a partition. The mailbox is the shard's own, which is not kept open.
    fn new(
        node: &Arc<Node>,
        partition: &Arc<Partition>,
        mailbox: WeakSender<Sent<Self::Command>>,
    ) -> Self;

    /// Answers commands with what the log says, until something comes in between.
    fn serve(
        &mut self,
        replay: Self::Replay,
        mailbox: &mut Mailbox<Self::Command>,
    ) -> impl Future<Output = Interruption> + Send;
}

/// What is made of a log by reading it.
pub(crate) trait Replay: Default + Send + 'static {
    /// Takes the records of a batch in, in their order. One that cannot be read is told and passed
    /// over, so that it costs no more than what it is about.
    fn read(&mut self, batch: &Batch);
}

/// Why a shard is not served any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The broker stops, or nobody will ask again.
    End,
    /// The log failed, and what was done since is not certain.
    Failure,
}

/// Reads the log and serves it, again after each failure, until the broker stops.
pub(super) async fn run<S: Serve>(
    mut shard: S,
    partition: Arc<Partition>,
    mut mailbox: Mailbox<S::Command>,
) {
    let mut complaint = String::new();
    loop {
        let interruption = match read(&partition, &mut mailbox).await {
            None => return,
            Some(Ok(replay)) => shard.serve(replay, &mut mailbox).await,
            Some(Err(_)) if partition.is_removed() => return,
            Some(Err(error)) => {
                complain::<S>(&partition, &error, &mut complaint);
                Interruption::Failure
            }
        };
        let rest = tokio::time::sleep(REST);
        if interruption == Interruption::End || mailbox.refuse_until(rest, LOST).await.is_none() {
            return;
        }
    }
}

/// Reads the log; `None` when the broker stops meanwhile.
async fn read<R: Replay>(
    partition: &Arc<Partition>,
    mailbox: &mut Mailbox<impl Refuse>,
) -> Option<Result<R, LoadError>> {
    if is_empty(partition.log()) {
        return Some(Ok(R::default()));
    }
    let partition = Arc::clone(partition);
    let loading = tokio::task::spawn_blocking(move || load(partition.log()));
    let loaded = mailbox.refuse_until(loading, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS).await?;
    Some(loaded.map_err(LoadError::from).flatten())
}

/// Tells what keeps the log from being read, once.
fn complain<S: Serve>(partition: &Partition, error: &LoadError, last: &mut String) {
    let complaint = error.to_string();
    if *last != complaint {
        tracing::error!(%partition, %error, "{} cannot be coordinated", S::NAME);
        *last = complaint;
    }
}
