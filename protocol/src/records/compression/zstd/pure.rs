//! By ruzstd, which is Rust alone.

use std::cell::RefCell;
use std::io::{Cursor, Read as _};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, FrameCompressor, MatchGeneratorDriver};

use super::{CODEC, CompressionError};

type Compressor = FrameCompressor<Cursor<Vec<u8>>, Vec<u8>, MatchGeneratorDriver>;

const ENCODE: CompressionError = CompressionError::Encode { codec: CODEC };
const CORRUPT: CompressionError = CompressionError::Corrupt { codec: CODEC };

thread_local! {
    // Tables and windows cost more to make than a small batch costs to compress.
    static COMPRESSOR: RefCell<Compressor> =
        RefCell::new(FrameCompressor::new(CompressionLevel::Fastest));
    static DECODER: RefCell<FrameDecoder> = RefCell::default();
}

const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Says of a header that a window and a content size of four bytes follow.
const SIZED: u8 = 0b1000_0000;
/// Says of a header that its content is its window.
const SINGLE_SEGMENT: u8 = 0b0010_0000;
/// The most that a block holds, and the smallest window in which any block may do so.
const BLOCK_MAX: usize = 128 * 1024;
/// The window of 128 KiB, as headers have it: what the encoder looks back at most.
const WINDOW: u8 = 7 << 3;
/// What the encoder is given at a time. It makes it one frame of one block, because it is less than
/// a block can hold.
const PIECE: usize = BLOCK_MAX - 1;
/// Magic, descriptor and window of the encoder's frames, and the checksum behind them.
const AROUND: (usize, usize) = (6, 4);
/// The largest window that a thread keeps for the frames to come.
const KEPT_MAX: usize = 8 << 20;
/// Set in the first byte of a frame's last block.
const LAST: u8 = 1;

/// Appends one frame, which states its content size. Every level is the same.
///
/// Blocks are encoded apart from each other: the encoder's own frames of several blocks may refer
/// to a table of a block that was stored raw after all, and that the reader has therefore not seen.
pub(in crate::records::compression) fn compress(
    _level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let size = u32::try_from(input.len()).map_err(|_| ENCODE)?;
    out.extend(MAGIC);
    out.extend([SIZED, WINDOW]);
    out.extend(size.to_le_bytes());
    COMPRESSOR.with_borrow_mut(|compressor| {
        let mut pieces = input.chunks(PIECE).peekable();
        let mut piece = pieces.next().unwrap_or_default();
        loop {
            let is_last = pieces.peek().is_none();
            append_block(compressor, piece, is_last, out)?;
            match pieces.next() {
                Some(next) => piece = next,
                None => return Ok(()),
            }
        }
    })
}

/// Appends a piece as one block.
fn append_block(
    compressor: &mut Compressor,
    piece: &[u8],
    is_last: bool,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let mut source = compressor.take_source().unwrap_or_default();
    source.get_mut().clear();
    source.get_mut().extend_from_slice(piece);
    source.set_position(0);
    compressor.set_source(source);
    let mut frame = compressor.take_drain().unwrap_or_default();
    frame.clear();
    compressor.set_drain(frame);
    compressor.compress();
    let frame = compressor.drain().ok_or(ENCODE)?;
    let (before, after) = AROUND;
    let block = frame.get(before..frame.len().saturating_sub(after)).ok_or(ENCODE)?;
    let (header, body) = block.split_first().ok_or(ENCODE)?;
    out.push(if is_last { header | LAST } else { header & !LAST });
    out.extend_from_slice(body);
    Ok(())
}

/// Reads one frame after the other. A window of more than 128 MiB, the C library's own limit, is
/// refused.
pub(in crate::records::compression) fn decompress(
    mut input: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    DECODER.with_borrow_mut(|decoder| {
        while !input.is_empty() {
            let room = limit - output.len();
            let Some(window) = begin(decoder, &mut input, room, limit)? else { continue };
            let frame = read_frame(decoder, &mut input, &mut output, limit);
            if window > KEPT_MAX {
                *decoder = FrameDecoder::new();
            }
            frame?;
        }
        Ok(output)
    })
}

/// Reads a frame's header, and tells its window if there is something to decode behind it: frames
/// of others' data are skipped.
///
/// The decoder takes the memory of a window at once, and gives nothing before it is full. A frame
/// whose window is larger than what may come out of it is therefore read as if it had a smaller
/// one, which is all the same to it. No more may come out than there is `room` for, and no more
/// than the input can hold.
fn begin(
    decoder: &mut FrameDecoder,
    input: &mut &[u8],
    room: usize,
    limit: usize,
) -> Result<Option<usize>, CompressionError> {
    let most = room.min(held_at_most(input.len()));
    let mut header = [0; 6];
    let known = header.len().min(input.len());
    let (start, mut rest) = input.split_at(known);
    header[..known].copy_from_slice(start);
    let [.., descriptor, window] = &mut header;
    let is_single = *descriptor & SINGLE_SEGMENT != 0;
    if !is_single && *window <= WINDOW_MAX {
        *window = (*window).min(window_around(most.max(BLOCK_MAX)));
    }
    let (window, window_max) = if is_single {
        (None, most)
    } else {
        (Some(window_bytes(*window)), window_bytes(WINDOW_MAX))
    };
    decoder.set_max_window_size(window_max as u64);
    match decoder.init((&header[..known]).chain(&mut rest)) {
        Ok(()) => {
            *input = rest;
            // What is its own window was found to be no larger than `most`.
            Ok(Some(window.unwrap_or(most.min(decoder.content_size() as usize))))
        }
        Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
            length,
            ..
        })) => {
            let length = usize::try_from(length).map_err(|_| CORRUPT)?;
            *input = input.get(8..).and_then(|data| data.get(length..)).ok_or(CORRUPT)?;
            Ok(None)
        }
        Err(FrameDecoderError::WindowSizeTooBig { requested, .. })
            if is_single && requested > room as u64 =>
        {
            Err(CompressionError::TooLarge { codec: CODEC, limit })
        }
        Err(_) => Err(CORRUPT),
    }
}

