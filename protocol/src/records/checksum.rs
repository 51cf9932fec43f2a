//! The checksum of record batches.

/// CRC-32C (Castagnoli) of `bytes`, the checksum that version 2 batches carry.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_castagnoli_and_not_ieee() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(b""), 0);
    }
}
