//! What reads leave behind about a segment, for the reads that follow. Never written down.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use klamm_protocol::records::{BatchHeader, Compression};

/// Ranges with verified checksums that are remembered at most: readers that go on from where they
/// were leave one each.
const VERIFIED_MAX: usize = 32;
/// Ends of reads that are remembered at most.
const ENDS_MAX: usize = 16;

/// Guarded by mutexes that are held to look at or change a few words.
#[derive(Debug)]
pub(crate) struct Notes {
    verified: Mutex<Verified>,
    ends: Mutex<Ends>,
    is_cut: AtomicBool,
    has_zstd: AtomicBool,
}

impl Notes {
    /// Of a segment of this size, of which nothing was read since the start. What is appended to
    /// it was verified before.
    pub(crate) fn new(size: u32) -> Self {
        let verified = Mutex::new(Verified::behind(size));
        let (is_cut, has_zstd) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { verified, ends: Mutex::default(), is_cut, has_zstd }
    }

    /// Which checksums need not be verified again.
    pub(crate) fn verified(&self) -> MutexGuard<'_, Verified> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where reads ended.
    pub(crate) fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a batch that is appended, or about to count as verified.
    pub(crate) fn note_batch(&self, header: &BatchHeader) {
        if header.attributes.compression() == Ok(Compression::Zstd) {
            self.has_zstd.store(true, Ordering::Relaxed);
        }
    }

    /// Whether any batch that was verified may be compressed with zstd.
    pub(crate) fn has_zstd(&self) -> bool {
        self.has_zstd.load(Ordering::Relaxed)
    }

    /// Says that the file is about to be cut: what was behind the cut may come to be another.
    pub(crate) fn note_cut(&self) {
        self.is_cut.store(true, Ordering::Release);
    }

    /// Whether the file was cut since. The notes of what is left are others.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }
}

/// The positions between which every checksum was found right since the start, by whoever
/// appended or read, while the bytes have stayed in memory, as far as can be seen: the kernel may
/// bring some back unasked.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Sorted; no two ranges touch.
    ranges: Vec<Range<u64>>,
    /// The largest size at which all was new. What lies behind was appended since.
    size: u32,
}

impl Verified {
    fn behind(size: u32) -> Self {
        Self { ranges: std::iter::once(size.into()..u64::MAX).collect(), size }
    }

    /// Up to where all from `position` on is verified; `position` itself where it is not.
    pub(crate) fn reach(&self, position: u64) -> u64 {
        let holds = self.ranges.iter().find(|range| range.contains(&position));
        holds.map_or(position, |range| range.end)
    }

    /// Takes note of a range of whole batches.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        let ranges = &mut self.ranges;
        let first = ranges.partition_point(|known| known.end < range.start);
        let last = ranges.partition_point(|known| known.start <= range.end);
        let touched = ranges.get(first..last).unwrap_or_default();
        let start = touched.first().map_or(range.start, |known| known.start.min(range.start));
        let end = touched.last().map_or(range.end, |known| known.end.max(range.end));
        ranges.splice(first..last, std::iter::once(start..end));
        if ranges.len() > VERIFIED_MAX {
            let length = |at: &usize| ranges.get(*at).map_or(u64::MAX, |it| it.end - it.start);
            let shortest = (0..ranges.len()).min_by_key(length);
            shortest.map(|at| ranges.remove(at));
        }
    }

    /// Bytes came from the device, and more may have come with them: all of a segment of this
    /// size counts as new. Others may have seen it larger.
    pub(crate) fn forget(&mut self, size: u32) {
        *self = Self::behind(size.max(self.size));
    }
}

/// Where batches start at which a read ended, so that the one that goes on there asks no index.
#[derive(Debug, Default)]
pub(crate) struct Ends(VecDeque<End>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    /// The generation of the log: what was true before segments changed says nothing.
    generation: u64,
    offset: i64,
    position: u64,
}

impl Ends {
    /// The position of the batch that begins with `offset`, if a read ended before it.
    pub(crate) fn find(&self, generation: u64, offset: i64) -> Option<u64> {
        let found = self.0.iter().find(|end| end.generation == generation && end.offset == offset);
        found.map(|end| end.position)
    }

    /// Takes note that a read ended at `position`, before `offset`.
    pub(crate) fn add(&mut self, generation: u64, offset: i64, position: u64) {
        let end = End { generation, offset, position };
        if self.0.contains(&end) {
            return;
        }
        if self.0.len() >= ENDS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_appended_counts_as_verified_and_what_was_there_does_not() {
        let mut verified = Verified::behind(100);
        assert_eq!((verified.reach(99), verified.reach(100)), (99, u64::MAX));
        verified.add(40..100);
        assert_eq!((verified.reach(39), verified.reach(40)), (39, u64::MAX));
        verified.forget(200);
        assert_eq!((verified.reach(40), verified.reach(200)), (40, u64::MAX));
        verified.forget(150);
        assert_eq!((verified.reach(150), verified.reach(200)), (150, u64::MAX));
    }

    proptest! {
        #[test]
        fn ranges_say_what_a_set_of_bytes_says(
            added in proptest::collection::vec((0u64..200, 1u64..30), 0..25),
        ) {
            let mut verified = Verified { ranges: Vec::new(), size: 0 };
            let mut plain = [false; 240];
            for (start, len) in added {
                verified.add(start..start + len);
                plain[start as usize..(start + len) as usize].fill(true);
            }
            for at in 0..plain.len() {
                let end = at + plain[at..].iter().take_while(|known| **known).count();
                prop_assert_eq!(verified.reach(at as u64), end as u64);
            }
            let apart = verified.ranges.windows(2).all(|pair| pair[0].end < pair[1].start);
            prop_assert!(apart);
        }
    }

    #[test]
    fn the_number_of_notes_is_bounded_and_the_longest_ranges_stay() {
        let mut verified = Verified { ranges: Vec::new(), size: 0 };
        for at in 0..100 {
            verified.add(1000 * at..1000 * at + 1 + at);
        }
        assert_eq!(verified.ranges.len(), VERIFIED_MAX);
        assert_eq!(verified.reach(99_000), 99_100);
        let mut ends = Ends::default();
        for at in 0..100 {
            ends.add(0, at, 10);
            ends.add(0, at, 10);
        }
        assert_eq!(ends.0.len(), ENDS_MAX);
        assert_eq!((ends.find(0, 99), ends.find(1, 99), ends.find(0, 1)), (Some(10), None, None));
    }
}
