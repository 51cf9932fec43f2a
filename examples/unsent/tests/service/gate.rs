//! A broker that cannot be reached yet.

use klamm_broker::Broker;
use klamm_utils::task::TaskGroup;
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

    /// From now on the broker answers there, until the tasks stop.
    pub(crate) fn open(self, broker: &Broker) -> TaskGroup {
        let (tasks, broker) = (TaskGroup::new("gate"), broker.bootstrap());
        let gate = tasks.clone();
        tasks.spawn("accept", async move {
            loop {
                let (from, _) = tokio::select! {
                    accepted = self.0.accept() => accepted.unwrap(),
                    () = gate.stopping() => return,
                };
                let to = TcpStream::connect(&broker).await.unwrap();
                gate.spawn("connection", pass(from, to, gate.clone()));
            }
        });
        tasks
    }
}

async fn pass(mut from: TcpStream, mut to: TcpStream, gate: TaskGroup) {
    tokio::select! {
        // Who has given up meanwhile comes again.
        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
        () = gate.stopping() => {}
    }
}
