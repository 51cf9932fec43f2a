//! Follows the log: every message that is shown comes from here, in the order of the log.

use std::time::Duration;

use futures_util::FutureExt as _;
use klamm_consumer::{ConsumeExt as _, Consumer, OffsetReset, Start};
use klamm_utils::backoff::Backoff;

use crate::instance::Instance;
use crate::log::Log;
use crate::message::{Message, Placed};

/// How many records of each partition are read again at the start, so that what was said just
/// before is at hand.
const BACK: i64 = 2_000;

/// How many records of a partition are shown at a time.
const AT_ONCE: usize = 64;

/// How many records may be shown before sockets get time to write: fewer than wait for a page that
/// looks at all rooms.
const RECORDS_MAX: usize = 160;

/// How long that time is for each frame, and what is too short to wait for.
const PAUSE: Duration = Duration::from_micros(40);
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(40);

/// What was shown since sockets had time to write.
#[derive(Debug, Default)]
struct Round {
    records: usize,
    frames: usize,
}

impl Round {
    fn add(&mut self, records: usize, frames: usize) {
        if frames > 0 {
            self.records += records;
            self.frames += frames;
        }
    }

    fn is_full(&self) -> bool {
        self.records >= RECORDS_MAX
    }

    /// Waits after so many frames, so that what comes meanwhile is put before each page in one go:
    /// to wake a socket and to write to it costs more than a frame.
    async fn pause(&mut self) {
        let time = self.pause_after();
        if time >= PAUSE_MIN {
            *self = Self::default();
            tokio::time::sleep(time).await;
        }
    }

    fn pause_after(&self) -> Duration {
        u32::try_from(self.frames).map_or(PAUSE_MAX, |frames| (PAUSE * frames).min(PAUSE_MAX))
    }
}

/// Follows every partition until the tasks stop.
pub(crate) async fn follow(instance: &Instance, log: &Log) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        let failed = match open(instance, log).await {
            Ok(mut consumer) => {
                instance.kafka.well();
                backoff.reset();
                read(instance, &mut consumer).await
            }
            Err(error) => error,
        };
        instance.kafka.away(failed);
        tokio::time::sleep(backoff.next_pause()).await;
    }
}

/// A consumer of all partitions without a group: from where this instance was, or from a little
/// before the end.
async fn open(instance: &Instance, log: &Log) -> klamm_client::Result<Consumer> {
    let mut consumer = log.kafka.consumer().auto_offset_reset(OffsetReset::Earliest);
    for (partition, begin, end) in log.bounds().await? {
        let from = match instance.rooms.next(partition) {
            Some(next) => next,
            None => {
                let from = (end - BACK).max(begin);
                instance.rooms.begin(partition, from);
                from
            }
        };
        consumer = consumer.assign(log.topic.as_str(), partition, Start::Offset(from));
    }
    consumer.fetch_max_wait(Duration::from_millis(500)).build().await
}

/// Shows what comes, until that fails.
async fn read(instance: &Instance, consumer: &mut Consumer) -> klamm_client::Error {
    let mut round = Round::default();
    loop {
        let batch = match consumer.next_batch().now_or_never() {
            Some(batch) => batch,
            None => {
                round.pause().await;
                consumer.next_batch().await
            }
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return error,
        };
        let partition = batch.partition();
        for records in batch.records().chunks(AT_ONCE) {
            // What cannot be read is told by the persister, which puts it aside.
            let decoded = records.iter().filter_map(|record| {
                let message = Message::decode(record.value.as_deref()).ok()?;
                Some(Placed { message, offset: record.offset })
            });
            let next = records.last().map_or(batch.end_offset(), |last| last.offset + 1);
            let elsewhere = |room: &str| instance.presence.count(room);
            let count = instance.rooms.show(partition, decoded.collect(), next, elsewhere);
            instance.metrics.deliveries.inc_by(count as u64);
            round.add(records.len(), count);
            if round.is_full() {
                round.pause().await;
            }
        }
        instance.rooms.passed(partition, batch.end_offset());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_now_and_then_is_not_held_up_and_a_rush_not_for_long() {
        let pause_after = |frames| Round { records: 1, frames }.pause_after();
        assert!(pause_after(10) < PAUSE_MIN);
        assert!(pause_after(100) > PAUSE_MIN);
        assert_eq!(pause_after(1_000), PAUSE_MAX);
        assert_eq!(pause_after(usize::MAX), PAUSE_MAX);
    }

    #[test]
    fn no_page_is_put_more_before_than_it_may_leave_waiting() {
        let mut round = Round::default();
        round.add(10_000, 0);
        assert!(!round.is_full(), "nobody has looked");
        let mut shown = 0;
        while !round.is_full() {
            round.add(AT_ONCE, AT_ONCE);
            shown += AT_ONCE;
        }
        assert!(shown < common::hub::FRAMES_MAX, "{shown}");
    }
}
