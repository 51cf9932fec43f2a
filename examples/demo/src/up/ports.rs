//! Where services listen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// The ports of the services.
#[derive(Debug)]
pub(super) struct Ports {
    /// As the user wants them, by the names of the services.
    wanted: BTreeMap<String, u16>,
    /// Those that belong to a service, which may not listen yet.
    given: Mutex<BTreeSet<u16>>,
}

impl Ports {
    pub(super) fn new(wanted: impl IntoIterator<Item = (String, u16)>) -> Self {
        let wanted = BTreeMap::from_iter(wanted);
        let given = Mutex::new(wanted.values().copied().collect());
        Self { wanted, given }
    }

    /// Where the service `name` is to listen: a port of this machine that is free now, and that no
    /// other service was given.
    pub(super) fn place(&self, name: &str) -> io::Result<SocketAddr> {
        let port = match self.wanted.get(name) {
            Some(port) => *port,
            None => self.free()?,
        };
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    fn free(&self) -> io::Result<u16> {
        loop {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
                return Ok(port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_services_are_given_one_port() {
        let ports = Ports::new([("postgres".to_owned(), 5432)]);
        assert_eq!(ports.place("postgres").unwrap().port(), 5432);
        // Chance alone gives one twice among so many.
        let places = (0..2_000).map(|number| ports.place(&number.to_string()).unwrap());
        assert_eq!(places.collect::<BTreeSet<_>>().len(), 2_000);
    }
}
