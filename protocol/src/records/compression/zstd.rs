//! Zstandard, RFC 8878.

use std::cell::RefCell;

use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;
use zstd::zstd_safe::{self, DCtx};

use super::{Compression, CompressionError};

const CODEC: Compression = Compression::Zstd;
const ENCODE: CompressionError = CompressionError::Encode { codec: CODEC };

thread_local! {
    // A context costs more to make than a small batch costs to compress.
    static COMPRESSOR: RefCell<Compressor<'static>> = RefCell::default();
    static CONTEXT: RefCell<DCtx<'static>> = RefCell::default();
}

/// Appends one frame, which states its content size.
pub(super) fn compress(
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
pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    CONTEXT.with_borrow_mut(|context| {
        CODEC.read_capped(Decoder::with_context(input, context), input.len(), limit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other() {
        let mut out = Vec::new();
        compress(None, b"one ", &mut out).unwrap();
        compress(Some(-5), b"two", &mut out).unwrap();
        assert_eq!(decompress(&out, 100).as_deref(), Ok(&b"one two"[..]));
    }

    #[test]
    fn a_failure_leaves_nothing_to_the_next() {
        let mut frame = Vec::new();
        compress(None, &[1; 1000], &mut frame).unwrap();
        assert!(decompress(&frame[..frame.len() - 1], 1000).is_err());
        assert!(decompress(&frame, 10).is_err());
        assert_eq!(decompress(&frame, 1000), Ok(vec![1; 1000]));
    }
}
