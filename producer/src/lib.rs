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
//! # Transactions
//!
//! A producer with a transactional id sends records, and commits offsets of groups, that are seen
//! together or not at all by those who read what is committed:
//!
//! ```
//! use std::time::Duration;
//!
//! use klamm_client::{ClientConfig, Kafka};
//! use klamm_producer::{GroupMetadata, ProduceExt as _, Record};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = klamm_broker::Broker::builder().ephemeral().start().await?;
//! # let address = broker.bootstrap();
//! let kafka = Kafka::connect(ClientConfig::new(&address)).await?;
//! let producer = kafka.producer().transactional_id("copier-1").build_transactional().await?;
//! # kafka.admin().create_topics(&[klamm_client::admin::NewTopic::new("orders")]).await?;
//! // A consumer that reads "orders" tells it: `consumer.group_metadata()`.
//! let group = GroupMetadata::outsider("copiers");
//!
//! let tx = producer.begin().await?;
//! tx.enqueue(Record::to("invoices").key("k").value("42.00")).await?;
//! tx.send_offsets(&group, [("orders".into(), 0, 17.into())]).await?;
//! match tx.commit().await {
//!     Ok(()) => println!("seen, all of it"),
//!     Err(error) if error.requires_abort() => println!("aborted: {error}"),
//!     Err(error) if error.is_fatal() => println!("another has taken our place: {error}"),
//!     Err(error) => println!("not known yet, as the next `begin` will tell: {error}"),
//! }
//! producer.close(Duration::from_secs(30)).await?;
//! # broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Transaction`] that is dropped is aborted in the background. What was sent need not be
//! waited for: the commit fails if one of its records does, and the transaction is aborted. Where
//! the cluster has `transaction.version` 2 (KIP-890), partitions join by being written to and each
//! transaction has an epoch of its own; otherwise the coordinator is told of them first (KIP-98).
//! `transaction.version.max=1` keeps to the older way.
//!
//! # Other ways
//!
//! [`Producer::sink`] takes records as the end of a stream. [`ProducerBuilder::interceptor`] lets an
//! application see every record and what became of it; [`TraceParent`] is one that has traces go on
//! where the record is read. [`Producer::metrics`] tells what was done.
//!
//! # How a record travels
//!
//! [`Producer::enqueue`] chooses a partition and writes the record straight into that partition's
//! open batch, under the partition's lock. A batch that is full is compressed there and then, by
//! the caller; one that is not is sealed when it has lingered. The sender takes sealed batches,
//! gives them sequence numbers, and sends one of each partition in a request to their leader. It is
//! a machine that waits for nothing: whoever has filled a batch has it do a round, and writes the
//! request itself; a task does so when an answer has come, or the time. While batches of several
//! records fill one after the other, and records may linger, those of a millisecond go together.
//! The answer settles one receipt per batch, which every [`Delivery`] of its records looks at.
//! Nothing is allocated, sent through a channel or woken for a single record.
//!
//! # Tasks
//!
//! | task | owner | ends |
//! |---|---|---|
//! | `producer`: `send` | the [`Producer`] | when it is closed or dropped and all is settled |
//! | `connect`, `locate`, `identify` | the sender | when a broker has answered |
//! | `include`, `end` | the sender | when the coordinator of the transactional id has answered |
//! | `offsets` | the [`Transaction`] | when the coordinator of the group has answered |
//!
//! # Invariants
//!
//! - Batches of a partition are sent in the order in which they were begun; a retry does not
//!   overtake, unless idempotence is off and several requests are in flight.
//! - A sequence number is given anew only to what is certainly not in the log.
//! - Batches of a partition are out by one connection at a time, and only one is until the broker
//!   has stored the producer's first there.
//! - A transaction ends when nothing of it is under way any more, and the next one begins when
//!   its end is known: nothing becomes part of another transaction than its own.
//! - Every accepted record's fate is told, if only that it is not known.
#![forbid(unsafe_code)]

mod accumulate;
mod builder;
mod choose;
mod interceptor;
mod judge;
mod lane;
#[cfg(test)]
mod lane_model;
mod ledger;
mod metrics;
mod partition_queue;
mod producer;
mod receipt;
mod record;
mod request;
mod sender;
mod sequence;
mod settings;
mod shared;
mod sink;
mod transaction;

pub use builder::{ProduceExt, ProducerBuilder};
pub use interceptor::{ProducerInterceptor, TraceParent};
pub use klamm_client::config::{Acks, Partitioner};
pub use klamm_client::{Error, GroupMetadata, Result};
pub use klamm_protocol::records::{Compression, Header};
pub use klamm_utils::metrics::Histogram;
pub use metrics::Snapshot;
pub use producer::{Producer, Refused, TryEnqueueError};
pub use receipt::{Delivery, RecordMetadata};
pub use record::{HeaderValue, Record};
pub use sink::RecordSink;
pub use transaction::{Transaction, TransactionalProducer};
