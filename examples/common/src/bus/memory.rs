//! The bus within one process.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use klamm_utils::clock;
use tokio::sync::mpsc;

use super::{Counted, Heard};

/// Channels and who listens to them; clones are handles to the same.
#[derive(Clone, Debug, Default)]
pub struct MemoryBus(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    channels: HashMap<Arc<str>, HashMap<u64, mpsc::Sender<Heard>>>,
    claims: HashMap<String, Instant>,
    counts: HashMap<String, (u64, Instant)>,
    /// How many counts there may be before those that are over are forgotten.
    counts_max: usize,
    next_ear: u64,
}

/// Leaves its channels when it is dropped.
#[derive(Debug)]
pub(super) struct Ear {
    bus: MemoryBus,
    id: u64,
    sender: mpsc::Sender<Heard>,
}

impl MemoryBus {
    pub(super) fn publish(&self, channel: &str, payload: &Bytes) {
        let state = self.state();
        let Some((channel, ears)) = state.channels.get_key_value(channel) else { return };
        for ear in ears.values() {
            // One that is too slow misses it, as `Bus` says.
            let _ = ear.try_send(Heard { channel: Arc::clone(channel), payload: payload.clone() });
        }
    }

    pub(super) fn ear(&self, sender: mpsc::Sender<Heard>) -> Ear {
        let mut state = self.state();
        state.next_ear += 1;
        Ear { bus: self.clone(), id: state.next_ear, sender }
    }

    pub(super) fn claim(&self, name: &str, lifetime: Duration) -> bool {
        let now = clock::now();
        let mut state = self.state();
        state.claims.retain(|_, until| *until > now);
        match state.claims.contains_key(name) {
            true => false,
            false => state.claims.insert(name.to_owned(), now + lifetime).is_none(),
        }
    }

    pub(crate) fn count(&self, name: &str, lifetime: Duration) -> Counted {
        let now = clock::now();
        let mut state = self.state();
        if state.counts.len() > state.counts_max {
            state.counts.retain(|_, (_, until)| *until > now);
            state.counts_max = 2 * state.counts.len() + 1_000;
        }
        let (count, until) = state.counts.entry(name.to_owned()).or_insert((0, now + lifetime));
        if *until <= now {
            (*count, *until) = (0, now + lifetime);
        }
        *count += 1;
        Counted { count: *count, left: *until - now }
    }

    pub(crate) fn uncount(&self, name: &str) {
        if let Some((count, _)) = self.state().counts.get_mut(name) {
            *count = count.saturating_sub(1);
        }
    }

    /// Nothing in here panics or waits.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    pub(super) fn listen_to(&self, wanted: HashSet<Arc<str>>) {
        let mut state = self.bus.state();
        state.channels.retain(|channel, ears| {
            if !wanted.contains(channel) {
                ears.remove(&self.id);
            }
            !ears.is_empty()
        });
        for channel in wanted {
            state.channels.entry(channel).or_default().insert(self.id, self.sender.clone());
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.listen_to(HashSet::new());
    }
}
