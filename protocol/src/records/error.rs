//! What can be wrong with a batch, its records and their compression.

use thiserror::Error;

use super::Compression;

/// Why bytes are not an acceptable record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("batch needs {needed} bytes and {present} are present")]
    Truncated {
        /// Bytes the batch occupies, as far as is known.
        needed: usize,
        /// Bytes that were given.
        present: usize,
    },
    /// Something follows the one batch that was expected.
    #[error("{bytes} bytes follow the batch")]
    Trailing {
        /// How many bytes follow.
        bytes: usize,
    },
    /// The format version is not 2.
    #[error("record format version {0} is not supported")]
    Magic(i8),
    /// The length field is smaller than the part of the header that it counts.
    #[error("batch length {0} is shorter than a batch header")]
    Length(i32),
    /// The bytes are not those that were checksummed.
    #[error("checksum is {computed:#010x} where the header states {stored:#010x}")]
    Checksum {
        /// CRC-32C in the header.
        stored: u32,
        /// CRC-32C of the bytes.
        computed: u32,
    },
    /// The number of records contradicts the offsets that the batch covers.
    #[error("{record_count} records do not fit a last offset delta of {last_offset_delta}")]
    Count {
        /// Records, as the header states.
        record_count: i32,
        /// Last offset minus base offset, as the header states.
        last_offset_delta: i32,
    },
    /// The attributes name a compression that does not exist.
    #[error("compression type {0} is unknown")]
    UnknownCompression(i16),
    /// A client sent a control batch; only brokers write those.
    #[error("a client may not write a control batch")]
    Control,
    /// A producer id came without an epoch or a sequence number.
    #[error("producer {producer_id} gave epoch {producer_epoch} and sequence {base_sequence}")]
    Producer {
        /// Producer id, not negative.
        producer_id: i64,
        /// Producer epoch, perhaps negative.
        producer_epoch: i16,
        /// First sequence number, perhaps negative.
        base_sequence: i32,
    },
    /// The records cannot be decompressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// A record is malformed.
    #[error("record {index} of the batch: {cause}")]
    Record {
        /// Which record, counted from 0.
        index: i32,
        /// What is wrong with it.
        cause: RecordError,
    },
    /// There is more than the stated number of records takes.
    #[error("{bytes} bytes follow the last record")]
    TrailingRecords {
        /// How many bytes follow.
        bytes: usize,
    },
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// A field ends behind the record, or the record behind the batch.
    #[error("it is cut off")]
    Truncated,
    /// A variable-length integer is too long for its type.
    #[error("a variable-length integer is out of range")]
    Varint,
    /// A length or count is negative where nothing may be absent.
    #[error("a length or count of {0}")]
    Length(i32),
    /// The record is longer than its fields.
    #[error("{bytes} bytes follow its last field")]
    Trailing {
        /// How many bytes follow.
        bytes: usize,
    },
}

/// Why bytes cannot be compressed or decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CompressionError {
    /// There is more in it than the caller allows.
    #[error("{} data holds more than {limit} bytes", codec.name())]
    TooLarge {
        /// The codec.
        codec: Compression,
        /// Bytes the caller allows.
        limit: usize,
    },
    /// The bytes are not what the codec writes.
    #[error("{} data is corrupt", codec.name())]
    Corrupt {
        /// The codec.
        codec: Compression,
    },
    /// The codec has no such level.
    #[error("{} has no compression level {level}", codec.name())]
    Level {
        /// The codec.
        codec: Compression,
        /// The level asked for.
        level: i32,
    },
    /// The codec failed to compress, as it may for want of memory.
    #[error("{} failed to compress", codec.name())]
    Encode {
        /// The codec.
        codec: Compression,
    },
}

/// Why a batch cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// No record was pushed.
    #[error("a batch has at least one record")]
    Empty,
    /// The batch would be longer than its length field can say, 2 GiB.
    #[error("a batch of {bytes} bytes is too large")]
    TooLarge {
        /// Bytes of the batch.
        bytes: usize,
    },
    /// The records cannot be compressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}
