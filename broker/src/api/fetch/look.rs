//! Reading what is there, and waiting until there is enough. Nowhere else does a fetch wait.

use std::future::Future;
use std::sync::Arc;

use klamm_protocol::api::fetch::{AbortedTransaction, EpochEnd, PartitionAnswer};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{Compression, batches};
use klamm_protocol::wire::Records;
use tokio::time::{Instant, timeout_at};

use super::session::{Ask, Followed, Turn};
use crate::partition::{Batches, ColdReads, Isolation, Partition, Read, Waiter};

/// The first version whose clients read zstd (KIP-110).
const ZSTD_FROM_VERSION: i16 = 10;
/// Who waits for more holds at most so many bytes of records meanwhile, and reads them anew in the
/// end if there are more: it may wait as long as its client wants.
const HELD_MAX: usize = 16 << 10;

/// What is to be read, with its limits.
pub(super) struct Plan {
    pub(super) version: i16,
    pub(super) targets: Vec<Target>,
    pub(super) isolation: Isolation,
    pub(super) bytes_min: usize,
    pub(super) bytes_max: usize,
    pub(super) deadline: Instant,
    pub(super) cold: ColdReads,
}

/// A partition that is to be read.
pub(super) struct Target {
    pub(super) followed: Followed,
    /// Where it stands in the session, if there is one.
    pub(super) turn: Option<Turn>,
    pub(super) partition: Result<Arc<Partition>, ErrorCode>,
}

/// An answer for each target, and what decides whether they may be sent already.
pub(super) struct Look {
    seen: Vec<Seen>,
    /// Of all records.
    bytes: usize,
    /// An error, or logs that have parted: the client must hear of it at once.
    is_urgent: bool,
    /// The records were left out.
    is_bare: bool,
}

/// What is to be said of one target.
struct Seen {
    answer: PartitionAnswer,
    /// Of the records, there or left out.
    bytes: usize,
    /// What they count for: see [`Batches`].
    worth: usize,
}

impl Plan {
    pub(super) fn is_enough(&self, look: &Look) -> bool {
        look.is_urgent
            || look.worth() >= self.bytes_min
            || self.targets.is_empty()
            || self.deadline <= Instant::now()
    }

    /// Reads what is there now, in order.
    pub(super) async fn look(&self) -> Look {
        let seen = Vec::with_capacity(self.targets.len());
        let mut look = Look { seen, bytes: 0, is_urgent: false, is_bare: false };
        for target in &self.targets {
            let seen = self.read(target, look.bytes).await;
            look.count(&seen);
            look.seen.push(seen);
        }
        look
    }

    /// Reads on, whenever something has changed, until there is enough, the time is up, or the
    /// broker is stopping.
    pub(super) async fn look_and_wait(&self, stopping: impl Future<Output = ()>) -> Look {
        let partitions = self.targets.iter().enumerate().filter_map(|(at, target)| {
            target.partition.as_ref().ok().map(|partition| (at, Arc::clone(partition)))
        });
        let waiter = Waiter::register(partitions.collect());
        // What came in before we registered is not missed.
        let mut look = self.look().await;
        tokio::pin!(stopping);
        while !self.is_enough(&look) {
            look.lay_down();
            let changed = tokio::select! {
                changed = timeout_at(self.deadline, waiter.changed()) => changed,
                () = &mut stopping => break,
            };
            let Ok(changed) = changed else { break };
            for at in changed {
                self.look_again(&mut look, at).await;
            }
        }
        if look.is_bare { self.look().await } else { look }
    }

    /// Reads one target anew.
    async fn look_again(&self, look: &mut Look, at: usize) {
        let Some((target, known)) = self.targets.get(at).zip(look.seen.get(at)) else { return };
        look.bytes -= known.bytes;
        let fresh = self.read(target, look.bytes).await;
        look.count(&fresh);
        if let Some(known) = look.seen.get_mut(at) {
            *known = fresh;
        }
    }

    async fn read(&self, target: &Target, bytes_so_far: usize) -> Seen {
        let answer = match &target.partition {
            Ok(partition) => {
                self.read_partition(partition, target.followed.ask, bytes_so_far).await
            }
            // Found before the log was asked: Kafka then lists no aborted transactions.
            Err(error_code) => {
                let aborted_transactions = Some(Vec::new());
                Ok((PartitionAnswer { aborted_transactions, ..refused(*error_code) }, 0))
            }
        };
        let partition_index = target.followed.place.index;
        let (answer, worth) = answer.unwrap_or_else(|error_code| (refused(error_code), 0));
        let answer = PartitionAnswer { partition_index, ..answer };
        Seen { bytes: bytes(&answer), answer, worth }
    }

