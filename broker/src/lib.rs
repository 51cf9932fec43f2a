//! The Kafka-compatible broker, as a library.
#![forbid(unsafe_code)]

pub mod config;
