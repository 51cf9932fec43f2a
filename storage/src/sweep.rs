//! The thread that removes files nobody needs any more, after the delay that readers are given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use klamm_utils::clock::Clock;

use crate::disk::{self, Disk};

/// Files and folders that wait to be removed. Each has a name that says so, so that what a crash
/// leaves is removed at the next start; the queue is bounded by what is on disk.
#[derive(Debug)]
pub(crate) struct Sweeper {
    queue: Mutex<Queue>,
    wake: Condvar,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Queue {
    /// By deadline; the number only tells equal deadlines apart.
    rubbish: BTreeMap<(Duration, u64), Rubbish>,
    number: u64,
    ending: bool,
}

/// Something to remove.
#[derive(Debug)]
pub(crate) enum Rubbish {
    File(PathBuf),
    Folder(PathBuf),
}

impl Sweeper {
    pub(crate) fn new(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Self {
        Self { queue: Mutex::default(), wake: Condvar::new(), disk, clock }
    }

    /// Starts the thread. It runs until [`end`](Self::end).
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let sweeper = self.clone();
        thread::Builder::new().name("klamm-sweep".to_owned()).spawn(move || sweeper.run())
    }

    /// Has something removed after `delay`.
    pub(crate) fn remove(&self, rubbish: Rubbish, delay: Duration) {
        let mut queue = self.lock();
        queue.number += 1;
        let deadline = (self.clock.elapsed() + delay, queue.number);
        queue.rubbish.insert(deadline, rubbish);
        drop(queue);
        self.wake.notify_one();
    }

    /// Lets the thread end now; what is queued stays.
    pub(crate) fn end(&self) {
        self.lock().ending = true;
        self.wake.notify_all();
    }

    /// Removes the files that are queued, before their time: for a clean stop, after which nobody
    /// reads them and the folders of logs are not looked into. Folders are found by the next start.
    pub(crate) fn remove_files(&self) {
        let rubbish = std::mem::take(&mut self.lock().rubbish);
        let files = rubbish.values().filter(|rubbish| matches!(rubbish, Rubbish::File(_)));
        files.for_each(|file| file.remove(&*self.disk));
    }

    fn run(&self) {
        while let Some(rubbish) = self.next() {
            rubbish.remove(&*self.disk);
        }
    }

    fn next(&self) -> Option<Rubbish> {
        let mut queue = self.lock();
        while !queue.ending {
            let now = self.clock.elapsed();
            queue = match queue.rubbish.first_entry() {
                Some(first) if first.key().0 <= now => return Some(first.remove()),
                Some(first) => {
                    let wait = first.key().0.saturating_sub(now);
                    self.wake.wait_timeout(queue, wait).expect(UNBROKEN).0
                }
                None => self.wake.wait(queue).expect(UNBROKEN),
            };
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect(UNBROKEN)
    }
}

const UNBROKEN: &str = "no code panics while it holds the queue";

impl Rubbish {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Folder(path) => path,
        }
    }

    pub(crate) fn remove(&self, disk: &dyn Disk) {
        let removed = match self {
            Self::File(path) => disk.remove_file(path),
            Self::Folder(path) => disk.remove_dir(path),
        };
        if let Err(error) = disk::found(removed) {
            let path = self.path().display();
            tracing::warn!(%path, %error, "not removed; to be tried again at the next start");
        }
    }
}
