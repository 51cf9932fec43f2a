//! How many connections there may be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::ConnectionLimits;

/// Counts connections, in all and by address.
///
/// Guarded by a mutex that is held for a map look-up, once when a connection comes and once when
/// it goes.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: ConnectionLimits,
    open: Mutex<Open>,
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
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default() })
    }

    /// Lets a connection in, or says which limit it breaks. The limit by address does not hold
    /// for the machine itself: an administrator there must always get in.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, &'static str> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.limits.count_max {
            return Err("max.connections is reached");
        }
        let allowed = self.limits.per_ip_exceptions.get(&address).copied();
        let allowed = allowed.or((!address.is_loopback()).then_some(self.limits.per_ip_max));
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
        let mut config = crate::config::BrokerConfig::default().connections;
        (config.count_max, config.per_ip_max) = (3, 2);
        let limits = Connections::new(config);
        let far = IpAddr::from([10, 0, 0, 1]);
        let near = IpAddr::from([127, 0, 0, 1]);
        let first = limits.admit(far).unwrap();
        let _second = limits.admit(far).unwrap();
        assert_eq!(limits.admit(far).unwrap_err(), "max.connections.per.ip is reached");
        let _third = limits.admit(near).unwrap();
        assert_eq!(limits.admit(near).unwrap_err(), "max.connections is reached");
        drop(first);
        assert_eq!(limits.open(), 2);
        assert!(limits.admit(far).is_ok());
        assert_eq!(limits.open(), 2);
    }
}
