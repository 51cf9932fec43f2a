//! A broker that cannot be reached yet.

use klamm_broker::Broker;
use tokio::net::{TcpListener, TcpStream};

use crate::harness::LOOPBACK;

/// An address at which nobody answers until the gate is opened.
pub(crate) struct Gate(TcpListener);

impl Gate {
    pub(crate) async fn closed() -> Self {
        Self(TcpListener::bind(LOOPBACK).await.unwrap())
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// From now on the broker answers there.
    pub(crate) fn open(self, broker: &Broker) {
        let broker = broker.bootstrap();
        tokio::spawn(async move {
            loop {
                let (mut from, _) = self.0.accept().await.unwrap();
                let mut to = TcpStream::connect(&broker).await.unwrap();
                tokio::spawn(async move {
                    // Who has given up meanwhile comes again.
                    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                });
            }
        });
    }
}
