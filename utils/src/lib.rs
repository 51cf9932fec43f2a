//! What two Klamm crates need and no Kafka word describes.
//!
//! | module | what it gives |
//! |---|---|
//! | [`clock`] | the only source of time, so that tests can own it |
//! | [`task`] | the only way to start a task: with a name, an owner and an end |
//! | [`backoff`] | growing, jittered pauses between retries |
//! | [`episode`] | failures that last, told when they begin and end |
//! | [`cancel`] | dropping futures at each of their awaits, for tests |
//! | [`metrics`] | counters and histograms |
//! | [`random`] | the only source of chance |
//! | [`spelling`] | the name that was meant |
//! | [`hash`] | the hashes by which clients choose a partition |
//! | [`base64`] | bytes as text |
//! | [`uuid`] | identifiers of topics and clusters |
#![forbid(unsafe_code)]

pub mod backoff;
pub mod base64;
pub mod cancel;
pub mod clock;
pub mod episode;
pub mod hash;
pub mod metrics;
pub mod random;
pub mod spelling;
pub mod task;
pub mod uuid;