    /// The answer for a partition, and what it counts for.
    async fn read_partition(
        &self,
        partition: &Arc<Partition>,
        ask: Ask,
        bytes_so_far: usize,
    ) -> Result<(PartitionAnswer, usize), ErrorCode> {
        partition.check_leader_epoch(ask.leader_epoch)?;
        if let Some((epoch, end_offset)) = partition.divergence(ask.last_epoch, ask.offset)? {
            let diverging_epoch = EpochEnd { epoch, end_offset };
            return Ok((PartitionAnswer { diverging_epoch, ..self.offsets(partition) }, 0));
        }
        let partition_max =
            usize::try_from(ask.bytes_max).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
        let read = Read {
            offset: ask.offset,
            bytes_max: partition_max.min(self.bytes_max.saturating_sub(bytes_so_far)),
            // The first batch of all is given whatever its size, so that every client gets on.
            at_least_one: bytes_so_far == 0,
            isolation: self.isolation,
            knows_zstd: self.version >= ZSTD_FROM_VERSION,
        };
        let Batches { records, aborted, worth } = partition.read(read, &self.cold).await?;
        if !read.knows_zstd && holds_zstd(&records) {
            return Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
        }
        let aborted = aborted.into_iter().map(|it| AbortedTransaction {
            producer_id: it.producer_id,
            first_offset: it.first_offset,
        });
        let is_asked = self.isolation == Isolation::ReadCommitted;
        let answer = PartitionAnswer {
            records: Some(records),
            aborted_transactions: is_asked.then(|| aborted.collect()),
            ..self.offsets(partition)
        };
        Ok((answer, worth))
    }

    fn offsets(&self, partition: &Partition) -> PartitionAnswer {
        let offsets = partition.offsets();
        PartitionAnswer {
            high_watermark: offsets.high_watermark.get(),
            last_stable_offset: offsets.stable.get(),
            log_start_offset: offsets.start.get(),
            aborted_transactions: (self.isolation == Isolation::ReadCommitted).then(Vec::new),
            records: Some(Records::default()),
            ..PartitionAnswer::default()
        }
    }
}

impl Look {
    pub(super) fn into_answers(self) -> impl Iterator<Item = PartitionAnswer> {
        self.seen.into_iter().map(|seen| seen.answer)
    }

    fn worth(&self) -> usize {
        self.seen.iter().fold(0, |sum, seen| sum.saturating_add(seen.worth))
    }

    fn count(&mut self, seen: &Seen) {
        self.bytes += seen.bytes;
        self.is_urgent |=
            !seen.answer.error_code.is_none() || seen.answer.diverging_epoch != EpochEnd::default();
    }

    /// Leaves out the records, if they are many, until there are enough.
    fn lay_down(&mut self) {
        if self.bytes > HELD_MAX {
            self.is_bare = true;
            for seen in &mut self.seen {
                seen.answer.records = None;
            }
        }
    }
}

/// The bytes of records in an answer.
pub(super) fn bytes(answer: &PartitionAnswer) -> usize {
    answer.records.as_ref().map_or(0, Records::len)
}

pub(super) fn refused(error_code: ErrorCode) -> PartitionAnswer {
    let records = Some(Records::default());
    PartitionAnswer { error_code, high_watermark: -1, records, ..PartitionAnswer::default() }
}

fn holds_zstd(records: &Records) -> bool {
    let mut batches = batches(records.clone().into_bytes()).flatten();
    batches.any(|batch| batch.header().attributes.compression() == Ok(Compression::Zstd))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn seen(bytes: usize) -> Seen {
        let records = Some(Bytes::from(vec![0; bytes]).into());
        Seen { answer: PartitionAnswer { records, ..Default::default() }, bytes, worth: bytes }
    }

    /// A thousand clients that waited for more held a thousand times what there was.
    #[test]
    fn who_waits_for_more_holds_little() {
        for (sizes, held) in [([HELD_MAX, 0], HELD_MAX), ([HELD_MAX, 1], 0)] {
            let seen = sizes.map(seen).into();
            let bytes = sizes.iter().sum();
            let mut look = Look { seen, bytes, is_urgent: false, is_bare: false };
            look.lay_down();
            assert_eq!((look.worth(), look.bytes, look.is_bare), (bytes, bytes, held == 0));
            assert_eq!(
                look.into_answers().map(|answer| super::bytes(&answer)).sum::<usize>(),
                held
            );
        }
    }
}
