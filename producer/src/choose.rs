//! Which partition a record goes to.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// The partition that records without a key go to until they have filled a batch, in however many
/// batches they were sent: better few large batches than many small ones (KIP-480), and all
/// partitions alike however fast records come (KIP-794). It is one that has a leader, if any has.
#[derive(Debug)]
pub(crate) struct Sticky {
    /// Bytes that fill a batch.
    enough: usize,
    current: AtomicI32,
    /// Bytes that it was given since it was chosen.
    given: AtomicUsize,
    choice: Mutex<Choice>,
}

#[derive(Debug)]
struct Choice {
    /// The partitions to choose from, in their order.
    partitions: Vec<i32>,
    random: Random,
}

impl Sticky {
    /// A choice among these partitions, which are in their order.
    pub(crate) fn new(random: Random, partitions: Vec<i32>, enough: usize) -> Self {
        let mut choice = Choice { partitions, random };
        // No partition has this number.
        let current = AtomicI32::new(choice.other_than(-1));
        Self { enough, current, given: AtomicUsize::new(0), choice: Mutex::new(choice) }
    }

    /// From now on these are to choose from.
    pub(crate) fn choose_from(&self, partitions: Vec<i32>) {
        let mut choice = self.choice();
        choice.partitions = partitions;
        let current = self.current.load(Ordering::Relaxed);
        if choice.partitions.binary_search(&current).is_err() {
            self.go_on_from(current, &mut choice);
        }
    }

    /// The partition of the moment: another one if this was given enough and no batch `is_open` there.
    pub(crate) fn next(&self, is_open: impl FnOnce(i32) -> bool) -> i32 {
        let current = self.current.load(Ordering::Relaxed);
        if self.given.load(Ordering::Relaxed) < self.enough || is_open(current) {
            return current;
        }
        self.leave(current)
    }

    /// Notes what a partition was given. Once that is enough, another one is next as soon as a batch
    /// `is_full`: one that is not would be left half empty. But not for ever.
    pub(crate) fn gave(&self, to: i32, bytes: usize, is_full: bool) {
        let given = self.given.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if given >= self.enough && is_full || given >= self.enough.saturating_mul(2) {
            self.leave(to);
        }
    }

    /// Goes to another partition, if there is one, and tells which is the one of the moment. Those
    /// who come late with the same news change nothing.
    fn leave(&self, left: i32) -> i32 {
        let mut choice = self.choice();
        let current = self.current.load(Ordering::Relaxed);
        if left == current { self.go_on_from(current, &mut choice) } else { current }
    }

    fn go_on_from(&self, current: i32, choice: &mut Choice) -> i32 {
        self.given.store(0, Ordering::Relaxed);
        let next = choice.other_than(current);
        self.current.store(next, Ordering::Relaxed);
        next
    }

    fn choice(&self) -> MutexGuard<'_, Choice> {
        self.choice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Choice {
    /// Any partition but this one, unless there is no other.
    fn other_than(&mut self, current: i32) -> i32 {
        let count = self.partitions.len();
        let place = match self.partitions.binary_search(&current) {
            Ok(place) if count > 1 => (place + 1 + self.below(count - 1)) % count,
            Ok(place) => place,
            Err(_) => self.below(count),
        };
        self.partitions.get(place).copied().unwrap_or(0)
    }

    fn below(&mut self, count: usize) -> usize {
        let bound = u64::try_from(count).unwrap_or(u64::MAX);
        usize::try_from(self.random.below(bound)).unwrap_or(0)
    }
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

    /// A choice among three, and how often each was the next in `times` times of `fill`.
    fn chosen(times: usize, fill: impl Fn(&Sticky, i32)) -> [usize; 3] {
        let sticky = sticky(3);
        let mut seen = [0; 3];
        for _ in 0..times {
            let current = sticky.next(|_| false);
            seen[usize::try_from(current).unwrap()] += 1;
            fill(&sticky, current);
        }
        seen
    }

    const ENOUGH: usize = 100;

    /// A choice among so many.
    fn sticky(count: i32) -> Sticky {
        Sticky::new(Random::seeded(1), (0..count).collect(), ENOUGH)
    }

    #[test]
    fn partitions_that_are_not_to_choose_from_are_passed_over() {
        let sticky = sticky(3);
        let lost = sticky.next(|_| false);
        let others: Vec<i32> = (0..3).filter(|other| *other != lost).collect();
        sticky.choose_from(others.clone());
        let mut seen = [0; 3];
        for _ in 0..100 {
            let current = sticky.next(|_| true);
            seen[usize::try_from(current).unwrap()] += 1;
            sticky.gave(current, ENOUGH, true);
        }
        assert!(others.iter().all(|it| seen[usize::try_from(*it).unwrap()] > 20), "{seen:?}");
        assert_eq!(seen.iter().sum::<usize>(), 100);
        assert_eq!(seen[usize::try_from(lost).unwrap()], 0);
        // It is there again, and those that went on stay where they are.
        let current = sticky.next(|_| true);
        sticky.choose_from((0..3).collect());
        assert_eq!(sticky.next(|_| true), current);
        sticky.choose_from(vec![lost]);
        for _ in 0..3 {
            assert_eq!(sticky.next(|_| false), lost);
            sticky.gave(lost, ENOUGH, true);
        }
    }

    #[test]
    fn a_full_batch_is_followed_by_another_partition() {
        let seen = chosen(300, |sticky, current| {
            sticky.gave(current, ENOUGH, true);
            let next = sticky.next(|_| false);
            assert_ne!(next, current);
            // The same news, late: of one who filled it, too, and of one who saw that.
            sticky.leave(current);
            assert_eq!(sticky.next(|_| false), next);
        });
        assert!(seen.iter().all(|times| *times > 50), "{seen:?}");
        let only = sticky(1);
        only.gave(0, 2 * ENOUGH, true);
        // It counts anew, so that nobody looks at every record.
        assert_eq!(only.next(|_| panic!("too little was given")), 0);
    }

    #[test]
    fn small_batches_are_followed_by_another_partition_once_they_are_as_much_as_a_full_one() {
        let seen = chosen(3_000, |sticky, current| sticky.gave(current, 10, false));
        assert!(seen.iter().all(|times| *times > 500 && times % 10 == 0), "{seen:?}");
    }

    #[test]
    fn a_batch_that_is_open_is_filled_but_not_for_ever() {
        let sticky = sticky(3);
        let first = sticky.next(|_| true);
        for _ in 0..19 {
            sticky.gave(first, 10, false);
            assert_eq!(sticky.next(|_| true), first);
        }
        sticky.gave(first, 10, false);
        assert_ne!(sticky.next(|_| true), first);
    }
}