/// What may come out of so many bytes: each block has three of its own and at least one more.
fn held_at_most(bytes: usize) -> usize {
    (bytes / 4).saturating_mul(BLOCK_MAX)
}

/// The window of 128 MiB, as headers have it.
const WINDOW_MAX: u8 = 17 << 3;

/// The smallest window that holds so many bytes, or the largest that there may be.
fn window_around(bytes: usize) -> u8 {
    (0..WINDOW_MAX).find(|window| window_bytes(*window) >= bytes).unwrap_or(WINDOW_MAX)
}

/// What a window holds.
fn window_bytes(window: u8) -> usize {
    let base = 1_usize << (10 + (window >> 3));
    base + base / 8 * usize::from(window & 7)
}

/// Decodes the frame whose header was read, block by block.
fn read_frame(
    decoder: &mut FrameDecoder,
    input: &mut &[u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CompressionError> {
    let too_large = CompressionError::TooLarge { codec: CODEC, limit };
    let start = output.len();
    let stated = decoder.content_size();
    if stated > (limit - start) as u64 {
        return Err(too_large);
    }
    loop {
        let step = BlockDecodingStrategy::UptoBlocks(1);
        decoder.decode_blocks(&mut *input, step).map_err(|_| CORRUPT)?;
        if decoder.can_collect() > limit - output.len() {
            return Err(too_large);
        }
        decoder.collect_to_writer(&mut *output).map_err(|_| CORRUPT)?;
        if decoder.is_finished() {
            break;
        }
    }
    let written = (output.len() - start) as u64;
    let is_whole = stated == 0 || stated == written;
    let checksum = decoder.get_checksum_from_data();
    let is_sound = checksum.is_none() || checksum == decoder.get_calculated_checksum();
    if is_whole && is_sound { Ok(()) } else { Err(CORRUPT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_as_small_as_can_be() {
        for (bytes, window) in [
            (1, 0),
            (1024, 0),
            (1025, 1),
            (BLOCK_MAX, WINDOW),
            (128 << 20, WINDOW_MAX),
            (usize::MAX, WINDOW_MAX),
        ] {
            assert_eq!(window_around(bytes), window, "{bytes}");
        }
    }

    #[test]
    fn no_memory_is_taken_for_what_cannot_come() {
        // A frame that is its own window, of 100 MiB, and one block.
        let mut frame = [&MAGIC[..], &[SIZED | SINGLE_SEGMENT]].concat();
        frame.extend((100_u32 << 20).to_le_bytes());
        frame.extend([0x03, 0x00, 0x10, b'x']);
        let limit = 1 << 20;
        let too_large = CompressionError::TooLarge { codec: CODEC, limit };
        assert_eq!(decompress(&frame, limit), Err(too_large));
        assert_eq!(decompress(&frame, 1 << 30), Err(CORRUPT));
        // A window of 128 MiB before the same block.
        let frame = [&MAGIC[..], &[0, WINDOW_MAX, 0x03, 0x00, 0x10, b'x']].concat();
        let window = begin(&mut FrameDecoder::new(), &mut &frame[..], 1 << 30, 1 << 30);
        assert_eq!(window, Ok(Some(2 * BLOCK_MAX)));
    }

    #[test]
    fn no_block_refers_to_the_table_of_another() {
        const COMPRESSED: u32 = 2;
        const TREELESS: u8 = 3;
        let text: Vec<u8> = (0..4 * PIECE).map(|i| b"zstandard"[(i * i / 8) % 9]).collect();
        let mut frame = Vec::new();
        compress(None, &text, &mut frame).unwrap();
        let (mut blocks, mut rest) = (0, &frame[10..]);
        while let Some(([a, b, c], body)) = rest.split_first_chunk() {
            let header = u32::from_le_bytes([*a, *b, *c, 0]);
            assert_eq!(header >> 1 & 3, COMPRESSED);
            assert_ne!(body[0] & 3, TREELESS);
            assert_eq!(header & 1 == 1, blocks == 3);
            (blocks, rest) = (blocks + 1, &body[(header >> 3) as usize..]);
        }
        assert_eq!(blocks, 4);
    }
}
