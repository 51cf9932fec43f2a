//! The bus within one process.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use klamm_utils::clock;
use tokio::sync::mpsc;

use super::Heard;

/// Channels and who listens to them; clones are handles to the same.
#[derive(Clone, Debug, Default)]
pub struct MemoryBus(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    channels: HashMap<Arc<str>, HashMap<u64, mpsc::Sender<Heard>>>,
    claims: HashMap<String, Instant>,
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
