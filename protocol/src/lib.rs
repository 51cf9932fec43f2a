//! The Kafka conversation as bytes and types.
#![forbid(unsafe_code)]
