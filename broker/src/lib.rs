//! The Kafka-compatible broker, as a library.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), klamm_broker::StartError> {
//! let broker = klamm_broker::Broker::builder().ephemeral().start().await?;
//! println!("connect any Kafka client to {}", broker.bootstrap());
//! broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Tasks
//!
//! Each is started through the broker's `TaskGroup` and ends when it is told to stop.
//!
//! | task | how many | owns | ends |
//! |---|---|---|---|
//! | `accept` | one a socket | the listening socket | at stop |
//! | `connection` | one a connection | the socket, the requests in flight | with the connection; at stop, once its answers are written |
//! | `http` | one | the HTTP socket | at stop |
//! | `groups` | one a partition of `__consumer_offsets` that is in use | its groups and offsets | with the partition; at stop, once what it appended is durable |
//! | `transactions` | one a partition of `__transaction_state` that is in use | its transactional ids | with the partition; at stop, once what it appended is durable |
//! | `markers` | one a transaction whose end is being told | nothing | when all markers are durable; before its shard reads its log anew; at stop |
//! | `housekeeping` | one | nothing | at stop |
//! | `cleaner` | one | nothing | at stop |
//!
//! Storage has threads of its own: see [`klamm_storage`].
//!
//! # Invariants
//!
//! - A partition is the only writer of its log.
//! - Nothing waits while it holds a lock, except for the page cache.
//! - A handler fixes the order of its effects before it waits; answers leave in the order of the
//!   requests.
//! - No handler assumes that this is the only broker there will ever be: node id, cluster id and
//!   advertised address are configuration.
//! - No byte that a client sends can do more than end its own connection.
#![forbid(unsafe_code)]

mod api;
mod broker;
mod builder;
pub mod catalog;
mod changes;
mod cleaner;
pub mod config;
pub mod faults;
pub mod group;
mod housekeeping;
mod http;
mod metrics;
mod node;
mod partition;
mod producer_ids;
mod server;
mod shard;
mod telemetry;
mod topics;
pub mod txn;

pub use broker::{Broker, StoppedBroker};
pub use builder::{BrokerBuilder, StartError};
