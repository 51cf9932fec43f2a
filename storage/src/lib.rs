//! One partition log on one disk, in the on-disk format of Kafka.

#![deny(unsafe_code)]

pub mod checkpoint;
mod commit;
mod core;
pub mod disk;
mod durable;
mod epochs;
mod error;
mod index;
mod log;
mod offsets;
mod options;
mod recover;
mod scan;
mod segment;
mod store;
mod summary;
mod sweep;
#[cfg(test)]
mod tests;
mod ticket;
mod topic_id;
pub mod verify;

pub use error::{AppendError, ChangeError, Corrupt, DiskError, OpenError, ReadError};
pub use log::{Append, CommitListener, Log, NoListener, SegmentInfo, Slice, TimestampedOffset};
pub use offsets::{Bound, EndOffset, HighWatermark, Offsets, StableOffset, StartOffset};
pub use options::{Durability, LogOptions, StorageOptions};
pub use recover::{CutTail, RecoveryReport};
pub use scan::Damage;
pub use store::Storage;
pub use ticket::{Outcome, Ticket};
pub use topic_id::TopicId;
