//! The instances of one service, and how busy each is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The instances of one service. Cloning gives another handle to the same counts.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Members>);

#[derive(Debug)]
struct Members {
    instances: Vec<Instance>,
    /// Who is first among equals: each choice begins one further.
    turn: AtomicUsize,
}

/// One instance, and how many connections the proxy has to it.
#[derive(Clone, Debug)]
pub struct Instance {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
}

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub struct Lease(Arc<AtomicUsize>);

impl Pool {
    /// The instances at `addresses`.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let instance = |address| Instance { address, open: Arc::default() };
        let instances = addresses.into_iter().map(instance).collect();
        Self(Arc::new(Members { instances, turn: AtomicUsize::new(0) }))
    }

    /// All instances in the order in which to try them: the fewest connections first, equals in
    /// turn. One that is dead is not left out: to be refused by it takes less time than to ask
    /// after its health, and it is back at once when it listens again.
    #[must_use]
    pub fn by_load(&self) -> Vec<Instance> {
        let mut order = self.0.instances.clone();
        if !order.is_empty() {
            let turn = self.0.turn.fetch_add(1, Ordering::Relaxed) % order.len();
            order.rotate_left(turn);
        }
        order.sort_by_key(|instance| instance.open.load(Ordering::Relaxed));
        order
    }
}

impl Instance {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counts a connection.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.open.fetch_add(1, Ordering::Relaxed);
        Lease(Arc::clone(&self.open))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(pool: &Pool) -> Vec<u16> {
        pool.by_load().iter().map(|instance| instance.address().port()).collect()
    }

    fn three() -> Pool {
        Pool::new([1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port))))
    }

    #[test]
    fn equals_take_turns() {
        let pool = three();
        assert_eq!(ports(&pool), [1, 2, 3]);
        assert_eq!(ports(&pool), [2, 3, 1]);
        assert_eq!(ports(&pool), [3, 1, 2]);
        assert_eq!(ports(&pool), [1, 2, 3]);
    }

    #[test]
    fn the_least_busy_is_first_until_it_is_not() {
        let pool = three();
        let [first, second, _] = &pool.by_load()[..] else { panic!("three") };
        let long = (first.lease(), second.lease());
        let longer = first.lease();
        assert_eq!(ports(&pool), [3, 2, 1]);
        drop(long);
        drop(longer);
        assert_eq!(ports(&pool), [3, 1, 2]);
    }

    #[test]
    fn there_may_be_none() {
        assert!(Pool::new([]).by_load().is_empty());
    }
}
