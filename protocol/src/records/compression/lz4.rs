//! The LZ4 frame format, version 1: the blocks are a crate's business, what lies around them ours.
//! So each block goes from the buffer it came in to the one it is kept in, and nowhere between.
//!
//! Kafka's Java reader (`Lz4BlockInputStream.java`) refuses blocks that depend on each other, so
//! what is written are independent blocks of 64 KiB, without checksums: the batch has its own.
//! Dependent blocks and checksums are read all the same, since other clients write them.

use std::cell::RefCell;
use std::hash::Hasher as _;

use lz4_flex::block::{
    self, CompressTable,
    DecompressError::{self, OutputTooSmall},
};
use twox_hash::XxHash32;

use super::{Compression, CompressionError};

const CODEC: Compression = Compression::Lz4;
const CORRUPT: CompressionError = CompressionError::Corrupt { codec: CODEC };

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// What is written after the magic: version 1, independent blocks, no checksums; blocks of 64 KiB;
/// the checksum of these two.
const DESCRIPTOR: [u8; 3] = [0x60, 0x40, 0x82];
const WRITTEN_BLOCK_MAX: usize = 64 << 10;
/// A block of length zero, which ends a frame.
const END_MARK: [u8; 4] = [0; 4];
/// The bit of a block's length that says that it is not compressed.
const PLAIN: u32 = 1 << 31;
/// How far back a block may refer to those before it.
const WINDOW: usize = 64 << 10;
/// The most bytes that one byte of a block stands for.
const EXPANSION_MAX: usize = 255;
/// How many times its size most blocks become at most. Room is made for so much at first, rather
/// than for all that a block of 4 MiB might hold.
const EXPANSION_LIKELY: usize = 16;

thread_local! {
    static COMPRESSOR: RefCell<Compressor> = RefCell::default();
}

/// Where blocks are compressed: not worth making for each batch.
struct Compressor {
    /// What was seen of the block. The large table is one of five bytes, the small one of four:
    /// among text it finds fewer and longer matches, which is faster and becomes smaller.
    table: CompressTable,
    /// As much as a block can become.
    room: Vec<u8>,
}

impl Default for Compressor {
    fn default() -> Self {
        let room = vec![0; block::get_maximum_output_size(WRITTEN_BLOCK_MAX)];
        Self { table: CompressTable::large(), room }
    }
}

/// Appends one frame.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&DESCRIPTOR);
    COMPRESSOR.with_borrow_mut(|compressor| {
        input.chunks(WRITTEN_BLOCK_MAX).try_for_each(|chunk| compressor.put_block(chunk, out))
    })?;
    out.extend_from_slice(&END_MARK);
    Ok(())
}

impl Compressor {
    /// Appends a block, which is kept as it is if it would not become smaller.
    fn put_block(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let Self { table, room } = self;
        let compressed = block::compress_into_with_table(chunk, room, table)
            .map_err(|_| CompressionError::Encode { codec: CODEC })?;
        let (block, plain) = match room.get(..compressed) {
            Some(block) if compressed < chunk.len() => (block, 0),
            _ => (chunk, PLAIN),
        };
        // A block has at most 64 KiB.
        let length = u32::try_from(block.len()).unwrap_or_default() | plain;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(block);
        Ok(())
    }
}

/// Reads one frame, which must be all there is.
pub(super) fn decompress(mut input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let frame = Frame::take(&mut input)?;
    let mut out = Vec::new();
    loop {
        let length = take_u32(&mut input)?;
        if length == 0 {
            break;
        }
        if !out.is_empty() {
            out.reserve(super::usual_size(input.len(), limit - out.len()));
        }
        let is_plain = length & PLAIN != 0;
        let length = usize::try_from(length & !PLAIN).unwrap_or(usize::MAX);
        if length > frame.block_max {
            return Err(CORRUPT);
        }
        let block = take(&mut input, length)?;
        if frame.has_block_checksums && take_u32(&mut input)? != XxHash32::oneshot(0, block) {
            return Err(CORRUPT);
        }
        if is_plain {
            frame.put_plain(block, limit, &mut out)?;
        } else {
            frame.put_decompressed(block, limit, &mut out)?;
        }
    }
    if frame.content_size.is_some_and(|size| size != out.len() as u64) {
        return Err(CORRUPT);
    }
    if frame.has_content_checksum && take_u32(&mut input)? != XxHash32::oneshot(0, &out) {
        return Err(CORRUPT);
    }
    if input.is_empty() { Ok(out) } else { Err(CORRUPT) }
}

