//! Kafka's record batch, format version 2, as a view over shared bytes.
//!
//! A [`Batch`] is one whole batch as it travels and as it lies on disk: a header of 61 bytes and
//! a payload of records, compressed as one piece or not at all. A broker checks and stamps the
//! header and never looks at the payload; a client builds batches with [`BatchBuilder`] and reads
//! them with [`Batch::records`].
//!
//! The layout is that of Kafka's `DefaultRecordBatch.java` and `DefaultRecord.java`; control
//! batches are those of KIP-98. Message sets of versions 0 and 1 are refused: Kafka itself
//! dropped them in 4.0.
//!
//! ```
//! use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions, Compression};
//!
//! let options = BatchOptions { compression: Compression::Lz4, ..BatchOptions::default() };
//! let mut builder = BatchBuilder::new(options);
//! builder.push(1_700_000_000_000, Some(b"key"), Some(b"value"), &[])?;
//! let sent = builder.build(0)?.bytes().clone();
//!
//! let received = Batch::parse(sent)?;
//! received.check_produced()?;
//! for record in received.records(1024)? {
//!     assert_eq!(record?.value.as_deref(), Some(&b"value"[..]));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//!
//! - No byte from network or disk can panic, or make a reader allocate more than is in proportion
//!   to the bytes that are present, plus the limit that the caller gave for decompression, plus
//!   what a codec needs to work: up to 12 MiB for LZ4, and for Zstandard a window, of which no
//!   more is touched than the limit and which a thread keeps for its next batch.
//! - A [`Batch`] holds exactly the bytes that its header announces.

mod attributes;
mod batch;
mod builder;
mod checksum;
mod compression;
mod control;
mod error;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod interop;
mod record;
mod retain;
mod varint;

pub use attributes::{Attributes, TimestampType};
pub use batch::{BATCH_HEADER_LEN, Batch, BatchHeader, Batches, LOG_OVERHEAD, batches};
pub use builder::{BatchBuilder, BatchOptions, BatchProducer};
pub use checksum::crc32c;
pub use compression::Compression;
pub use control::{EndTransaction, Outcome};
pub use error::{BatchError, BuildError, CompressionError, RecordError};
pub use record::{Header, Record, RecordIter};
