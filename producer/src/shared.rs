//! What the callers of a producer and its sender share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use klamm_client::{Error, Kafka, Result, Subject, Topic};
use klamm_protocol::wire::Str;
use klamm_utils::backoff::Backoff;
use klamm_utils::clock::{self, Stamps, SystemClock};
use klamm_utils::random::Random;
use tokio::sync::Notify;

use crate::accumulate::{Appended, Moment, Queue, Sealed};
use crate::choose::{self, Sticky};
use crate::interceptor::Interceptors;
use crate::ledger::{Ledger, Room};
use crate::metrics::{Metrics, Snapshot};
use crate::partition_queue::PartitionQueue;
use crate::record::Record;
use crate::settings::Settings;
use crate::transaction::Transactions;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) kafka: Kafka,
    pub(crate) settings: Settings,
    pub(crate) interceptors: Option<Interceptors>,
    pub(crate) metrics: Metrics,
    /// Of a transactional producer.
    pub(crate) transactions: Option<Arc<Transactions>>,
    pub(crate) ledger: Arc<Ledger>,
    /// Rings when there is news for the sender.
    pub(crate) wake: Notify,
    stamps: Stamps,
    /// Read for every record, written when a topic is first used or has grown.
    topics: RwLock<BTreeMap<Str, Arc<TopicQueues>>>,
    /// Every queue there has been, by the number of its lane.
    queues: Mutex<Queues>,
    /// Touched when a batch begins or is full, not for every record.
    news: Mutex<News>,
    closed: AtomicBool,
    /// What has gone wrong in sending since something was stored last. Written when something does.
    trouble: Mutex<Option<Arc<Error>>>,
}

/// What the sender has not looked at yet.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Partitions with batches that can be sent.
    pub(crate) ready: Vec<Arc<PartitionQueue>>,
    /// Partitions in which a batch began, and when. All linger equally long, so that the first is
    /// the first that is due.
    pub(crate) lingering: VecDeque<Lingering>,
    /// Topics that were heard of too long ago.
    pub(crate) stale: Vec<Str>,
}

/// A partition in which a batch began.
#[derive(Debug)]
pub(crate) struct Lingering {
    pub(crate) began: Instant,
    /// Of which transaction.
    pub(crate) transaction: u64,
    pub(crate) queue: Arc<PartitionQueue>,
}

/// The queues of all partitions there have been.
#[derive(Debug, Default)]
struct Queues {
    all: Vec<Arc<PartitionQueue>>,
    /// The sender has ended.
    ended: bool,
}

/// The queues of one topic.
#[derive(Debug)]
pub(crate) struct TopicQueues {
    /// Those that there are, and behind them those that there were before the topic was made anew:
    /// if it grows, their lanes go on where they were.
    partitions: Vec<Arc<PartitionQueue>>,
    count: i32,
    sticky: Arc<Sticky>,
    heard: Instant,
    renewal: Mutex<Renewal>,
}

/// When a topic that was heard of too long ago is to be asked for again.
#[derive(Debug)]
struct Renewal {
    not_before: Instant,
    backoff: Backoff,
}

impl Shared {
    pub(crate) fn new(
        kafka: Kafka,
        settings: Settings,
        interceptors: Option<Interceptors>,
        transactions: Option<Arc<Transactions>>,
    ) -> Self {
        Self {
            kafka,
            interceptors,
            metrics: Metrics::default(),
            transactions,
            ledger: Ledger::new(settings.memory),
            settings,
            wake: Notify::new(),
            stamps: Stamps::new(SystemClock::new()),
            topics: RwLock::default(),
            queues: Mutex::default(),
            news: Mutex::default(),
            closed: AtomicBool::new(false),
            trouble: Mutex::default(),
        }
    }

