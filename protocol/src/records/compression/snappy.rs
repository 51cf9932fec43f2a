//! Snappy, in the framing of xerial's snappy-java.
//!
//! Java frames its snappy: a header of 16 bytes, then blocks of up to 32 KiB of input, each behind
//! its compressed length. Other clients write one raw block. Both are read, the framing is written.

use bytes::Buf;
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{Compression, CompressionError};

const CODEC: Compression = Compression::Snappy;
const CORRUPT: CompressionError = CompressionError::Corrupt { codec: CODEC };
const ENCODE: CompressionError = CompressionError::Encode { codec: CODEC };

/// `SnappyCodec.java`: a magic of 8 bytes, version 1, compatible down to version 1.
pub(super) const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const MAGIC: &[u8] = HEADER.first_chunk::<8>().expect("the header is longer than its magic");

/// Input bytes of a block, as in Java.
const BLOCK_LEN: usize = 32 * 1024;

/// No snappy data grows by more: a copy of 64 bytes takes 3.
const RATIO_MAX: usize = 22;

/// Appends one framed stream.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    out.extend_from_slice(&HEADER);
    let mut encoder = Encoder::new();
    for block in input.chunks(BLOCK_LEN) {
        let start = out.len() + size_of::<u32>();
        out.resize(start + max_compress_len(block.len()), 0);
        let written = encoder.compress(block, &mut out[start..]).map_err(|_| ENCODE)?;
        out.truncate(start + written);
        let length = u32::try_from(written).map_err(|_| ENCODE)?;
        out[start - size_of::<u32>()..start].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Reads a framed stream or one raw block.
pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    if !input.starts_with(MAGIC) {
        append_block(input, limit, &mut output)?;
        return Ok(output);
    }
    let mut rest = input.get(HEADER.len()..).ok_or(CORRUPT)?;
    while !rest.is_empty() {
        let length = rest.try_get_u32().map_err(|_| CORRUPT)?;
        let length = usize::try_from(length).map_err(|_| CORRUPT)?;
        let (block, behind) = rest.split_at_checked(length).ok_or(CORRUPT)?;
        append_block(block, limit, &mut output)?;
        rest = behind;
    }
    Ok(output)
}

/// Appends what `block` holds. The length that it declares must be possible before any memory is
/// taken for it.
fn append_block(block: &[u8], limit: usize, output: &mut Vec<u8>) -> Result<(), CompressionError> {
    let declared = decompress_len(block).map_err(|_| CORRUPT)?;
    if declared > block.len().saturating_mul(RATIO_MAX) {
        return Err(CORRUPT);
    }
    let start = output.len();
    if declared > limit - start {
        return Err(CompressionError::TooLarge { codec: CODEC, limit });
    }
    output.resize(start + declared, 0);
    Decoder::new().decompress(block, &mut output[start..]).map_err(|_| CORRUPT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_block_is_read() {
        let raw = Encoder::new().compress_vec(b"snappy without a frame").unwrap();
        assert_eq!(decompress(&raw, 100).as_deref(), Ok(&b"snappy without a frame"[..]));
        let error = CompressionError::TooLarge { codec: CODEC, limit: 21 };
        assert_eq!(decompress(&raw, 21), Err(error));
    }

    #[test]
    fn blocks_are_those_of_java() {
        let mut out = Vec::new();
        compress(&vec![1; BLOCK_LEN + 1], &mut out).unwrap();
        let first = u32::from_be_bytes(*out[16..].first_chunk().unwrap()) as usize;
        assert_eq!(decompress_len(&out[20..20 + first]), Ok(BLOCK_LEN));
        // A block of one byte: length, declared length, a literal of one byte, the byte.
        assert_eq!(out[20 + first..], [0, 0, 0, 3, 1, 0, 1]);
    }

    #[test]
    fn declared_length_is_not_believed() {
        // 4,294,967,295 bytes out of six.
        let absurd = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        assert_eq!(decompress(&absurd, usize::MAX), Err(CORRUPT));
        assert_eq!(decompress(&[], 100), Err(CORRUPT));
        assert_eq!(decompress(&HEADER[..12], 100), Err(CORRUPT));
    }

    #[test]
    fn block_length_is_not_believed() {
        for length in [u32::MAX, 0x8000_0000, 5] {
            let stream = [&HEADER[..], &length.to_be_bytes(), &[1, 0, 7]].concat();
            assert_eq!(decompress(&stream, 100), Err(CORRUPT));
        }
    }
}