/// What a frame says of its blocks.
#[derive(Debug)]
struct Frame {
    block_max: usize,
    has_linked_blocks: bool,
    has_block_checksums: bool,
    has_content_checksum: bool,
    content_size: Option<u64>,
}

impl Frame {
    fn take(input: &mut &[u8]) -> Result<Self, CompressionError> {
        if take_array(input)? != MAGIC {
            return Err(CORRUPT);
        }
        let descriptor = *input;
        let [flags, block] = take_array(input)?;
        let is_set = |bit: u8| flags & (1 << bit) != 0;
        let is_version_1 = flags >> 6 == 1;
        let has_dictionary = is_set(0);
        let is_reserved = is_set(1) || block & 0b1000_1111 != 0;
        let block_max = match block >> 4 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return Err(CORRUPT),
        };
        if !is_version_1 || has_dictionary || is_reserved {
            return Err(CORRUPT);
        }
        let content_size =
            if is_set(3) { Some(u64::from_le_bytes(take_array(input)?)) } else { None };
        let described = descriptor.len() - input.len();
        let mut hasher = XxHash32::with_seed(0);
        hasher.write(descriptor.get(..described).unwrap_or_default());
        let [_, checksum, ..] = (hasher.finish() as u32).to_le_bytes();
        if take_array(input)? != [checksum] {
            return Err(CORRUPT);
        }
        Ok(Self {
            block_max,
            has_linked_blocks: !is_set(5),
            has_block_checksums: is_set(4),
            has_content_checksum: is_set(2),
            content_size,
        })
    }

    fn put_plain(
        &self,
        block: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        if block.len() > limit - out.len() {
            return Err(CompressionError::TooLarge { codec: CODEC, limit });
        }
        out.extend_from_slice(block);
        Ok(())
    }

    fn put_decompressed(
        &self,
        block: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let start = out.len();
        let most = self.block_max.min(block.len().saturating_mul(EXPANSION_MAX));
        let room = most.min(limit - start);
        let likely = room.min(block.len().saturating_mul(EXPANSION_LIKELY));
        let decompressed = match self.decompress_into(likely, block, out) {
            Err(OutputTooSmall { .. }) if likely < room => {
                out.truncate(start);
                self.decompress_into(room, block, out)
            }
            decompressed => decompressed,
        };
        match decompressed {
            Ok(length) => {
                out.truncate(start + length);
                Ok(())
            }
            Err(OutputTooSmall { .. }) if room < most => {
                Err(CompressionError::TooLarge { codec: CODEC, limit })
            }
            Err(_) => Err(CORRUPT),
        }
    }

    /// Decompresses a block into so much more room at the end, and tells how much of it it took. The
    /// first one, which most often is the only one, brings its room, which nobody has to clear
    /// unless the crate is to do without `unsafe`.
    fn decompress_into(
        &self,
        room: usize,
        block: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<usize, DecompressError> {
        if out.is_empty() {
            *out = block::decompress(block, room)?;
            // An allocator may give more than it was asked for.
            let (expected, actual) = (out.len(), room);
            let fits = expected <= actual;
            return fits.then_some(expected).ok_or(OutputTooSmall { expected, actual });
        }
        let start = out.len();
        out.resize(start + room, 0);
        let (before, after) = out.split_at_mut(start);
        if self.has_linked_blocks {
            let window = before.get(start.saturating_sub(WINDOW)..).unwrap_or_default();
            block::decompress_into_with_dict(block, after, window)
        } else {
            block::decompress_into(block, after)
        }
    }
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], CompressionError> {
    let (taken, rest) = input.split_at_checked(length).ok_or(CORRUPT)?;
    *input = rest;
    Ok(taken)
}

fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], CompressionError> {
    let (taken, rest) = input.split_first_chunk().ok_or(CORRUPT)?;
    *input = rest;
    Ok(*taken)
}

