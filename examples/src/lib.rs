//! Programs to copy from, each a file of its own under `src/bin/`.
//!
//! | program | shows |
//! |---|---|
//! | `embedded` | a broker, a producer and a consumer in one process, as in a test |
//! | `group` | a member of a group that commits before its partitions go to others |
//! | `outage` | a test's broker that refuses, loses answers, and is killed under a producer |
//! | `topics` | making, describing and deleting topics on any Kafka |
//!
//! `cargo run -p klamm-examples --bin embedded`
#![forbid(unsafe_code)]
