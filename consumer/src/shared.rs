//! What the application and the tasks of one consumer share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use klamm_client::config::{IsolationLevel, OffsetReset, keys};
use klamm_client::{ClientConfig, ConfigError, Kafka, Result};
use klamm_protocol::wire::Str;
use klamm_utils::clock::{self, Clock as _, SystemClock};
use tokio::sync::Notify;

use crate::assignment::{Assignment, Place};
use crate::batch::ConsumerBatch;
use crate::cursor::{Fetched, Start};
use crate::group::Group;
use crate::interceptor::Interceptors;
use crate::metrics::Metrics;

/// The settings of a consumer, read once.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) isolation: IsolationLevel,
    pub(crate) reset: OffsetReset,
    pub(crate) check_crcs: bool,
    /// The most that a batch may become when it is decompressed.
    pub(crate) decompressed_max: usize,
    pub(crate) min_bytes: i32,
    pub(crate) max_bytes: i32,
    pub(crate) partition_max_bytes: i32,
    pub(crate) max_wait_ms: i32,
    /// How long a call may take with all its retries.
    pub(crate) api_timeout: Duration,
    /// Where the consumer stands; empty if it does not say.
    pub(crate) rack: Str,
    /// For how long a replica is read from that a leader has named as nearer.
    pub(crate) replica_max_age: Duration,
}

impl Settings {
    pub(crate) fn of(config: &ClientConfig) -> std::result::Result<Self, ConfigError> {
        config.check()?;
        let bytes = |key| i32::try_from(config.get::<usize>(key)).unwrap_or(i32::MAX);
        let max_wait = config.get(&keys::FETCH_MAX_WAIT);
        Ok(Self {
            isolation: config.get(&keys::ISOLATION_LEVEL),
            reset: config.get(&keys::AUTO_OFFSET_RESET),
            check_crcs: config.get(&keys::CHECK_CRCS),
            decompressed_max: config.get(&keys::RECEIVE_MAX),
            min_bytes: bytes(&keys::FETCH_MIN),
            max_bytes: bytes(&keys::FETCH_MAX),
            partition_max_bytes: bytes(&keys::PARTITION_FETCH_MAX),
            max_wait_ms: i32::try_from(max_wait.as_millis()).unwrap_or(i32::MAX),
            rack: config.get(&keys::CLIENT_RACK).unwrap_or_default().into(),
            api_timeout: config.get(&keys::API_TIMEOUT),
            replica_max_age: config.get(&keys::METADATA_MAX_AGE),
        })
    }

    /// Where a partition goes on that has no such offset; none where that is an error.
    pub(crate) fn reset_start(&self) -> Option<Start> {
        match self.reset {
            OffsetReset::Earliest => Some(Start::Earliest),
            OffsetReset::Latest => Some(Start::Latest),
            OffsetReset::ByDuration(back) => {
                let back_ms = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
                Some(Start::Timestamp(SystemClock::new().now_ms().saturating_sub(back_ms)))
            }
            OffsetReset::None => None,
        }
    }

    /// As requests say it.
    pub(crate) fn isolation_level(&self) -> i8 {
        i8::from(self.isolation == IsolationLevel::ReadCommitted)
    }
}

/// What the application and the tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) kafka: Kafka,
    pub(crate) settings: Settings,
    pub(crate) group: Option<Arc<Group>>,
    /// Held for a few instructions; batches are decoded outside of it.
    assignment: Mutex<Assignment>,
    /// Rings when there may be something new to ask for.
    pub(crate) changed: Notify,
    /// Rings when there is room to fetch again, or the application has found nothing.
    pub(crate) room: Notify,
    /// Rings when the application has asked for something.
    pub(crate) polled: Notify,
    /// How often partitions were taken away or moved.
    moves: AtomicU64,
    pub(crate) interceptors: Interceptors,
    pub(crate) metrics: Metrics,
}

impl Shared {
    pub(crate) fn new(
        kafka: Kafka,
        settings: Settings,
        group: Option<Arc<Group>>,
        interceptors: Interceptors,
    ) -> Self {
        Self {
            kafka,
            settings,
            group,
            assignment: Mutex::default(),
            changed: Notify::new(),
            room: Notify::new(),
            polled: Notify::new(),
            moves: AtomicU64::new(0),
            interceptors,
            metrics: Metrics::default(),
        }
    }

    pub(crate) fn assignment(&self) -> MutexGuard<'_, Assignment> {
        self.assignment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Partitions were taken away or moved: what was read of them may no longer count.
    pub(crate) fn note_move(&self) {
        self.moves.fetch_add(1, Ordering::Release);
    }

    /// While this stays the same, whatever was read still counts. Cheap enough to be asked for
    /// each record.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    /// Tells the tasks that there may be something new to ask for.
    pub(crate) fn ring(&self) {
        self.changed.notify_waiters();
    }

    /// Tells the tasks that the application has asked for something, and perhaps taken it.
    pub(crate) fn was_polled(&self) {
        self.room.notify_waiters();
        self.polled.notify_waiters();
    }

    /// Tells the tasks that the application has taken a batch. Who fetches is told only if that made
    /// room: to be woken for each would cost more than the batch.
    pub(crate) fn took(&self) {
        if self.assignment().take_made_room() {
            self.room.notify_waiters();
        }
        self.polled.notify_waiters();
    }

    /// Waits until the application works on nothing of these partitions any more.
    pub(crate) async fn let_go(&self, places: &[Place]) {
        loop {
            let polled = self.polled.notified();
            if !self.assignment().is_in_hand(places) {
                break;
            }
            polled.await;
        }
    }

    /// Opens a batch for the application; none if it holds nothing for it.
    ///
    /// # Errors
    /// The batch is damaged. Nothing more is delivered from its partition before a seek.
    pub(crate) fn open(&self, place: &Place, fetched: &Fetched) -> Result<Option<ConsumerBatch>> {
        match ConsumerBatch::decode(place.clone(), fetched, &self.settings) {
            Ok(batch) if batch.records().is_empty() => Ok(None),
            Ok(mut batch) => {
                self.metrics.delivered(batch.records().len(), fetched.batch.bytes().len());
                self.interceptors.on_consume(&mut batch);
                Ok((!batch.records().is_empty()).then_some(batch))
            }
            Err(error) => {
                if let Some(cursor) = self.assignment().cursor_mut(place) {
                    cursor.stop_at(fetched);
                }
                Err(error)
            }
        }
    }

    /// Gives a partition its turn again.
    pub(crate) fn ready(&self, place: &Place) {
        let mut assignment = self.assignment();
        assignment.ready(place);
        self.deliver(assignment);
    }

    /// Wakes the application if there is something to deliver.
    pub(crate) fn deliver(&self, mut assignment: MutexGuard<'_, Assignment>) {
        let (waker, streams) = assignment.take_wakers(clock::now());
        drop(assignment);
        waker.into_iter().chain(streams).for_each(Waker::wake);
    }
}
