//! The LZ4 frame format.
//!
//! Kafka's Java reader (`Lz4BlockInputStream.java`) refuses blocks that depend on each other, so
//! what is written are independent blocks of 64 KiB, without checksums: the batch has its own.
//! Dependent blocks and checksums are read all the same, since other clients write them.

use std::io::{Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{Compression, CompressionError};

const CODEC: Compression = Compression::Lz4;

/// A block of length zero, which ends a frame.
const END_MARK: [u8; 4] = [0; 4];

/// Appends one frame.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let frame = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(frame, out);
    let written = encoder.write_all(input);
    let finished = written.is_ok() && encoder.try_finish().is_ok();
    if finished { Ok(()) } else { Err(CompressionError::Encode { codec: CODEC }) }
}

/// Reads one frame, which must be all there is.
pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    // To the decoder an input that stops between two blocks is as good as one that ends. So an end
    // mark is put behind the input: whoever needed that one had none of its own.
    let mut decoder = FrameDecoder::new(input.chain(&END_MARK[..]));
    let output = CODEC.read_capped(&mut decoder, input.len(), limit)?;
    let (rest, end_mark) = decoder.into_inner().into_inner();
    if !rest.is_empty() || end_mark.len() != END_MARK.len() {
        return Err(CompressionError::Corrupt { codec: CODEC });
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_is_one_that_java_reads() {
        let mut out = Vec::new();
        compress(&[7; 70_000], &mut out).unwrap();
        // Magic; version 1, independent blocks, no checksums; 64 KiB; checksum of these two.
        assert_eq!(out[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
        assert_eq!(out[out.len() - 4..], END_MARK);
    }

    #[test]
    fn dependent_blocks_and_checksums_are_read() {
        let input: Vec<u8> = (0..200_000u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
        let frame = FrameInfo::new()
            .block_size(BlockSize::Max64KB)
            .block_mode(BlockMode::Linked)
            .block_checksums(true)
            .content_checksum(true)
            .content_size(Some(input.len() as u64));
        let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
        encoder.write_all(&input).unwrap();
        let frame = encoder.finish().unwrap();
        assert!(decompress(&frame, input.len()) == Ok(input));
    }

    #[test]
    fn bytes_behind_the_frame_are_refused() {
        let mut out = Vec::new();
        compress(b"input", &mut out).unwrap();
        out.push(0);
        assert_eq!(decompress(&out, 100), Err(CompressionError::Corrupt { codec: CODEC }));
    }
}
