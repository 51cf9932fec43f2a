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
//! # In tests
//!
//! An ephemeral broker is there within milliseconds, on free ports and with a folder of its own,
//! so that each test has one to itself. What happens to brokers in the field can be done to it:
//!
//! | call | what clients see |
//! |---|---|
//! | [`pause`](Broker::pause), [`resume`](Broker::resume) | connections that are taken and requests that are not answered, as under `SIGSTOP` |
//! | [`kill`](Broker::kill) | connections that are cut, new ones that are refused, as after `SIGKILL` |
//! | [`stop`](Broker::stop) | the same, after the answers to what they had sent |
//! | [`restart`](StoppedBroker::restart) | the broker again, at the same address with the same data |
//! | [`faults`](Broker::faults) | errors, late answers and lost connections, for one API, topic or partition |
//!
//! A program that must survive a broker which fails twice:
//!
//! ```
//! use klamm_broker::Broker;
//! use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
//! # async fn run_the_program(bootstrap: &str) -> Result<(), std::io::Error> {
//! #     use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//! #     for _ in 0..3 {
//! #         let mut stream = tokio::net::TcpStream::connect(bootstrap).await?;
//! #         // Heartbeat, version 0, of the member "" of the group "".
//! #         let request = [0, 0, 0, 18, 0, 12, 0, 0, 0, 0, 0, 1, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0];
//! #         stream.write_all(&request).await?;
//! #         let mut answer = [0; 10];
//! #         stream.read_exact(&mut answer).await?;
//! #     }
//! #     Ok(())
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::builder().ephemeral().start().await?;
//! let fault = Fault::error(ApiKey::Heartbeat, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS).times(2);
//! let fault = broker.faults().add(fault)?;
//!
//! run_the_program(&broker.bootstrap()).await?;
//! assert_eq!(fault.strikes(), 2, "it asked again");
//!
//! let broker = broker.kill().await.restart().await?;
//! run_the_program(&broker.bootstrap()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! `Produce` in place of `Heartbeat` is what most tests want; `examples/src/bin/outage.rs` shows it
//! with a producer.
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
//! | `http connection` | one a connection to it | that socket | when it has its one answer, or after a minute |
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
mod open_files;
mod partition;
mod producer_ids;
mod regex;
mod server;
mod shard;
mod telemetry;
mod topics;
pub mod txn;

pub use broker::{Broker, StoppedBroker};
pub use builder::{BrokerBuilder, StartError};
