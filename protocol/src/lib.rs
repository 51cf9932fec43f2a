//! The Kafka conversation as bytes and types. No I/O, no clock, no task.
//!
//! | module | what it gives |
//! |---|---|
//! | [`mod@api`] | every API as typed requests and responses, one file each |
//! | [`declare`] | the macro by which they are declared |
//! | [`wire`] | reading and writing of values |
//! | [`header`] | request and response headers, whole messages |
//! | [`frame`] | messages on a byte stream |
//! | [`inbox`] | the buffer that such a stream is read into |
//! | [`records`] | record batches |
//! | [`consumer_protocol`] | what the members of a consumer group tell each other |
//! | [`error_code`] | Kafka's error codes, one table |
#![forbid(unsafe_code)]

// So that `api!` works in other crates, too.
#[doc(hidden)]
pub use bytes;

pub mod api;
pub mod consumer_protocol;
pub mod declare;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod inbox;
pub mod records;
pub mod wire;
