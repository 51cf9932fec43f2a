//! Modes that speak the protocol themselves, with next to no work for the client.

mod batch;
pub(crate) mod fetch;
mod fetcher;
pub(crate) mod produce;
mod producer;
