//! Zstandard, RFC 8878: in Rust alone, or by the C library where the feature `zstd-c` is on.
//!
//! Both write one frame that states its content size and has no checksum, both read frames one
//! after the other, and both refuse a window of more than 128 MiB. They differ in their levels: the
//! C library has all of them, while the pure one has a single encoder, which compresses less than
//! the C library does at level 1 and takes two to three times as long.

#[cfg(any(test, feature = "zstd-c"))]
mod binding;
#[cfg(any(test, not(feature = "zstd-c")))]
mod pure;

#[cfg(feature = "zstd-c")]
pub(super) use binding::{compress, decompress};
#[cfg(not(feature = "zstd-c"))]
pub(super) use pure::{compress, decompress};

use super::{Compression, CompressionError};

const CODEC: Compression = Compression::Zstd;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Compress = fn(Option<i32>, &[u8], &mut Vec<u8>) -> Result<(), CompressionError>;
    type Decompress = fn(&[u8], usize) -> Result<Vec<u8>, CompressionError>;

    const ENCODERS: [Compress; 2] = [binding::compress, pure::compress];
    const DECODERS: [Decompress; 2] = [binding::decompress, pure::decompress];

    fn compressed(encoder: Compress, level: Option<i32>, input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encoder(level, input, &mut out).unwrap();
        out
    }

    /// Lengths at which frames and blocks change their form.
    const SIZES: [usize; 9] = [0, 1, 255, 1024, 1030, 131_071, 131_072, 262_142, 700_000];

    /// Bytes of which each has one of `choices` values, in an order without a pattern.
    fn noise(len: usize, choices: u8) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8 % choices
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn each_reads_what_the_other_writes() {
        for len in SIZES {
            for input in [vec![7; len], noise(len, 4), noise(len, 100), noise(len, 255)] {
                for encoder in ENCODERS {
                    let frame = compressed(encoder, None, &input);
                    for decoder in DECODERS {
                        assert!(decoder(&frame, len).as_ref() == Ok(&input), "{len} bytes");
                    }
                }
            }
        }
    }

    #[test]
    fn every_level_of_the_binding_is_read_without_it() {
        let input: Vec<u8> = noise(3000, 20).repeat(60);
        for level in [-131_072, -5, 1, 3, 9, 15, 19, 22] {
            let frame = compressed(binding::compress, Some(level), &input);
            assert!(pure::decompress(&frame, input.len()).as_ref() == Ok(&input), "level {level}");
        }
    }

    #[test]
    fn frames_follow_each_other() {
        for encoder in ENCODERS {
            let mut out = Vec::new();
            encoder(None, b"one ", &mut out).unwrap();
            // A frame to be skipped.
            out.extend([0x53, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 0xAA, 0xBB]);
            encoder(Some(-5), b"two", &mut out).unwrap();
            for decoder in DECODERS {
                assert_eq!(decoder(&out, 100).as_deref(), Ok(&b"one two"[..]));
                let too_large = CompressionError::TooLarge { codec: CODEC, limit: 6 };
                assert_eq!(decoder(&out, 6), Err(too_large));
            }
        }
    }

    #[test]
    fn a_failure_leaves_nothing_to_the_next() {
        for (encoder, decoder) in ENCODERS.into_iter().zip(DECODERS) {
            let frame = compressed(encoder, None, &[1; 1000]);
            assert!(decoder(&frame[..frame.len() - 1], 1000).is_err());
            assert!(decoder(&frame, 10).is_err());
            assert_eq!(decoder(&frame, 1000), Ok(vec![1; 1000]));
        }
    }

    #[test]
    fn both_refuse_what_is_wrong() {
        let good = compressed(binding::compress, None, b"good");
        let mut checked = ::zstd::bulk::Compressor::new(3).unwrap();
        checked.include_checksum(true).unwrap();
        let mut checked = checked.compress(&noise(500, 50)).unwrap();
        for decoder in DECODERS {
            assert!(decoder(&checked, 500).is_ok());
        }
        *checked.last_mut().unwrap() ^= 1;
        let wrong: [(&str, Vec<u8>); 5] = [
            ("checksum", checked),
            ("magic", b"kafka".to_vec()),
            ("what follows", [&good[..], b"x"].concat()),
            // A block of one byte in a frame that states two.
            ("content size", vec![0x28, 0xB5, 0x2F, 0xFD, 0x20, 2, 9, 0, 0, b'x']),
            // A window of 256 MiB.
            ("window", vec![0x28, 0xB5, 0x2F, 0xFD, 0, 18 << 3, 9, 0, 0, b'x']),
        ];
        for (what, input) in wrong {
            for (place, decoder) in DECODERS.into_iter().enumerate() {
                let refused = Err(CompressionError::Corrupt { codec: CODEC });
                assert_eq!(decoder(&input, 1000), refused, "{what}, decoder {place}");
            }
        }
    }

    #[test]
    fn a_large_window_does_not_lift_the_limit() {
        // 128 MiB of window, and blocks that repeat one byte 131,072 times.
        let mut bomb = vec![0x28, 0xB5, 0x2F, 0xFD, 0, 17 << 3];
        for _ in 0..500 {
            bomb.extend([0x02, 0x00, 0x10, b'x']);
        }
        let limit = 1 << 20;
        for decoder in DECODERS {
            let too_large = CompressionError::TooLarge { codec: CODEC, limit };
            assert_eq!(decoder(&bomb, limit), Err(too_large));
        }
        // The same window is fine around little.
        let last = [&bomb[..6], &[0x03, 0x00, 0x10, b'x']].concat();
        for decoder in DECODERS {
            assert_eq!(decoder(&last, limit), Ok(vec![b'x'; 131_072]));
        }
    }

    proptest! {
        #[test]
        fn any_repetition_is_read_by_both(
            pieces in prop::collection::vec((0_usize..3000, 1_u8..=255, 1_usize..200), 1..8),
        ) {
            let mut input = Vec::new();
            for (len, choices, times) in pieces {
                input.extend(noise(len, choices).repeat(times));
                input.truncate(400_000);
            }
            let frame = compressed(pure::compress, None, &input);
            for decoder in DECODERS {
                prop_assert!(decoder(&frame, input.len()).as_ref() == Ok(&input));
            }
        }

        #[test]
        fn damage_is_judged_alike_or_by_one_alone(
            len in 0_usize..3000,
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut frame = compressed(binding::compress, None, &noise(len, 30));
            let at = at.index(frame.len());
            frame[at] = byte;
            let [ours, theirs] = [pure::decompress(&frame, 5000), binding::decompress(&frame, 5000)];
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
