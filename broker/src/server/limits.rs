//! How many connections there may be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::ConnectionLimits;

/// Places beyond `max.connections` for the machine itself. A tool may take two or three.
const RESERVED: usize = 8;

/// Counts connections, in all and by address.
///
/// Guarded by a mutex that is held for a map look-up, once when a connection comes and once when
/// it goes.
#[derive(Debug)]
pub(crate) struct Connections {
    open: Mutex<Open>,
    /// As many as the process can have open, whatever the settings say.
    possible: usize,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection that was let in; leaves when dropped.
#[derive(Debug)]
pub(super) struct Admission {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    pub(crate) fn new(possible: usize) -> Self {
        Self { open: Mutex::default(), possible }
    }

    /// Lets a connection in, or says which limit it breaks. For the machine itself there are a few
    /// places more, and the limit by address does not hold: an administrator there must always get
    /// in, if only to set another limit.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        limits: &ConnectionLimits,
    ) -> Result<Admission, &'static str> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let reserved = if address.is_loopback() { RESERVED } else { 0 };
        if open.total >= limits.count_max.saturating_add(reserved) {
            return Err("max.connections is reached");
        }
        if open.total >= self.possible.saturating_add(reserved) {
            return Err("the limit of open files is reached");
        }
        let allowed = limits.per_ip_exceptions.get(&address).copied();
        let allowed = allowed.or((!address.is_loopback()).then_some(limits.per_ip_max));
        let from_there = open.by_address.entry(address).or_default();
        if allowed.is_some_and(|allowed| *from_there >= allowed) {
            return Err("max.connections.per.ip is reached");
        }
        *from_there += 1;
        open.total += 1;
        Ok(Admission { connections: Arc::clone(self), address })
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(from_there) = open.by_address.get_mut(&self.address) {
            *from_there -= 1;
            if *from_there == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_places_come_back() {
        let mut limits = crate::config::BrokerConfig::default().connections;
        (limits.count_max, limits.per_ip_max) = (3, 2);
        let connections = Arc::new(Connections::new(usize::MAX));
        let far = IpAddr::from([10, 0, 0, 1]);
        let near = IpAddr::from([127, 0, 0, 1]);
        let first = connections.admit(far, &limits).unwrap();
        let _second = connections.admit(far, &limits).unwrap();
        let refused = connections.admit(far, &limits).unwrap_err();
        assert_eq!(refused, "max.connections.per.ip is reached");
        let _third = connections.admit(near, &limits).unwrap();
        let refused = connections.admit(IpAddr::from([10, 0, 0, 2]), &limits).unwrap_err();
        assert_eq!(refused, "max.connections is reached");
        drop(first);
        assert_eq!(connections.open(), 2);
        assert!(connections.admit(far, &limits).is_ok());
        assert_eq!(connections.open(), 2);
        limits.count_max = 2;
        assert!(connections.admit(far, &limits).is_err());
    }

    #[test]
    fn no_more_come_than_the_process_can_have_open() {
        let limits = crate::config::BrokerConfig::default().connections;
        let connections = Arc::new(Connections::new(2));
        let far = IpAddr::from([10, 0, 0, 1]);
        let _admitted = [(); 2].map(|()| connections.admit(far, &limits).unwrap());
        let refused = connections.admit(far, &limits).unwrap_err();
        assert_eq!(refused, "the limit of open files is reached");
        assert!(connections.admit(IpAddr::from([127, 0, 0, 1]), &limits).is_ok());
    }

    #[test]
    fn the_machine_itself_gets_in_whatever_the_limit() {
        let mut limits = crate::config::BrokerConfig::default().connections;
        limits.count_max = 0;
        let connections = Arc::new(Connections::new(usize::MAX));
        let near = IpAddr::from([127, 0, 0, 1]);
        let admitted: Vec<_> =
            std::iter::from_fn(|| connections.admit(near, &limits).ok()).collect();
        assert_eq!(admitted.len(), RESERVED);
        assert!(connections.admit(IpAddr::from([10, 0, 0, 1]), &limits).is_err());
    }
}
