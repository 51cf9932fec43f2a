//! The committer threads: group commit.
//!
//! A log that has something to sync is queued once. While a sync runs, later appends gather, and
//! one following sync covers them all; latency follows the device by itself. Each log is synced
//! by one thread at a time, different logs by different threads. The queue holds each log of the
//! storage at most once (and at most once more with a deadline), which bounds it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use klamm_utils::clock::Clock;

use crate::log::LogInner;

/// The queue of logs that are to be synced.
#[derive(Debug)]
pub(crate) struct Committer {
    queue: Mutex<Queue>,
    /// Signalled when a log is queued or the threads are to end.
    wake: Condvar,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Queue {
    due: VecDeque<Arc<LogInner>>,
    /// By deadline; the number only tells equal deadlines apart.
    later: BTreeMap<(Duration, u64), Arc<LogInner>>,
    number: u64,
    ending: bool,
}

impl Committer {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { queue: Mutex::default(), wake: Condvar::new(), clock }
    }

    /// Starts the threads. They run until [`end`](Self::end).
    pub(crate) fn start(self: &Arc<Self>, threads: usize) -> io::Result<Vec<JoinHandle<()>>> {
        let start = |number| {
            let committer = self.clone();
            let name = format!("klamm-commit-{number}");
            thread::Builder::new().name(name).spawn(move || committer.run())
        };
        (0..threads.max(1)).map(start).collect()
    }

    /// Queues a log to be synced now.
    pub(crate) fn push(&self, log: Arc<LogInner>) {
        self.lock().due.push_back(log);
        self.wake.notify_one();
    }

    /// Queues a log to be synced after `delay`.
    pub(crate) fn push_later(&self, log: Arc<LogInner>, delay: Duration) {
        let mut queue = self.lock();
        queue.number += 1;
        let deadline = (self.clock.elapsed() + delay, queue.number);
        queue.later.insert(deadline, log);
        drop(queue);
        self.wake.notify_one();
    }

    /// Lets the threads end once nothing is due. What has a deadline is not waited for.
    pub(crate) fn end(&self) {
        let mut queue = self.lock();
        queue.ending = true;
        queue.later.clear();
        drop(queue);
        self.wake.notify_all();
    }

    fn run(&self) {
        let _guard = AbortOnPanic;
        while let Some(log) = self.next() {
            if log.sync() {
                self.push(log);
            }
        }
    }

    /// The next log to sync; `None` when the thread is to end.
    fn next(&self) -> Option<Arc<LogInner>> {
        let mut queue = self.lock();
        loop {
            let now = self.clock.elapsed();
            while let Some(first) = queue.later.first_entry().filter(|first| first.key().0 <= now) {
                let log = first.remove();
                if log.deadline_came() {
                    queue.due.push_back(log);
                }
            }
            if let Some(log) = queue.due.pop_front() {
                if !queue.due.is_empty() {
                    self.wake.notify_one();
                }
                return Some(log);
            }
            if queue.ending {
                return None;
            }
            let wait = queue.later.first_key_value().map(|(key, _)| key.0.saturating_sub(now));
            queue = match wait {
                Some(wait) => self.wake.wait_timeout(queue, wait).expect(UNBROKEN).0,
                None => self.wake.wait(queue).expect(UNBROKEN),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect(UNBROKEN)
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
