//! How values travel: one reader, one writer, one trait.
//!
//! Integers are big-endian. A message has a version, and from some version on a *flexible* form
//! (KIP-482) in which lengths are unsigned varints and every structure ends in tagged fields.
//! [`Reader`] and [`Writer`] know both, so that a declaration states each field once.
//!
//! # Invariants
//!
//! - No input makes [`Reader`] panic, and none makes it hold more memory than a fixed multiple of
//!   the frame it was given: a count is believed only element by element.
//! - Strings, bytes and records that were read are slices of the frame; nothing is copied.
//! - Nothing here knows a connection, a clock or a file.

mod chunk;
mod error;
mod reader;
mod shape;
mod tags;
mod text;
mod value;
mod varint;
mod writer;

pub use chunk::{Chunk, Lent};
pub use error::WireError;
pub use klamm_utils::uuid::Uuid;
pub use reader::Reader;
pub use shape::{Field, Shape};
pub use tags::{Tag, read_tags, write_tags};
pub use text::{Records, Str};
pub use value::Wire;
pub use writer::{Encoded, Writer};

/// What reading or writing a value gives.
pub type Result<T> = std::result::Result<T, WireError>;
