//! Receiving records from Kafka.
//!
//! Consumers of one group share the partitions of the topics that they subscribe to:
//!
//! ```
//! use std::time::Duration;
//!
//! use klamm_client::{ClientConfig, Kafka};
//! use klamm_consumer::{ConsumeExt as _, OffsetReset};
//! # use klamm_producer::{ProduceExt as _, Record};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = klamm_broker::Broker::builder().ephemeral();
//! # let broker = broker.set("group.initial.rebalance.delay.ms", "0").start().await?;
//! # let address = broker.bootstrap();
//! let kafka = Kafka::connect(ClientConfig::new(&address)).await?;
//! # kafka.producer().build().await?.send(Record::to("orders").value("paid")).await?;
//! let mut consumer = kafka
//!     .consumer()
//!     .group("billing")
//!     .subscribe(["orders", r"re:audit\..*"])
//!     .auto_offset_reset(OffsetReset::Earliest)
//!     .build()
//!     .await?;
//! # let mut batches = 0;
//! loop {
//!     let batch = consumer.next_batch().await?;
//!     for record in &batch {
//!         println!("{}-{} {}", batch.topic(), batch.partition(), record.offset);
//!     }
//!     consumer.commit(batch.end()).await?;
//! #   batches += 1;
//! #   if batches == 1 { break; }
//! }
//! consumer.close(Duration::from_secs(30)).await?;
//! # broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! A consumer without a group chooses its partitions itself:
//!
//! ```
//! # use klamm_client::{ClientConfig, Kafka};
//! # use klamm_consumer::{ConsumeExt as _, Start};
//! # use klamm_producer::{ProduceExt as _, Record};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = klamm_broker::Broker::builder().ephemeral().start().await?;
//! # let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await?;
//! # kafka.producer().build().await?.send(Record::to("orders").value("paid")).await?;
//! let mut consumer =
//!     kafka.consumer().assign_topic("orders", Start::Earliest).build().await?;
//! let batch = consumer.next_batch().await?;
//! # broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Groups
//!
//! - **Delivery.** A partition begins where the group has committed, otherwise where
//!   `auto.offset.reset` says. To ask for the next batch says that the one before has been worked
//!   on; until then its partition is not given to another member, as long as that takes no longer
//!   than `max.poll.interval.ms`.
//! - **Commits.** By default the consumer commits what has been worked on every
//!   `auto.commit.interval.ms`, before a partition goes to another member, and when it is closed.
//!   [`Consumer::commit`] takes [`ConsumerBatch::end`], or any other [`Position`], with metadata;
//!   [`Consumer::commit_delivered`] commits everything. What was delivered before a partition was
//!   taken away can no longer be committed: [`Error::NotAssigned`].
//! - **Rebalances** need no callbacks. Who wants to know of them reads [`Consumer::events`]: a
//!   [`ConsumerEvent::Revoking`] holds a [`Revocation`], and its partitions go to others when that
//!   is dropped, so that work can be finished and committed first. With
//!   [`Assignor::CooperativeSticky`] alone, partitions that do not move are read on meanwhile.
//! - **A task for each partition.** [`Consumer::partitions`] gives each partition as a
//!   [`PartitionStream`] that borrows nothing. It ends when its partition goes to another member,
//!   and that one waits until it is dropped or has committed.
//! - **Protocols.** With [`group_protocol`](ConsumerBuilder::group_protocol) (`group.protocol`)
//!   set to [`GroupProtocol::Consumer`] the group is one of KIP-848, which takes brokers of Kafka 4.0 or
//!   later: the broker assigns, and members that keep their partitions read on while others come
//!   and go. A group goes from one protocol to the other while its members are replaced.
//! - **Heartbeats** go on by themselves, however slow the application is. One that asks for
//!   nothing for `max.poll.interval.ms` loses its partitions, and is told by
//!   [`Error::PollInterval`]; the next call joins again.
//! - **Static members** ([`ConsumerBuilder::group_instance_id`]) may restart within their session
//!   without a rebalance. Of two with the same id the older is fenced in the classic protocol; in
//!   the consumer protocol the younger is refused while the older has not left.
//!
//! # How a record travels
//!
//! For each broker that leads an assigned partition a task asks for records, on a connection of
//! its own, and asks again before the application has taken what came: up to two answers of each
//! partition lie ready. [`Consumer::next_batch`] takes one batch, checks and decompresses it in
//! the caller's own time, and gives records that are slices of it.
//!
//! A batch is what its producer sent at once, and is never cut: `max.poll.records` has no effect.
//! Who wants one record at a time reads [`Consumer::stream`], in which each record taken is a sign
//! of life. How far a batch was taken counts as work done when the stream is dropped or the consumer
//! is closed, and all of it when a record of the next one is asked for.
//!
//! # Tasks
//!
//! | task | owner | ends |
//! |---|---|---|
//! | `lead` | the [`Consumer`] | when that is closed or dropped |
//! | `fetch`, one a broker | the same | likewise, or when the broker leads nothing |
//! | `begin`, which asks what was committed | the same | likewise |
//! | `commit`, where it commits by itself | the same | likewise, after a last commit |
//! | `member`, where it subscribes | the same | after `commit`, when it has left the group |
//!
//! # Invariants
//!
//! - What a broker says to a question asked before a seek or an assignment is not believed.
//! - A broker is not asked while one of its partitions is full, so that the request that waits for
//!   the others never keeps that one waiting; but streams of partitions neither wait for others nor
//!   keep them waiting.
//! - What the application may still be working on is not committed by itself, and what it has
//!   committed is not committed anew from before that.
//! - What an answer leaves out is as the broker last told: where brokers have sessions, requests
//!   and answers name only what changes.
//! - A member commits no partition that it does not have.
//! - In the consumer protocol a member has nothing but what the coordinator has given it, and takes
//!   nothing new before it has said what it has given up.
//! - The member is a pure machine (`group/machine`) driven by one task; nothing that the
//!   application does or leaves undone keeps that from sending heartbeats.
#![forbid(unsafe_code)]

mod assignment;
mod batch;
mod builder;
mod consumer;
mod cursor;
mod events;
mod fetcher;
mod group;
mod interceptor;
mod metrics;
mod offsets;
mod partitions;
mod position;
mod refusal;
mod session;
mod shared;

pub use batch::{ConsumerBatch, ConsumerRecord, ConsumerRecords};
pub use builder::{ConsumeExt, ConsumerBuilder};
pub use consumer::{Consumer, RecordStream};
pub use cursor::Start;
pub use events::{ConsumerEvent, ConsumerEvents, Revocation};
pub use interceptor::ConsumerInterceptor;
pub use klamm_client::config::{Assignor, GroupProtocol, IsolationLevel, OffsetReset};
pub use klamm_client::{Error, Result};
pub use klamm_protocol::records::{Header, Record};
pub use klamm_utils::metrics::Histogram;
pub use metrics::Snapshot;
pub use partitions::{PartitionStream, Partitions};
pub use position::Position;
