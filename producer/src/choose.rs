//! Which partition a record goes to.

use klamm_client::config::Partitioner;
use klamm_utils::hash::{fnv1a_32, murmur2};
use klamm_utils::random::Random;

/// The partition of a key, of which there are `count`; none where the partitioner gives keys of
/// this kind to any partition.
pub(crate) fn by_key(partitioner: Partitioner, key: Option<&[u8]>, count: i32) -> Option<i32> {
    let key = key?;
    let count = u32::try_from(count).ok().filter(|count| *count > 0)?;
    let hash = match partitioner {
        Partitioner::Fnv1a => fnv1a_32(key).cast_signed().unsigned_abs(),
        Partitioner::Murmur2 => murmur2(key) & 0x7fff_ffff,
        // librdkafka takes an empty key for none.
        Partitioner::Crc32 if key.is_empty() => return None,
        Partitioner::Crc32 => crc32fast::hash(key),
    };
    // Less than count, which is an i32.
    Some((hash % count).cast_signed())
}

/// The partition that records without a key fill until their batch is full: better one full batch
/// than many small ones (KIP-480).
#[derive(Debug)]
pub(crate) struct Sticky {
    random: Random,
    current: i32,
}

impl Sticky {
    pub(crate) fn new(mut random: Random, count: i32) -> Self {
        let current = below(&mut random, count);
        Self { random, current }
    }

    /// The partition of the moment.
    pub(crate) fn current(&self) -> i32 {
        self.current
    }

    /// Goes to another partition, if there is one, after a batch of `filled` was full. Those who
    /// come late with the same news change nothing.
    pub(crate) fn leave(&mut self, filled: i32, count: i32) {
        if filled == self.current && count > 1 {
            let step = 1 + below(&mut self.random, count - 1);
            self.current = (self.current + step) % count;
        }
    }
}

fn below(random: &mut Random, count: i32) -> i32 {
    let bound = u64::try_from(count).unwrap_or(0);
    i32::try_from(random.below(bound)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(partitioner: Partitioner, key: &str, count: i32, expected: Option<i32>) {
        assert_eq!(by_key(partitioner, Some(key.as_bytes()), count), expected, "{key}");
    }

    #[test]
    fn fnv1a_takes_the_absolute_value() {
        // |-2128831035|, |-468965076|, |-1080231576|, 124116270, 961738072, modulo 10.
        for (key, last_digit) in
            [("", 5), ("a", 6), ("foobar", 6), ("First Topic", 0), ("chat_messages", 2)]
        {
            check(Partitioner::Fnv1a, key, 10, Some(last_digit));
        }
    }

    #[test]
    fn murmur2_clears_the_sign() {
        // Kafka's UtilsTest: murmur2("21") = -973932308, murmur2("abc") = 479470107.
        check(Partitioner::Murmur2, "21", 1_000, Some((-973_932_308i32 & i32::MAX) % 1_000));
        check(Partitioner::Murmur2, "abc", 1_000, Some(107));
    }

    #[test]
    fn crc32_gives_empty_keys_to_any() {
        // CRC-32("123456789") = 0xcbf43926.
        check(Partitioner::Crc32, "123456789", 1_000, Some(262));
        check(Partitioner::Crc32, "", 10, None);
    }

    /// The keys and hashes of librdkafka's partitioner test (0048), whose murmur2 is checked there
    /// against Java's and whose FNV-1a against sarama's.
    #[test]
    fn keys_keep_their_partitions_when_clients_are_changed() {
        let keys = ["", "23456", "this is another string with more length to it perhaps", "hejsan"];
        for (partitioner, hashes) in [
            (Partitioner::Crc32, [None, Some(0xb1b4_51d7), Some(0xb015_0df7), Some(0xd077_037e)]),
            (
                Partitioner::Murmur2,
                [Some(0x106e_08d9), Some(0x058d_780f), Some(0x4f77_03da), Some(0x5ec1_9395)],
            ),
            (
                Partitioner::Fnv1a,
                [Some(0x7ee3_623b), Some(0x27e6_f469), Some(0x155e_3e5f), Some(0x17b1_e27a)],
            ),
        ] {
            for (key, hash) in keys.into_iter().zip(hashes) {
                for count in [7, 17] {
                    let expected = hash.map(|hash: u32| (hash % count).cast_signed());
                    check(partitioner, key, count.cast_signed(), expected);
                }
            }
        }
    }

    #[test]
    fn no_key_and_no_partition_choose_nothing() {
        assert_eq!(by_key(Partitioner::Fnv1a, None, 10), None);
        check(Partitioner::Fnv1a, "a", 0, None);
    }

    #[test]
    fn sticky_moves_on_once_per_full_batch() {
        let mut sticky = Sticky::new(Random::seeded(1), 3);
        let mut seen = [0; 3];
        for _ in 0..300 {
            let filled = sticky.current();
            seen[usize::try_from(filled).unwrap()] += 1;
            sticky.leave(filled, 3);
            let next = sticky.current();
            assert_ne!(next, filled);
            sticky.leave(filled, 3);
            assert_eq!(sticky.current(), next);
        }
        assert!(seen.iter().all(|times| *times > 50), "{seen:?}");
        let mut only = Sticky::new(Random::seeded(1), 1);
        only.leave(0, 1);
        assert_eq!(only.current(), 0);
    }
}
