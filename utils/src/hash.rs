//! The hashes by which Kafka clients choose a record's partition.

/// 32-bit FNV-1a.
#[must_use]
pub fn fnv1a_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The 32-bit MurmurHash 2 of Kafka's Java clients (seed `0x9747b28c`).
#[must_use]
pub fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut chunks = bytes.chunks_exact(4);
    let mut hash = 0x9747_b28c ^ (bytes.len() as u32);
    for chunk in &mut chunks {
        let word = chunk.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        let mixed = word.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (mixed ^ (mixed >> 24)).wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_agrees_with_published_values() {
        for (text, hash) in [
            ("", -2_128_831_035),
            ("a", -468_965_076),
            ("foobar", -1_080_231_576),
            ("First Topic", 124_116_270),
            ("chat_messages", 961_738_072),
        ] {
            assert_eq!(fnv1a_32(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    /// The table of librdkafka's own partitioner test, which lists |hash|.
    #[test]
    fn fnv1a_agrees_with_librdkafka() {
        for (text, hash) in [
            ("kafka", 0x0d33_c4e1),
            ("giberish123456789", 0x77a5_8295),
            ("1234", 0x023b_dd03),
            ("234", 0x2dea_3cd2),
            ("34", 0x740f_a83e),
            ("4", 0x310c_a263),
            ("", 0x7ee3_623b),
        ] {
            assert_eq!(fnv1a_32(text.as_bytes()).cast_signed().unsigned_abs(), hash, "{text}");
        }
    }

    /// The table of Kafka's `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_agrees_with_kafka() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }
}
