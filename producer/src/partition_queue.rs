//! The queue of one partition, which callers fill and the sender empties.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use klamm_client::Result;
use klamm_protocol::wire::Str;

use crate::accumulate::{Appended, Made, Moment, Queue, Shape};
use crate::ledger::Room;
use crate::record::Record;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct PartitionQueue {
    pub(crate) topic: Str,
    pub(crate) partition: i32,
    /// The number of its lane.
    pub(crate) lane: usize,
    /// Held while a record is written into its batch, and while a full batch is compressed: by
    /// its caller, so that those who produce pay for it and not the one sender.
    queue: Mutex<Queue>,
    /// Never held for long, though the queue be busy. Taken after that.
    tray: Mutex<Tray>,
}

/// What the sender sees of a queue.
#[derive(Debug, Default)]
struct Tray {
    sealed: VecDeque<Made>,
    open_since: Option<Instant>,
}

impl PartitionQueue {
    /// An empty one.
    pub(crate) fn new(topic: Str, partition: i32, lane: usize, queue: Queue) -> Self {
        Self { topic, partition, lane, queue: Mutex::new(queue), tray: Mutex::default() }
    }

    /// Writes a record into the open batch.
    pub(crate) fn append(
        &self,
        record: &Record,
        room: Room<'_>,
        shape: &Shape,
        moment: Moment,
    ) -> Result<Appended> {
        let mut queue = self.queue();
        let appended = queue.append(record, room, shape, moment)?;
        if appended.began || appended.sealed {
            self.show(&mut queue);
        }
        Ok(appended)
    }

    /// Seals the open batch; tells whether there was one.
    pub(crate) fn seal(&self) -> bool {
        let mut queue = self.queue();
        let was_open = queue.seal();
        self.show(&mut queue);
        was_open
    }

    /// Seals the open batch if it began at `moment` or before.
    pub(crate) fn seal_if_began_by(&self, moment: Instant) {
        let mut queue = self.queue();
        queue.seal_if_began_by(moment);
        self.show(&mut queue);
    }

    /// Takes no more records. Gives what was not taken over, to be given up.
    pub(crate) fn end(&self) -> VecDeque<Made> {
        let mut queue = self.queue();
        let mut left = std::mem::take(&mut *self.tray()).sealed;
        left.extend(queue.end());
        left
    }

    /// When the batch began that is open, or being sealed.
    pub(crate) fn open_since(&self) -> Option<Instant> {
        self.tray().open_since
    }

    /// What was sealed, in order, and when the batch began that is open.
    pub(crate) fn take_sealed(&self) -> (VecDeque<Made>, Option<Instant>) {
        let mut tray = self.tray();
        (std::mem::take(&mut tray.sealed), tray.open_since)
    }

    /// Has the sender see what has become of the queue.
    fn show(&self, queue: &mut Queue) {
        let mut tray = self.tray();
        tray.sealed.extend(queue.take_sealed());
        tray.open_since = queue.open_since();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tray(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
