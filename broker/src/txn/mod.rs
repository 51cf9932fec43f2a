//! Transactions: records in several partitions, and offsets of groups, that count together or not
//! at all.
//!
//! A transactional id belongs to the partition of `__transaction_state` that Java's hash of it says.
//! What becomes of it is decided by a [`machine`], and kept as [`records`] of that partition.

pub(crate) mod machine;
pub mod records;