fn take_u32(input: &mut &[u8]) -> Result<u32, CompressionError> {
    take_array(input).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
    use proptest::prelude::*;

    use super::*;

    /// A frame as the crate's own encoder makes it.
    fn frame(info: FrameInfo, input: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(input).unwrap();
        encoder.finish().unwrap()
    }

    fn numbers(count: u32) -> Vec<u8> {
        (0..count).flat_map(|i| (i / 3).to_le_bytes()).collect()
    }

    #[test]
    fn frame_is_one_that_java_reads() {
        let mut out = Vec::new();
        compress(&[7; 70_000], &mut out).unwrap();
        assert_eq!(out[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
        assert_eq!(out[out.len() - 4..], END_MARK);
    }

    #[test]
    fn what_does_not_become_smaller_is_kept_as_it_is() {
        let input: Vec<u8> = (0..=255).collect();
        let mut out = Vec::new();
        compress(&input, &mut out).unwrap();
        assert_eq!(out[7..11], (256 | PLAIN).to_le_bytes());
        assert_eq!(out[11..267], input);
        assert_eq!(decompress(&out, 256).as_deref(), Ok(&input[..]));
        assert!(matches!(decompress(&out, 255), Err(CompressionError::TooLarge { .. })));
    }

    #[test]
    fn dependent_blocks_and_checksums_are_read_and_compared() {
        let input = numbers(200_000);
        for mode in [BlockMode::Linked, BlockMode::Independent] {
            let info = FrameInfo::new()
                .block_size(BlockSize::Max64KB)
                .block_mode(mode)
                .block_checksums(true)
                .content_checksum(true)
                .content_size(Some(input.len() as u64));
            let frame = frame(info, &input);
            assert!(decompress(&frame, input.len()).as_deref() == Ok(&input[..]));
            // The content's size, the descriptor's checksum, the first block, and the last checksum.
            for at in [6, 14, 40, frame.len() - 1] {
                let mut spoilt = frame.clone();
                spoilt[at] ^= 1;
                assert_eq!(decompress(&spoilt, input.len()), Err(CORRUPT), "at {at}");
            }
        }
    }

    #[test]
    fn blocks_of_every_size_are_read() {
        let input = numbers(3_000_000);
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB]
        {
            let frame = frame(FrameInfo::new().block_size(size), &input);
            assert!(decompress(&frame, input.len()).as_deref() == Ok(&input[..]));
        }
    }

    /// The first block is decompressed apart from the others, which may refer to it.
    #[test]
    fn blocks_refer_to_a_first_one_that_is_plain_or_empty_too() {
        let mut state = 7u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(64 << 10)
        .collect();
        let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Linked);
        let input = [&noise[..], &noise[14_000..], &numbers(1_000)[..]].concat();
        let frame = frame(info, &input);
        assert_eq!(frame[10] & 0x80, 0x80, "the first block is plain");
        assert!(frame.len() < 70_000, "the second refers to it");
        assert!(decompress(&frame, input.len()).as_deref() == Ok(&input[..]));
        let one_less = decompress(&frame, input.len() - 1);
        assert!(matches!(one_less, Err(CompressionError::TooLarge { .. })), "{one_less:?}");

        let (header, blocks) = frame.split_at(7);
        for nothing in [&PLAIN.to_le_bytes()[..], &[1, 0, 0, 0, 0]] {
            let frame = [header, nothing, blocks].concat();
            assert!(decompress(&frame, input.len()).as_deref() == Ok(&input[..]));
        }
    }

    #[test]
    fn bytes_behind_the_frame_are_refused() {
        let mut out = Vec::new();
        compress(b"input", &mut out).unwrap();
        out.push(0);
        assert_eq!(decompress(&out, 100), Err(CORRUPT));
    }

    proptest! {
        #[test]
        fn another_decoder_reads_what_is_written(
            seed in prop::collection::vec(any::<u8>(), 0..300),
            repeats in 0..900usize,
        ) {
            let input = seed.repeat(repeats);
            let mut out = Vec::new();
            compress(&input, &mut out).unwrap();
            let mut output = Vec::new();
            FrameDecoder::new(&out[..]).read_to_end(&mut output).unwrap();
            prop_assert!(output == input);
        }

        #[test]
        fn spoilt_frames_neither_panic_nor_exceed_the_limit(
            at in 0..2_000usize,
            byte in any::<u8>(),
        ) {
            let mut spoilt = frame(FrameInfo::new().block_mode(BlockMode::Linked), &numbers(2_000));
            let at = at % spoilt.len();
            spoilt[at] = byte;
            if let Ok(output) = decompress(&spoilt, 8_000) {
                prop_assert!(output.len() <= 8_000);
            }
        }
    }
}
