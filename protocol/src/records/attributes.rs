//! The attribute bits of a batch.

use super::{BatchError, Compression};

const COMPRESSION: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// What the timestamps of a batch mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// Each record has the time its producer gave it.
    #[default]
    Create,
    /// All records have the time the broker appended the batch: the batch's maximum timestamp.
    LogAppend,
}

/// The attribute bits of a batch, as they are on the wire.
///
/// Bits 0 to 2 name the compression, 3 the timestamp type, 4 a transaction, 5 a control batch,
/// 6 that the base timestamp is a delete horizon. The other bits are unused and kept as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub i16);

impl Attributes {
    /// How the records are compressed.
    pub fn compression(self) -> Result<Compression, BatchError> {
        let id = self.0 & COMPRESSION;
        Compression::from_id(id).ok_or(BatchError::UnknownCompression(id))
    }

    /// What the timestamps mean.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.has(LOG_APPEND_TIME) { TimestampType::LogAppend } else { TimestampType::Create }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.has(TRANSACTIONAL)
    }

    /// Whether the records are the broker's own marks and not data.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.has(CONTROL)
    }

    /// Whether the base timestamp is the time, in milliseconds, after which compaction may drop
    /// the batch's tombstones.
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.has(DELETE_HORIZON)
    }

    /// The same attributes with this compression.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self(self.0 & !COMPRESSION | compression.id())
    }

    /// The same attributes with this timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        self.with(LOG_APPEND_TIME, timestamp_type == TimestampType::LogAppend)
    }

    /// The same attributes, inside a transaction or not.
    #[must_use]
    pub fn with_transactional(self, transactional: bool) -> Self {
        self.with(TRANSACTIONAL, transactional)
    }

    /// The same attributes, of a control batch or not.
    #[must_use]
    pub fn with_control(self, control: bool) -> Self {
        self.with(CONTROL, control)
    }

    /// The same attributes, with the base timestamp meaning a delete horizon or not.
    #[must_use]
    pub fn with_delete_horizon(self, delete_horizon: bool) -> Self {
        self.with(DELETE_HORIZON, delete_horizon)
    }

    fn has(self, bit: i16) -> bool {
        self.0 & bit != 0
    }

    fn with(self, bit: i16, set: bool) -> Self {
        if set { Self(self.0 | bit) } else { Self(self.0 & !bit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setter_changes_its_own_bits() {
        let none = Attributes::default();
        assert_eq!(none.with_compression(Compression::Zstd), Attributes(0x04));
        assert_eq!(none.with_timestamp_type(TimestampType::LogAppend), Attributes(0x08));
        assert_eq!(none.with_transactional(true), Attributes(0x10));
        assert_eq!(none.with_control(true), Attributes(0x20));
        assert_eq!(none.with_delete_horizon(true), Attributes(0x40));

        let all = Attributes(-1);
        assert_eq!(all.with_compression(Compression::None), Attributes(!0x07));
        assert_eq!(all.with_timestamp_type(TimestampType::Create), Attributes(!0x08));
        assert_eq!(all.with_transactional(false), Attributes(!0x10));
        assert_eq!(all.with_control(false), Attributes(!0x20));
        assert_eq!(all.with_delete_horizon(false), Attributes(!0x40));
    }

    #[test]
    fn each_getter_reads_its_own_bits() {
        let attributes = Attributes(0x7B);
        assert_eq!(attributes.compression(), Ok(Compression::Lz4));
        assert_eq!(attributes.timestamp_type(), TimestampType::LogAppend);
        assert!(attributes.is_transactional());
        assert!(attributes.is_control());
        assert!(attributes.has_delete_horizon());
        for unknown in 5..=7 {
            let attributes = Attributes(unknown);
            assert_eq!(attributes.compression(), Err(BatchError::UnknownCompression(unknown)));
        }
    }
}
