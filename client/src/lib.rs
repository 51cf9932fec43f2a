//! Connections to Kafka, cluster metadata and the admin client.
//!
//! ```
//! use klamm_client::admin::NewTopic;
//! use klamm_client::{ClientConfig, Kafka};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = klamm_broker::Broker::builder().ephemeral().start().await?;
//! # let address = broker.bootstrap();
//! let kafka = Kafka::connect(ClientConfig::new(&address).client_id("orders")).await?;
//! let admin = kafka.admin();
//! for (topic, created) in admin.create_topics(&[NewTopic::new("orders").partitions(6)]).await? {
//!     println!("{topic}: {created:?}");
//! }
//! # broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it gives |
//! |---|---|
//! | [`config`] | settings: typed, and by the names of Kafka and librdkafka |
//! | [`Kafka`] | one connection per broker, metadata, shared by all that is made from it |
//! | [`Connection`] | typed, pipelined requests in negotiated versions |
//! | [`admin`] | topics, groups, configurations, offsets, brokers |
//! | [`sasl`] | tokens for OAUTHBEARER, and why authentication fails |
//! | [`Error`] | what can go wrong, and whether trying again helps |
//!
//! # Tasks
//!
//! | task | owner | ends |
//! |---|---|---|
//! | `read`, `write` | one [`Connection`] | when the last clone goes, or the socket fails |
//! | `authenticate` | one [`Connection`] | likewise; only where a session of SASL ends |
//!
//! Callers write their requests themselves as long as the socket takes them; `write` writes what it
//! does not take at once.
//!
//! # Invariants
//!
//! - A caller may be dropped at any await: no answer is ever given to another caller.
//! - A connection that failed stays failed. [`Kafka`] opens a new one, after a pause that grows.
//! - Nothing secret is printed: not by [`ClientConfig`], not in an error, not in the log.
#![forbid(unsafe_code)]

pub mod admin;
mod answer;
mod cluster;
pub mod config;
mod connection;
mod coordinator;
mod dial;
mod error;
#[cfg(test)]
mod fake;
pub mod group_offsets;
mod heard;
mod idle;
mod link;
mod metadata;
pub mod sasl;
mod slot;
mod socks;
mod tls;
mod together;
mod versions;
mod wanted;

pub use answer::{Answer, Origin};
pub use cluster::Kafka;
pub use config::{ClientConfig, ConfigError};
pub use connection::{Connection, Going, Pending, Turn};
pub use coordinator::CoordinatorKind;
pub use error::{Error, Result, Subject};
pub use group_offsets::GroupMetadata;
pub use metadata::{Broker, Metadata, Partition, Topic};
pub use sasl::AuthenticationError;
pub use tls::TlsError;
pub use versions::Versions;
