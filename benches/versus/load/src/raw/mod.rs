//! Modes that speak the protocol themselves, with next to no work for the client.

mod batch;
pub(crate) mod both;
pub(crate) mod catch_up;
pub(crate) mod fetch;
mod fetcher;
pub(crate) mod ping_pong;
pub(crate) mod produce;
mod producer;
