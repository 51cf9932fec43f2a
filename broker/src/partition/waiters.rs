//! Those who wait for a partition to change: the one place that knows why to wake.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Who is to be woken when a partition's committed end moves or the partition goes away.
///
/// Guarded by a mutex that is held to push, remove or walk a short list.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: Mutex<Vec<Entry>>,
}

/// One who waits, and which of the things that it waits for this is.
#[derive(Debug)]
struct Entry {
    bell: Arc<Bell>,
    place: usize,
}

/// Says which of several things have changed.
#[derive(Debug, Default)]
struct Bell {
    /// Guarded by a mutex that is held to add one or to take all.
    changed: Mutex<BTreeSet<usize>>,
    rung: Notify,
}

impl Bell {
    fn ring(&self, place: usize) {
        self.changed().insert(place);
        self.rung.notify_one();
    }

    fn changed(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiters {
    /// Wakes everyone. They look for themselves whether it was for them.
    pub(crate) fn wake(&self) {
        self.waiting().iter().for_each(|entry| entry.bell.ring(entry.place));
    }

    fn remove(&self, bell: &Arc<Bell>) {
        let mut waiting = self.waiting();
        if let Some(at) = waiting.iter().position(|entry| Arc::ptr_eq(&entry.bell, bell)) {
            waiting.swap_remove(at);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Anything that has waiters.
pub(crate) trait Awaited {
    fn waiters(&self) -> &Waiters;
}

/// One who waits for any of several; leaves all of them when dropped.
#[derive(Debug)]
pub(crate) struct Waiter<T: Awaited> {
    bell: Arc<Bell>,
    awaited: Vec<(usize, Arc<T>)>,
}

impl<T: Awaited> Waiter<T> {
    /// Begins to wait for things, each with the number it is known by. Register before the last
    /// look: what changes after this call is noticed.
    pub(crate) fn register(awaited: Vec<(usize, Arc<T>)>) -> Self {
        let bell = Arc::new(Bell::default());
        for (place, one) in &awaited {
            one.waiters().waiting().push(Entry { bell: Arc::clone(&bell), place: *place });
        }
        Self { bell, awaited }
    }

    /// Resolves when something changed since it last resolved. Gives the numbers of what did.
    pub(crate) async fn changed(&self) -> BTreeSet<usize> {
        self.bell.rung.notified().await;
        std::mem::take(&mut *self.bell.changed())
    }
}

impl<T: Awaited> Drop for Waiter<T> {
    fn drop(&mut self) {
        self.awaited.iter().for_each(|(_, one)| one.waiters().remove(&self.bell));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Thing(Waiters);

    impl Awaited for Thing {
        fn waiters(&self) -> &Waiters {
            &self.0
        }
    }

    #[tokio::test]
    async fn a_change_after_registering_is_noticed_and_named() {
        let things = [Arc::new(Thing::default()), Arc::new(Thing::default())];
        let waiter = Waiter::register(things.iter().cloned().enumerate().collect());
        things[1].0.wake();
        things[1].0.wake();
        assert_eq!(waiter.changed().await, BTreeSet::from([1]));
        things[0].0.wake();
        assert_eq!(waiter.changed().await, BTreeSet::from([0]));
        drop(waiter);
        assert_eq!(things.map(|thing| thing.0.waiting().len()), [0, 0]);
    }
}