    /// The queues of a record's topic, if they are known, however long: the sender asks again
    /// meanwhile. They are not if the partition that the record names may have come since.
    pub(crate) fn known(&self, record: &Record, now: Instant) -> Option<Arc<TopicQueues>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let queues = Arc::clone(topics.get(&record.topic)?);
        drop(topics);
        let age = now.saturating_duration_since(queues.heard);
        if age >= self.settings.retry.first && !queues.have_place_for(record) {
            return None;
        }
        if age >= self.settings.metadata_max_age && queues.renews(now) {
            self.news().stale.push(record.topic.clone());
            self.wake.notify_one();
        }
        Some(queues)
    }

    /// How old the news may be of a topic of which a record needs to know (more).
    pub(crate) fn age_max(&self, topic: &Str) -> Duration {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let settings = &self.settings;
        if topics.contains_key(topic) { settings.retry.first } else { settings.metadata_max_age }
    }

    /// Makes the queues of a topic, or more of them if it has grown.
    pub(crate) fn learn(&self, topic: &Topic) -> Arc<TopicQueues> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let known = topics.get(&topic.name);
        let mut partitions = match known {
            Some(known) => known.partitions.clone(),
            None => Vec::with_capacity(topic.partitions.len()),
        };
        for partition in topic.partitions.iter().skip(partitions.len()) {
            partitions.push(self.queue(&topic.name, partition.index));
        }
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        // To hear the same again is no reason to go to another partition.
        let sticky = known.filter(|known| known.count == count).map(|it| Arc::clone(&it.sticky));
        let to_choose_from = with_leaders(topic);
        let sticky = match sticky {
            Some(sticky) => {
                sticky.choose_from(to_choose_from);
                sticky
            }
            None => {
                let batch_size = self.settings.shape.batch_size;
                Arc::new(Sticky::new(Random::new(), to_choose_from, batch_size))
            }
        };
        let (heard, backoff) = (clock::now(), self.settings.retry.backoff());
        let renewal = Mutex::new(Renewal { not_before: heard, backoff });
        let queues = Arc::new(TopicQueues { partitions, count, sticky, heard, renewal });
        topics.insert(topic.name.clone(), Arc::clone(&queues));
        queues
    }

    /// A new queue.
    fn queue(&self, topic: &Str, partition: i32) -> Arc<PartitionQueue> {
        let queue = Queue::new(topic.clone(), partition, self.interceptors.clone());
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let (topic, lane) = (topic.clone(), queues.all.len());
        let queue = Arc::new(PartitionQueue::new(topic, partition, lane, queue));
        if queues.ended {
            queue.end();
        }
        queues.all.push(Arc::clone(&queue));
        queue
    }

    /// Whether records are accepted: outside of transactions, where the number is 0, or as part
    /// of this one.
    ///
    /// # Errors
    /// Why they are not.
    pub(crate) fn check(&self, transaction: u64) -> Result<()> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        match &self.transactions {
            None => Ok(()),
            Some(transactions) => transactions.look(|machine| machine.check(transaction)),
        }
    }

    /// What a record that is accepted now is part of, and when.
    pub(crate) fn moment(&self, now: Instant, transaction: u64) -> Moment {
        Moment { now, now_ms: self.stamps.at(now), transaction }
    }

    /// Writes a record into a batch of its partition. If a batch has begun or is full by that, it
    /// is to be [sent](crate::sender::post::Post::send).
    pub(crate) fn append(
        &self,
        queues: &TopicQueues,
        record: &Record,
        room: Room<'_>,
        moment: Moment,
    ) -> Result<Appended> {
        let (partition, is_sticky) = queues.choose(record, &self.settings);
        let subject = || Subject::Partition(record.topic.clone(), partition);
        let index = usize::try_from(partition).ok().filter(|_| partition < queues.count);
        let place = index.and_then(|index| queues.partitions.get(index));
        let count = usize::try_from(queues.count).unwrap_or(0);
        let place = place.ok_or_else(|| Error::NoPartition { subject: subject(), count })?;
        let (bytes, max) = (record.size_max(), self.settings.request_bytes_max);
        if bytes > max {
            return Err(Error::RecordTooLarge { subject: subject(), bytes, max });
        }
        let appended = place.append(record, room, &self.settings.shape, moment)?;
        if is_sticky {
            queues.sticky.gave(partition, appended.bytes, appended.sealed);
        }
        if appended.began || appended.sealed {
            let mut news = self.news();
            if appended.began {
                let (began, transaction) = (moment.now, moment.transaction);
                let queue = Arc::clone(place);
                news.lingering.push_back(Lingering { began, transaction, queue });
            }
            if appended.sealed {
                news.ready.push(Arc::clone(place));
            }
        }
        Ok(appended)
    }

    /// Lets every batch go that still lingers.
    pub(crate) fn seal_all(&self) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner).all.clone();
        let sealed = queues.into_iter().filter(|queue| queue.seal());
        let sealed: Vec<_> = sealed.collect();
        self.news().ready.extend(sealed);
        self.wake.notify_one();
    }

    /// Nothing is sent any more: gives up what the sender has not taken over, and lets nothing in.
    pub(crate) fn end(&self) {
        self.closed.store(true, Ordering::Release);
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.ended = true;
        let all = queues.all.clone();
        drop(queues);
        for queue in all {
            for made in &queue.end() {
                self.metrics.given_up(made.as_ref().map_or_else(|it| it.records, Sealed::records));
            }
        }
    }

    /// What the producer has done so far.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let count = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        self.metrics.read(count(self.ledger.taken()), count(self.ledger.unsettled()))
    }

    /// What has gone wrong in sending, if nothing was stored since.
    pub(crate) fn trouble(&self) -> Option<Arc<Error>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what goes wrong, or that something was stored again.
    pub(crate) fn set_trouble(&self, trouble: Option<Arc<Error>>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// How long a batch that is not full waits now: not at all while somebody waits for memory that
    /// what lingers holds.
    pub(crate) fn linger(&self) -> Duration {
        if self.ledger.is_short() { Duration::ZERO } else { self.settings.shape.linger }
    }

    pub(crate) fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets no more records in, and tells the sender to end when it has sent the last.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.seal_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The partitions that have a leader; all, if none has.
fn with_leaders(topic: &Topic) -> Vec<i32> {
    let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    let led: Vec<i32> = led.map(|partition| partition.index).collect();
    if led.is_empty() { topic.partitions.iter().map(|it| it.index).collect() } else { led }
}

impl TopicQueues {
    /// Whether it is time to ask again, for one of those who see that it is stale. An answer makes
    /// these queues new ones; where none comes, the next time is after a pause.
    fn renews(&self, now: Instant) -> bool {
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = renewal.not_before <= now;
        if is_due {
            renewal.not_before = now + renewal.backoff.next_pause();
        }
        is_due
    }

    /// Whether the partition that a record names, if it does, is there or never will be.
    fn have_place_for(&self, record: &Record) -> bool {
        record.partition.is_none_or(|partition| partition < self.count)
    }

    /// The partition of a record, and whether it is merely the one of the moment.
    fn choose(&self, record: &Record, settings: &Settings) -> (i32, bool) {
        if let Some(partition) = record.partition {
            return (partition, false);
        }
        match choose::by_key(settings.partitioner, record.key.as_deref(), self.count) {
            Some(partition) => (partition, false),
            None => (self.sticky.next(|partition| self.is_open(partition)), true),
        }
    }

    /// Whether a partition has a batch that is not full.
    fn is_open(&self, partition: i32) -> bool {
        let index = usize::try_from(partition).ok();
        let queue = index.and_then(|index| self.partitions.get(index));
        queue.is_some_and(|queue| queue.open_since().is_some())
    }
}
