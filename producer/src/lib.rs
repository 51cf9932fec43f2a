//! Sending records to Kafka.
//!
//! ```
//! use std::time::Duration;
//!
//! use klamm_client::{ClientConfig, Kafka};
//! use klamm_producer::{ProduceExt as _, Record};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = klamm_broker::Broker::builder().ephemeral().start().await?;
//! # let address = broker.bootstrap();
//! let kafka = Kafka::connect(ClientConfig::new(&address)).await?;
//! let producer = kafka.producer().build().await?;
//! let stored = producer.send(Record::to("orders").key("k").value("paid")).await?;
//! println!("{}-{} at {:?}", stored.topic, stored.partition, stored.offset);
//! producer.close(Duration::from_secs(30)).await?;
//! # broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How a record travels
//!
//! [`Producer::enqueue`] chooses a partition and writes the record straight into that partition's
//! open batch, under the partition's lock. A batch that is full is compressed there and then, by
//! the caller; one that is not is sealed when it has lingered. The sender takes sealed batches,
//! gives them sequence numbers, and sends one of each partition in a request to their leader. The
//! answer settles one receipt per batch, which every [`Delivery`] of its records looks at. Nothing
//! is allocated, sent through a channel or woken for a single record.
//!
//! # Tasks
//!
//! | task | owner | ends |
//! |---|---|---|
//! | `producer`: `send` | the [`Producer`] | when it is closed or dropped and all is settled |
//! | `connect`, `locate`, `identify`, `answer` | the sender | when a broker has answered |
//!
//! # Invariants
//!
//! - Batches of a partition are sent in the order in which they were begun; a retry does not
//!   overtake, unless idempotence is off and several requests are in flight.
//! - A sequence number is given anew only to what is certainly not in the log.
//! - Every accepted record's fate is told, if only that it is not known.
#![forbid(unsafe_code)]

mod accumulate;
mod choose;
mod judge;
mod lane;
#[cfg(test)]
mod lane_model;
mod ledger;
mod producer;
mod receipt;
mod record;
mod request;
mod sender;
mod sequence;
mod settings;
mod shared;
mod transaction;

pub use klamm_client::config::{Acks, Partitioner};
pub use klamm_client::{Error, GroupMetadata, Result};
pub use klamm_protocol::records::{Compression, Header};
pub use producer::{ProduceExt, Producer, ProducerBuilder, Refused, TryEnqueueError};
pub use receipt::{Delivery, RecordMetadata};
pub use record::Record;
pub use transaction::{Transaction, TransactionalProducer};
