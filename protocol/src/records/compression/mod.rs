//! The compressions of record batches.
//!
//! Compressing appends to the caller's buffer. Decompressing has a limit that the caller sets:
//! decoders run as streams into a sink that refuses more, so that a few hostile bytes can neither
//! fill the memory nor keep a thread busy for longer than the limit takes.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::io::Read;
use std::ops::RangeInclusive;

use bytes::Bytes;

use super::CompressionError;

/// How the records of a batch are compressed. The discriminants are those of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy blocks, in the framing of xerial's snappy-java.
    Snappy = 2,
    /// The LZ4 frame format.
    Lz4 = 3,
    /// RFC 8878.
    Zstd = 4,
}

impl Compression {
    /// All compressions, in the order of their ids.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The compression with this id, the lowest three bits of a batch's attributes.
    #[must_use]
    pub fn from_id(id: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| compression.id() == id)
    }

    /// The id on the wire.
    #[must_use]
    pub fn id(self) -> i16 {
        self as i16
    }

    /// The name that Kafka's `compression.type` has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The levels that Kafka's `compression.<type>.level` takes, besides -1 for gzip's default.
    /// `None` where there is nothing to choose.
    ///
    /// LZ4 accepts Kafka's levels and has one encoder for all of them, a fast one; so does zstd,
    /// unless the feature `zstd-c` is on.
    #[must_use]
    pub fn levels(self) -> Option<RangeInclusive<i32>> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(1..=9),
            Self::Lz4 => Some(1..=17),
            Self::Zstd => Some(-131_072..=22),
        }
    }

    /// Fails with [`CompressionError::Level`] unless `level` is one for this compression.
    pub fn check_level(self, level: i32) -> Result<(), CompressionError> {
        let is_default = self == Self::Gzip && level == gzip::DEFAULT_LEVEL;
        if is_default || self.levels().is_some_and(|levels| levels.contains(&level)) {
            return Ok(());
        }
        Err(CompressionError::Level { codec: self, level })
    }

    /// Appends `input`, compressed, to `out`. Without a level the codec's default is used.
    ///
    /// On failure `out` may have grown and is of no use.
    pub fn compress(
        self,
        level: Option<i32>,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        if let Some(level) = level {
            self.check_level(level)?;
        }
        match self {
            Self::None => {
                out.extend_from_slice(input);
                Ok(())
            }
            Self::Gzip => gzip::compress(level, input, out),
            Self::Snappy => snappy::compress(input, out),
            Self::Lz4 => lz4::compress(input, out),
            Self::Zstd => zstd::compress(level, input, out),
        }
    }

    /// What was compressed to `input`, if it is no more than `limit` bytes.
    ///
    /// Without compression that is `input` itself, shared, whatever the limit.
    pub fn decompress(self, input: &Bytes, limit: usize) -> Result<Bytes, CompressionError> {
        let output = match self {
            Self::None => return Ok(input.clone()),
            Self::Gzip => gzip::decompress(input, limit),
            Self::Snappy => snappy::decompress(input, limit),
            Self::Lz4 => lz4::decompress(input, limit),
            Self::Zstd => zstd::decompress(input, limit),
        };
        output.map(|mut output| {
            if output.capacity() / 2 > output.len() {
                // Whoever keeps a record keeps all of it.
                output.shrink_to_fit();
            }
            Bytes::from(output)
        })
    }

    /// Reads `decoder` to its end, or up to the first byte beyond `limit`, which is an error.
    /// `compressed` is the size of what it reads, from which a first capacity is guessed.
    fn read_capped(
        self,
        decoder: impl Read,
        compressed: usize,
        limit: usize,
    ) -> Result<Vec<u8>, CompressionError> {
        let mut output = Vec::with_capacity(usual_size(compressed, limit));
        let mut capped = decoder.take((limit as u64).saturating_add(1));
        capped.read_to_end(&mut output).map_err(|_| CompressionError::Corrupt { codec: self })?;
        if output.len() > limit {
            return Err(CompressionError::TooLarge { codec: self, limit });
        }
        Ok(output)
    }
}

