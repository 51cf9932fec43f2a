//! Who wrote to me while I was away, in one read.
//!
//! See the README for how it works. For other services: [`wire`] has the records of the topic, and
//! [`topics::create`] makes it.
#![forbid(unsafe_code)]

mod auxiliary;
mod begin;
mod cache;
pub mod config;
pub mod consumer;
mod expiry;
mod fill;
mod follower;
pub mod keys;
mod marks;
mod metrics;
mod partition;
pub mod producer;
mod records;
mod reports;
mod states;
mod sweep;
pub mod topics;
mod view;
mod waiting;
pub mod wire;
mod worker;
