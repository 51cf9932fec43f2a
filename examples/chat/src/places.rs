//! How many sockets a user and an address have here.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::instance::Instance;

/// How many each has. Held to count only.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    addresses: HashMap<IpAddr, usize>,
    users: HashMap<Uuid, usize>,
}

impl Places {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the sockets that a user and an address may have; given back when it is dropped.
pub(crate) struct Place {
    pub(crate) instance: Arc<Instance>,
    address: IpAddr,
    user: Uuid,
}

impl Place {
    /// Takes a place, if one is left to both.
    pub(crate) fn take(instance: &Arc<Instance>, address: IpAddr, user: Uuid) -> Option<Self> {
        let settings = &instance.settings;
        let mut counts = instance.places.counts();
        let of_address = counts.addresses.get(&address).copied().unwrap_or(0);
        let of_user = counts.users.get(&user).copied().unwrap_or(0);
        if of_address >= settings.sockets_per_address || of_user >= settings.sockets_per_user {
            return None;
        }
        counts.addresses.insert(address, of_address + 1);
        counts.users.insert(user, of_user + 1);
        drop(counts);
        instance.metrics.sockets.inc();
        Some(Self { instance: Arc::clone(instance), address, user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.instance.places.counts();
        give_back(&mut counts.addresses, &self.address);
        give_back(&mut counts.users, &self.user);
        self.instance.metrics.sockets.dec();
    }
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, of: &K) {
    if let Some(count) = counts.get_mut(of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(of);
        }
    }
}
