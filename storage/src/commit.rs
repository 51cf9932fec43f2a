//! The committer threads: group commit.
//!
//! A log that has something to sync is queued once. While a sync runs, later appends gather, and
//! one following sync covers them all, which may wait a little for more (`log/company.rs`). Latency
//! follows the device by itself. Each log is synced by one thread at a time, different logs by different threads. The queue holds each log of the
//! storage at most once (and at most once more with a deadline), which bounds it.
//!
//! There are as many threads as syncs under way pay for, and one more that waits: a log that is
//! queued never waits for a thread to start. Work goes to the thread that became idle last; those
//! at the bottom get none while fewer do, and end after a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::Thread;
use std::time::Duration;
use std::{io, thread};

use klamm_utils::clock::Clock;

use crate::log::LogInner;
use crate::options::StorageOptions;

/// The queue of logs that are to be synced.
#[derive(Debug)]
pub(crate) struct Committer {
    queue: Mutex<Queue>,
    /// Signalled when a thread ends.
    ended: Condvar,
    threads_max: usize,
    /// How long a thread beyond the one that always waits stays without work.
    idle_max: Duration,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Queue {
    due: VecDeque<Arc<LogInner>>,
    /// By deadline; the number only tells equal deadlines apart.
    later: BTreeMap<(Duration, u64), Arc<LogInner>>,
    number: u64,
    /// Threads without work, the latest last.
    idle: Vec<Thread>,
    /// All threads there are.
    threads: usize,
    ending: bool,
}

impl Committer {
    /// A committer of which no thread runs yet.
    pub(crate) fn new(options: &StorageOptions, clock: Arc<dyn Clock>) -> Self {
        let (queue, ended) = (Mutex::default(), Condvar::new());
        let threads_max = options.committers_max.max(1);
        Self { queue, ended, threads_max, idle_max: options.committer_idle_max, clock }
    }

    /// Starts the first thread; the others follow as they are needed. They run until
    /// [`end`](Self::end).
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        self.lock().threads += 1;
        self.start_thread()
    }

    /// Queues a log to be synced now.
    pub(crate) fn push(&self, log: Arc<LogInner>) {
        let mut queue = self.lock();
        queue.due.push_back(log);
        queue.wake_one();
    }

    /// Queues a log to be synced after `delay`.
    pub(crate) fn push_later(&self, log: Arc<LogInner>, delay: Duration) {
        let mut queue = self.lock();
        queue.number += 1;
        let deadline = (self.clock.elapsed() + delay, queue.number);
        queue.later.insert(deadline, log);
        queue.wake_one();
    }

    /// Ends the threads once nothing is due, and waits for that. What has a deadline is not
    /// waited for.
    pub(crate) fn end(&self) {
        let mut queue = self.lock();
        queue.ending = true;
        queue.later.clear();
        queue.idle.drain(..).for_each(|thread| thread.unpark());
        drop(self.ended.wait_while(queue, |queue| queue.threads > 0).expect(UNBROKEN));
    }

    /// Starts a thread that is counted already.
    fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        let committer = self.clone();
        let started =
            thread::Builder::new().name("klamm-commit".to_owned()).spawn(move || committer.run());
        started.map(drop).inspect_err(|_| self.lock().threads -= 1)
    }

    fn run(self: &Arc<Self>) {
        let _guard = AbortOnPanic;
        while let Some(log) = self.next() {
            if log.sync() {
                self.push(log);
            }
        }
    }

    /// The next log to sync; `None` when the thread is to end, and is no longer counted.
    fn next(self: &Arc<Self>) -> Option<Arc<LogInner>> {
        let mut queue = self.lock();
        let idle_until = self.clock.elapsed() + self.idle_max;
        loop {
            let now = self.clock.elapsed();
            queue.bring_due(now);
            if let Some(log) = queue.due.pop_front() {
                self.leave_watch(queue);
                return Some(log);
            }
            let is_spare = !queue.idle.is_empty() && now >= idle_until;
            if queue.ending || is_spare {
                queue.threads -= 1;
                if !queue.later.is_empty() {
                    // Those that stay may sleep without a deadline: this one has watched it.
                    queue.wake_one();
                }
                self.ended.notify_all();
                return None;
            }
            let deadline = queue.later.first_key_value().map(|(key, _)| key.0);
            let idle_until = (!queue.idle.is_empty()).then_some(idle_until);
            let me = thread::current();
            queue.idle.push(me.clone());
            drop(queue);
            match deadline.into_iter().chain(idle_until).min() {
                Some(until) => thread::park_timeout(until.saturating_sub(now)),
                None => thread::park(),
            }
            queue = self.lock();
            queue.idle.retain(|thread| thread.id() != me.id());
        }
    }

    /// Sees to it that another thread waits for what comes, while this one is away with a sync.
    fn leave_watch(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        if !queue.idle.is_empty() {
            if !queue.due.is_empty() || !queue.later.is_empty() {
                queue.wake_one();
            }
        } else if queue.threads < self.threads_max && !queue.ending {
            queue.threads += 1;
            drop(queue);
            if let Err(error) = self.start_thread() {
                tracing::warn!(%error, "no further committer thread");
            }
        }
    }

    /// How many threads there are, and how many of them are without work.
    #[cfg(test)]
    pub(crate) fn threads(&self) -> (usize, usize) {
        let queue = self.lock();
        (queue.threads, queue.idle.len())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect(UNBROKEN)
    }
}

impl Queue {
    /// Queues the logs whose deadline came.
    fn bring_due(&mut self, now: Duration) {
        while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= now) {
            let log = first.remove();
            if log.deadline_came() {
                self.due.push_back(log);
            }
        }
    }

    fn wake_one(&mut self) {
        if let Some(thread) = self.idle.pop() {
            thread.unpark();
        }
    }
}

const UNBROKEN: &str = "no code panics while it holds the queue";

/// Ends the process when a committer panics: tickets would never resolve, and what the broker
/// says about durability would no longer be true.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("a committer thread panicked: nothing can be acknowledged any more");
            std::process::abort();
        }
    }
}
