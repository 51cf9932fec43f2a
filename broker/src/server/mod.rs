//! The shell: sockets in, answers out. Nothing here knows what an API means.
//!
//! A connection is one task. It reads frames, has each dispatched as soon as the order of its
//! effects is fixed, and writes the answers in the order of the requests.

mod chunks;
mod complaints;
mod connection;
mod dispatch;
mod faulty;
mod gate;
mod limits;
mod listener;
mod memory;
mod pipeline;
mod reply;

pub(crate) use complaints::Complaints;
pub(crate) use dispatch::{SERVED, Served};
pub(crate) use gate::Gate;
pub(crate) use limits::Connections;
pub(crate) use listener::{HeldPorts, Listener};
pub(crate) use memory::RequestMemory;
pub(crate) use reply::Reply;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use klamm_protocol::wire::Str;

use crate::config::Address;
use crate::node::Node;

/// What a handler knows of the request beside its body.
#[derive(Clone)]
pub(crate) struct Call {
    /// The broker.
    pub(crate) node: Arc<Node>,
    /// Where the request came in.
    pub(crate) peer: Arc<Peer>,
    /// The version of the request and of its answer.
    pub(crate) version: i16,
    /// What the client calls itself; empty if it does not.
    pub(crate) client_id: Str,
}

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// What clients of this listener are told to connect to.
    pub(crate) advertised: Address,
    /// What it said in its first ApiVersions.
    software: OnceLock<Software>,
}

/// What a client calls its library; empty until it does.
#[derive(Debug, Default)]
pub(crate) struct Software {
    pub(crate) name: Str,
    pub(crate) version: Str,
}

impl Peer {
    pub(crate) fn software(&self) -> &Software {
        static UNKNOWN: Software =
            Software { name: Str::from_static(""), version: Str::from_static("") };
        self.software.get().unwrap_or(&UNKNOWN)
    }

    /// Notes what a client calls its library, the first time that it does.
    pub(crate) fn note_software(&self, name: &Str, version: &Str) {
        // Kept for long: not to hold on to the bytes of a request.
        let software = || Software { name: name.detached(), version: version.detached() };
        self.software.get_or_init(software);
    }
}
