//! Receiving records from Kafka.
//!
//! ```
//! use klamm_client::{ClientConfig, Kafka};
//! use klamm_consumer::{ConsumeExt as _, Start};
//! # use klamm_producer::{ProduceExt as _, Record};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = klamm_broker::Broker::builder().ephemeral().start().await?;
//! # let address = broker.bootstrap();
//! let kafka = Kafka::connect(ClientConfig::new(&address)).await?;
//! # kafka.producer().build().await?.send(Record::to("orders").value("paid")).await?;
//! let mut consumer =
//!     kafka.consumer().assign_topic("orders", Start::Earliest).build().await?;
//! let batch = consumer.next_batch().await?;
//! for record in &batch {
//!     println!("{}-{} {}", batch.topic(), batch.partition(), record.offset);
//! }
//! # broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How a record travels
//!
//! For each broker that leads an assigned partition a task asks for records, on a connection of
//! its own, and asks again before the application has taken what came: up to two answers of each
//! partition lie ready. [`Consumer::next_batch`] takes one batch, checks and decompresses it in
//! the caller's own time, and gives records that are slices of it.
//!
//! # Tasks
//!
//! | task | owner | ends |
//! |---|---|---|
//! | `lead` | the [`Consumer`] | when that is dropped |
//! | `fetch`, one a broker | the same | likewise, or when the broker leads nothing |
//!
//! # Invariants
//!
//! - What a broker says to a question asked before a seek or an assignment is not believed.
//! - A broker is not asked while one of its partitions is full, so that the request that waits for
//!   the others never keeps that one waiting.
#![forbid(unsafe_code)]

mod assignment;
mod batch;
mod consumer;
mod cursor;
mod fetcher;

pub use batch::{ConsumerBatch, ConsumerRecord, ConsumerRecords};
pub use consumer::{ConsumeExt, Consumer, ConsumerBuilder, RecordStream};
pub use cursor::Start;
pub use klamm_client::config::{IsolationLevel, OffsetReset};
pub use klamm_client::{Error, Result};
pub use klamm_protocol::records::{Header, Record};
