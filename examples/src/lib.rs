//! Programs to copy from, each a file of its own under `src/bin/`. Each is run by a test.
//!
//! | program | shows |
//! |---|---|
//! | `hello_producer` | the first thing to write: sending records |
//! | `hello_consumer` | the second: reading them in a group |
//! | `admin` | topics, settings, offsets and groups on any Kafka |
//! | `embedded` | a broker, a producer and a consumer in one process, as in a test |
//! | `group` | a member of a group that commits before its partitions go to others |
//! | `exactly_once` | a copy that has each record once, whoever is killed |
//! | `outage` | a test's broker that refuses, loses answers, and is killed under a producer |
//!
//! `cargo run -p klamm-examples --bin embedded`
#![forbid(unsafe_code)]

/// The examples of `docs/coming-from.md`, which are compiled and run as those of this crate.
#[doc = include_str!("../../docs/coming-from.md")]
#[cfg(doctest)]
pub struct ComingFrom;
