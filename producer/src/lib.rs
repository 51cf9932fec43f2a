//! Sending records to Kafka.
#![forbid(unsafe_code)]