/// What so many compressed bytes usually become, if it is no more than `limit`.
fn usual_size(compressed: usize, limit: usize) -> usize {
    const USUAL_RATIO: usize = 4;
    compressed.saturating_mul(USUAL_RATIO).min(limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compressed(codec: Compression, input: &[u8]) -> Bytes {
        let mut out = Vec::new();
        codec.compress(None, input, &mut out).unwrap();
        Bytes::from(out)
    }

    fn codecs() -> impl Iterator<Item = Compression> {
        Compression::ALL.into_iter().filter(|&codec| codec != Compression::None)
    }

    /// Neither constant nor random: half of the bytes repeat.
    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|i| if i % 2 == 0 { b'k' } else { ((i * i) >> 7) as u8 }).collect()
    }

    #[test]
    fn ids_are_those_of_the_wire() {
        for (id, codec) in Compression::ALL.into_iter().enumerate() {
            assert_eq!(usize::try_from(codec.id()), Ok(id));
            assert_eq!(Compression::from_id(codec.id()), Some(codec));
        }
        assert_eq!(Compression::from_id(5), None);
        assert_eq!(Compression::from_id(-1), None);
    }

    #[test]
    fn every_size_round_trips_at_the_exact_limit() {
        for codec in Compression::ALL {
            for len in [0, 1, 100, 32_768, 32_769, 65_536, 65_537, 300_000] {
                let input = text(len);
                let output = codec.decompress(&compressed(codec, &input), len);
                assert!(output.as_deref() == Ok(&input[..]), "{codec:?} of {len} bytes");
            }
        }
    }

    #[test]
    fn compressing_appends() {
        for codec in Compression::ALL {
            let mut out = b"before".to_vec();
            codec.compress(None, b"input", &mut out).unwrap();
            assert_eq!(&out[..6], b"before");
            let output = codec.decompress(&Bytes::from(out).slice(6..), 100);
            assert_eq!(output, Ok(Bytes::from_static(b"input")));
        }
    }

    #[test]
    fn one_byte_beyond_the_limit_is_refused() {
        for codec in codecs() {
            for len in [1, 100, 32_769, 300_000] {
                let output = codec.decompress(&compressed(codec, &text(len)), len - 1);
                assert_eq!(output, Err(CompressionError::TooLarge { codec, limit: len - 1 }));
            }
        }
    }

    #[test]
    fn bombs_are_refused_at_the_limit() {
        let zeros = vec![0; 64 << 20];
        for codec in codecs() {
            let bomb = compressed(codec, &zeros);
            let limit = 1 << 20;
            assert!(bomb.len() * 20 < zeros.len(), "{codec:?} is no bomb");
            let output = codec.decompress(&bomb, limit);
            assert_eq!(output, Err(CompressionError::TooLarge { codec, limit }));
        }
    }

    #[test]
    fn every_proper_prefix_is_an_error() {
        for codec in codecs() {
            let whole = compressed(codec, &text(1000));
            for present in 1..whole.len() {
                let output = codec.decompress(&whole.slice(..present), 2000);
                let at_block = codec == Compression::Snappy && present == snappy::HEADER.len();
                assert_eq!(output.is_err(), !at_block, "{codec:?} cut at {present}");
            }
        }
    }

    #[test]
    fn levels_are_those_of_kafka() {
        for codec in codecs() {
            for level in codec.levels().into_iter().flat_map(|l| [*l.start(), 1, *l.end()]) {
                let mut out = Vec::new();
                codec.compress(Some(level), &text(500), &mut out).unwrap();
                assert_eq!(codec.decompress(&out.into(), 500), Ok(text(500).into()));
            }
            for level in [i32::MIN, -131_073, 23, i32::MAX] {
                let refused = Err(CompressionError::Level { codec, level });
                assert_eq!(codec.compress(Some(level), b"", &mut Vec::new()), refused);
            }
        }
        assert_eq!(Compression::Gzip.check_level(-1), Ok(()));
        assert!(Compression::Gzip.check_level(0).is_err());
        assert!(Compression::Lz4.check_level(-1).is_err());
        assert!(Compression::None.check_level(1).is_err());
    }

    proptest! {
        #[test]
        fn any_input_round_trips(input in prop::collection::vec(any::<u8>(), 0..5000)) {
            for codec in Compression::ALL {
                let output = codec.decompress(&compressed(codec, &input), input.len());
                prop_assert_eq!(output.as_deref(), Ok(&input[..]));
            }
        }

        #[test]
        fn random_bytes_end_within_the_limit(input in prop::collection::vec(any::<u8>(), 0..500)) {
            let input = Bytes::from(input);
            for codec in codecs() {
                if let Ok(output) = codec.decompress(&input, 10_000) {
                    prop_assert!(output.len() <= 10_000);
                }
            }
        }

        #[test]
        fn damage_ends_within_the_limit(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        ) {
            for codec in codecs() {
                let mut bytes = compressed(codec, &text(70_000)).to_vec();
                for (index, byte) in &damage {
                    let at = index.index(bytes.len());
                    bytes[at] = *byte;
                }
                if let Ok(output) = codec.decompress(&bytes.into(), 100_000) {
                    prop_assert!(output.len() <= 100_000);
                }
            }
        }
    }
}
