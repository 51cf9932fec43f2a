//! How many pages a user and an address have open here. A place is taken before a page is opened, so
//! that many at once cannot all pass.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use common::http::network_of;
use uuid::Uuid;

/// The places of one instance.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    of_users: HashMap<Uuid, usize>,
    of_addresses: HashMap<IpAddr, usize>,
}

/// How many places there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) per_user: usize,
    pub(crate) per_address: usize,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    user: Uuid,
    address: IpAddr,
}

impl Places {
    /// A place for a page of this user from this address, if both have one left.
    pub(crate) fn take(self: &Arc<Self>, user: Uuid, from: IpAddr, most: Most) -> Option<Place> {
        let address = network_of(from);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |count: Option<&usize>| count.copied().unwrap_or(0);
        if count(taken.of_users.get(&user)) >= most.per_user
            || count(taken.of_addresses.get(&address)) >= most.per_address
        {
            return None;
        }
        *taken.of_users.entry(user).or_default() += 1;
        *taken.of_addresses.entry(address).or_default() += 1;
        Some(Place { places: Arc::clone(self), user, address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        give_back(&mut taken.of_users, &self.user);
        give_back(&mut taken.of_addresses, &self.address);
    }
}

fn give_back<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_before_it_is_used_and_given_back_after() {
        let places = Arc::new(Places::default());
        let most = Most { per_user: 2, per_address: 3 };
        let (alice, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let from = |last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        let first = places.take(alice, from(1), most).unwrap();
        let _second = places.take(alice, from(2), most).unwrap();
        assert!(places.take(alice, from(3), most).is_none());
        let _third = places.take(bob, from(4), most).unwrap();
        assert!(places.take(bob, from(5), most).is_none(), "of one network");
        drop(first);
        places.take(bob, from(5), most).unwrap();
        assert_eq!(places.0.lock().unwrap().of_users.len(), 2);
    }
}
