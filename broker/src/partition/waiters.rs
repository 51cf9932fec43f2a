//! Those who wait for a partition to change: the one place that knows why to wake.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Who is to be woken when a partition's committed end moves or the partition goes away.
///
/// Guarded by a mutex that is held to push, remove or walk a short list.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: Mutex<Vec<Arc<Notify>>>,
}

impl Waiters {
    /// Wakes everyone. They look for themselves whether it was for them.
    pub(crate) fn wake(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().for_each(|waiter| waiter.notify_one());
    }

    fn add(&self, waiter: &Arc<Notify>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(waiter));
    }

    fn remove(&self, waiter: &Arc<Notify>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = waiting.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            waiting.swap_remove(place);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Anything that has waiters.
pub(crate) trait Awaited {
    fn waiters(&self) -> &Waiters;
}

/// One who waits for any of several; leaves all of them when dropped.
#[derive(Debug)]
pub(crate) struct Waiter<T: Awaited> {
    woken: Arc<Notify>,
    awaited: Vec<Arc<T>>,
}

impl<T: Awaited> Waiter<T> {
    /// Begins to wait. Register before the last look: what changes after this call is noticed.
    pub(crate) fn register(awaited: Vec<Arc<T>>) -> Self {
        let woken = Arc::new(Notify::new());
        awaited.iter().for_each(|one| one.waiters().add(&woken));
        Self { woken, awaited }
    }

    /// Resolves when something changed since it last resolved.
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl<T: Awaited> Drop for Waiter<T> {
    fn drop(&mut self) {
        self.awaited.iter().for_each(|one| one.waiters().remove(&self.woken));
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
    async fn a_change_after_registering_is_noticed() {
        let things = [Arc::new(Thing::default()), Arc::new(Thing::default())];
        let waiter = Waiter::register(things.to_vec());
        things[1].0.wake();
        waiter.woken().await;
        drop(waiter);
        assert_eq!(things.map(|thing| thing.0.len()), [0, 0]);
    }
}
