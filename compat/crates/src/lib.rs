//! The client crates under foul weather and in large numbers, against any Kafka.
//!
//! | program | does |
//! |---|---|
//! | `storm` | produces, reads in groups and copies exactly once while connections break at random |
//! | `crowd` | a thousand producers and a thousand consumers in one process; or producers whose broker stands still |
//!
//! `compat/crates/storm` and `compat/crates/crowd` start a broker for them.
#![forbid(unsafe_code)]

pub mod crowd;
pub mod process;
pub mod proxy;
pub mod storm;
