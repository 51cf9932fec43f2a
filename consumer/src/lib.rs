//! Receiving records from Kafka.
#![forbid(unsafe_code)]
