//! Connections to Kafka, cluster metadata and the admin client.
#![forbid(unsafe_code)]
