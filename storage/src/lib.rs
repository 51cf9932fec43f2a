//! One partition log on one disk, in the on-disk format of Kafka.
//!
//! ```
//! # use std::sync::Arc;
//! # use klamm_protocol::records::{BatchBuilder, BatchOptions};
//! use klamm_storage::disk::MemoryDisk;
//! use klamm_storage::{Append, Bound, LogOptions, NoListener, Storage, TopicId};
//! use klamm_utils::clock::SystemClock;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let disk = Arc::new(MemoryDisk::new());
//! let clock = Arc::new(SystemClock::new());
//! let storage = Storage::open(disk, "/data".as_ref(), &Default::default(), clock)?;
//! let topic = TopicId([1; 16]);
//! let (log, _) = storage.open_log("t-0", topic, LogOptions::default(), Arc::new(NoListener))?;
//!
//! let mut batch = BatchBuilder::new(BatchOptions::default());
//! batch.push(1_700_000_000_000, None, Some(b"hello"), &[])?;
//! let ticket = log.enqueue(Append::new(0, vec![batch.build(0)?]))?;
//! assert_eq!(ticket.base_offset(), 0);
//! // Elsewhere: `ticket.await` says `Outcome::Committed` once the batch is synced.
//!
//! let slice = log.read(0, 1 << 20, true, Bound::End)?;
//! assert_eq!(slice.next_offset, 1);
//! storage.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it is about |
//! |---|---|
//! | `store` | the folder of all logs: lock, threads, opening, removing, the clean stop |
//! | `log` | one log: `append`, `sync`, `zeros`, `read`, `span`, `times`, `retention`, `change` |
//! | `ticket`, `commit` | what becomes of an append, and the threads that decide it |
//! | `segment`, `scan` | one segment, and the walk over its batches |
//! | `index`, `recent` | its indexes, and their entries that are not in a file yet |
//! | `compaction` | of each key the newest record: what stays, the rewrite, the swap |
//! | `recover`, `durable`, `summary` | opening, after a crash and after a clean stop |
//! | `epochs`, `topic_id`, [`checkpoint`] | the small files |
//! | [`verify`] | looking at files without opening them |
//! | [`disk`] | the seam to the machine, with a disk that forgets and one that fails |
//!
//! `FORMAT.md` states every byte on disk.
//!
//! # Invariants
//!
//! - `start <= stable <= high watermark <= end`, always.
//! - An append's order is fixed by [`Log::enqueue`] and by nothing later. No other code assigns
//!   offsets.
//! - With [`Durability::Synced`] nobody sees a record, and no ticket says committed, before a sync
//!   that began after its write has ended well.
//! - The durable point never vouches for bytes that no sync covered. (It did once, when recovery
//!   left unsynced bytes under a log that is not synced; now recovery syncs what it read.)
//! - After a failed write or sync a log takes no appends until [`Log::recover`]. What is committed
//!   stays readable. Only a full disk is forgiven, when what it left could be cut off.
//! - What lies below the durable point is never cut off, whatever it looks like; what lies above
//!   it is never served before recovery has read it.
//! - As far as the durability of a log promises, an offset that was visible is never given to
//!   another record, unless the owner cuts the log ([`Log::truncate`]).
//! - No byte read from a disk is trusted: none makes this crate panic, or take more memory than
//!   the file is large.
//! - Compaction moves no offset, changes neither the start nor the end, and of each key the newest
//!   record stays. Until the segment that takes their place is durable, the old ones are there.
//! - Indexes are caches. A failure to write one never fails an append.
//! - A [`Span`] is sent only while its bytes are in memory and count as verified. What was cut off
//!   is not sent, even if something else has come in its place.
//! - There is no request, response or error code here, no async runtime, and no sleep.
//! - There is no lock that all logs share on the path of an append, but for the moment in which a
//!   log that has nothing queued is handed to the committer.
//! - Nothing is written through a mapping, and no file that can still change is mapped.
//!
//! # Threads
//!
//! [`Storage`] owns them all. They end when it is closed or dropped.
//!
//! | thread | does | ends |
//! |---|---|---|
//! | `klamm-commit`, as many as pay | syncs, raises high watermarks, resolves tickets | once nothing is due |
//! | `klamm-sweep` | removes files of deleted segments and logs | at once |
//!
//! A panic in a committer ends the process: nothing could be acknowledged any more.

#![deny(unsafe_code)]

mod buffers;
pub mod checkpoint;
mod commit;
mod compaction;
mod core;
pub mod disk;
mod durable;
mod epochs;
mod error;
mod index;
mod log;
mod notes;
mod offsets;
mod options;
mod recent;
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

pub use compaction::{CompactError, CompactOptions, Compacted, Pace};
pub use error::{AppendError, ChangeError, Corrupt, DiskError, OpenError, ReadError};
pub use log::{
    AbortedTransaction, Append, CommitListener, Log, NoListener, SegmentInfo, Slice, Span,
    TimestampedOffset,
};
pub use offsets::{Bound, EndOffset, HighWatermark, Offsets, StableOffset, StartOffset};
pub use options::{Durability, LogOptions, StorageOptions, VerifyReads};
pub use recover::{CutTail, RecoveryReport};
pub use scan::Damage;
pub use store::{NAME_LEN_MAX, Storage};
pub use ticket::{Outcome, Ticket};
pub use topic_id::TopicId;
