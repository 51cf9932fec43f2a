//! What can be chosen about the storage and about one log.

use std::time::Duration;

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Committed means synced to the device; consumers see nothing else.
    #[default]
    Synced,
    /// Committed means written; synced within [`LogOptions::window`] or
    /// [`LogOptions::window_bytes`], whichever comes first.
    Interval,
    /// Committed means written to the operating system, which syncs when it likes.
    OsCached,
}

/// Which checksums a read verifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyReads {
    /// Those of batches that this process has neither appended nor verified yet, and of all that
    /// has to come from the device.
    #[default]
    Unseen,
    /// All.
    Always,
}

/// The settings of one log; may change while it is open. The names are those of Kafka's topic
/// settings and so are the defaults, except that logs are synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// `segment.bytes`: a segment rolls before it would outgrow this. An append that is larger gets
    /// a segment of its own.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment rolls when an append is this much later than its first batch.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: taken off `segment_ms`, by at most this much, differently for each
    /// segment, so that logs do not roll all at once.
    pub segment_jitter_ms: i64,
    /// `index.interval.bytes`: about how many bytes lie between two index entries.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: a segment rolls when an index has reached this size.
    pub index_bytes_max: u32,
    /// `retention.ms`: segments whose records are all older are deleted. `None` keeps them.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`: the oldest segments are deleted while the others are at least this
    /// large. `None` keeps them.
    pub retention_bytes: Option<u64>,
    /// `file.delete.delay.ms`: how long a deleted segment's files stay, for reads under way.
    pub file_delete_delay: Duration,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// With [`Durability::Interval`], the longest time between a write and its sync.
    pub window: Duration,
    /// With [`Durability::Interval`], the most bytes that may wait for a sync.
    pub window_bytes: u64,
    /// Which checksums are verified as batches are read, so that rot is an error here and not at
    /// the consumer.
    pub verify_reads: VerifyReads,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            index_interval_bytes: 4096,
            index_bytes_max: 10 << 20,
            retention_ms: Some(7 * 24 * 3_600_000),
            retention_bytes: None,
            file_delete_delay: Duration::from_secs(60),
            durability: Durability::Synced,
            window: Duration::from_secs(1),
            window_bytes: 64 << 20,
            verify_reads: VerifyReads::Unseen,
        }
    }
}

/// The settings of the storage as a whole; fixed while it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// Files that may be open at the same time, besides those a sync or a read holds.
    pub open_files_max: usize,
    /// The most syncs under way at a time, each on a thread of its own. One file is synced by one
    /// thread at a time.
    pub committers_max: usize,
    /// How long such a thread stays without work. One always does.
    pub committer_idle_max: Duration,
    /// The longest that a sync waits for the appends of clients whom the one before has answered,
    /// so that it covers theirs, too. Zero: not at all.
    pub gather_max: Duration,
}

impl Default for StorageOptions {
    fn default() -> Self {
        // What an answer and the next request take where syncs are what takes the time.
        let gather_max = Duration::from_micros(500);
        let committer_idle_max = Duration::from_secs(10);
        Self { open_files_max: 4096, committers_max: 64, committer_idle_max, gather_max }
    }
}
