//! Gzip, RFC 1952.

use std::io::Write;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Compression, CompressionError};

const CODEC: Compression = Compression::Gzip;

/// Kafka's name for "the codec's own default".
pub(super) const DEFAULT_LEVEL: i32 = -1;

/// Appends one gzip member.
pub(super) fn compress(
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let level = match level.map(u32::try_from) {
        Some(Ok(level)) => flate2::Compression::new(level),
        Some(Err(_)) | None => flate2::Compression::default(),
    };
    let mut encoder = GzEncoder::new(out, level);
    encoder
        .write_all(input)
        .and_then(|()| encoder.try_finish())
        .map_err(|_| CompressionError::Encode { codec: CODEC })
}

/// Reads one member after the other: some producers write several.
pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    CODEC.read_capped(MultiGzDecoder::new(input), input.len(), limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_follow_each_other() {
        let mut out = Vec::new();
        compress(None, b"one ", &mut out).unwrap();
        compress(Some(DEFAULT_LEVEL), b"two", &mut out).unwrap();
        assert_eq!(decompress(&out, 100).as_deref(), Ok(&b"one two"[..]));
    }
}
