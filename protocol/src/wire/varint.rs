//! Unsigned varints: seven bits a byte, least significant first.

use super::{Result, WireError};

/// Reads a varint of at most 32 bits from the front of `bytes`; gives it and its length.
pub(super) fn read(bytes: &[u8]) -> Result<(u32, usize)> {
    let mut value = 0u32;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        // The fifth byte holds the four bits that are left.
        if index == 4 && *byte > 0x0f {
            return Err(WireError::Varint);
        }
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, index + 1));
        }
    }
    Err(WireError::Truncated)
}

pub(super) fn write(into: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_round_trips() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 2_097_152, 268_435_456, u32::MAX] {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            assert_eq!(read(&bytes), Ok((value, bytes.len())));
            assert_eq!(read(&bytes[..bytes.len() - 1]), Err(WireError::Truncated));
        }
    }

    #[test]
    fn bits_beyond_the_thirty_second_are_refused() {
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x10]), Err(WireError::Varint));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x8f]), Err(WireError::Varint));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok((u32::MAX, 5)));
    }
}
