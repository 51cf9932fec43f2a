//! By the C library.

use std::cell::RefCell;

use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;
use zstd::zstd_safe::{self, DCtx};

use super::{CODEC, CompressionError};

const ENCODE: CompressionError = CompressionError::Encode { codec: CODEC };

thread_local! {
    // A context costs more to make than a small batch costs to compress.
    static COMPRESSOR: RefCell<Compressor<'static>> = RefCell::default();
    static CONTEXT: RefCell<DCtx<'static>> = RefCell::default();
}

/// Appends one frame, which states its content size.
pub(in crate::records::compression) fn compress(
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let start = out.len();
    out.resize(start + zstd_safe::compress_bound(input.len()), 0);
    let written = COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.set_compression_level(level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL))?;
        compressor.compress_to_buffer(input, &mut out[start..])
    });
    out.truncate(start + written.map_err(|_| ENCODE)?);
    Ok(())
}

/// Reads one frame after the other. A window of more than 128 MiB, zstd's own limit, is refused.
pub(in crate::records::compression) fn decompress(
    input: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    CONTEXT.with_borrow_mut(|context| {
        CODEC.read_capped(Decoder::with_context(input, context), input.len(), limit)
    })
}
