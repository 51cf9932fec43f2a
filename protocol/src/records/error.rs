//! What can be wrong with a batch.

use thiserror::Error;

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
}
