//! What is to be compacted, and when: pure functions of what is known about segments.

use std::ops::Range;

/// A full segment, as far as a plan depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Its first offset.
    pub(crate) base: i64,
    /// The first offset behind it.
    pub(crate) next: i64,
    /// Bytes of its batches.
    pub(crate) size: u32,
    /// Bytes of its larger index.
    pub(crate) index_size: u32,
    /// The timestamp of its first batch, where it has one.
    pub(crate) first_timestamp: Option<i64>,
    /// The greatest timestamp, or when the segment was made.
    pub(crate) largest_timestamp: i64,
}

/// What of a log may be compacted, and how much of that never was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dirt {
    /// How many segments, from the first on.
    pub(crate) segments: usize,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// The bytes of those that were not compacted, or not to their end.
    pub(crate) dirty_bytes: u64,
    /// The least timestamp of those.
    pub(crate) oldest_ms: Option<i64>,
}

/// Looks at the full segments of a log, in order.
///
/// `first_dirty` is the offset up to which it was compacted. All that is compacted lies before
/// `limit`, and no dirty segment with a record that is younger than `young_ms` is touched.
pub(crate) fn dirt(extents: &[Extent], first_dirty: i64, limit: i64, young_ms: i64) -> Dirt {
    let mut dirt = Dirt::default();
    for extent in extents {
        let is_dirty = extent.next > first_dirty;
        if extent.next > limit || (is_dirty && extent.largest_timestamp > young_ms) {
            break;
        }
        dirt.segments += 1;
        dirt.bytes += u64::from(extent.size);
        if is_dirty {
            dirt.dirty_bytes += u64::from(extent.size);
            let first = extent.first_timestamp.filter(|timestamp| *timestamp > 0);
            dirt.oldest_ms = dirt.oldest_ms.into_iter().chain(first).min();
        }
    }
    dirt
}

impl Dirt {
    /// The share of the bytes that was not compacted yet.
    pub(crate) fn ratio(&self) -> f64 {
        if self.bytes == 0 { 0.0 } else { self.dirty_bytes as f64 / self.bytes as f64 }
    }

    /// Whether a pass is due: the ratio exceeds `ratio_min`, or something has waited since before
    /// `overdue_ms`.
    pub(crate) fn is_due(&self, ratio_min: f64, overdue_ms: i64) -> bool {
        let overdue = self.oldest_ms.is_some_and(|oldest| oldest < overdue_ms);
        self.dirty_bytes > 0 && (self.ratio() > ratio_min || overdue)
    }
}

/// What one segment may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentLimits {
    /// `segment.bytes`.
    pub(crate) bytes: u32,
    /// `segment.index.bytes`.
    pub(crate) index_bytes: u32,
}

/// Which neighbours become one segment: as many as surely fit into one. Each is in one group.
pub(crate) fn groups(extents: &[Extent], limits: SegmentLimits) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let (mut size, mut index_size, mut base) = (0, 0, 0);
    for (i, extent) in extents.iter().enumerate() {
        size += u64::from(extent.size);
        index_size += u64::from(extent.index_size);
        let fits = size <= limits.bytes.into()
            && index_size <= limits.index_bytes.into()
            && extent.next - base <= i64::from(i32::MAX);
        match groups.last_mut() {
            Some(group) if fits => group.end = i + 1,
            _ => {
                groups.push(i..i + 1);
                (size, index_size) = (extent.size.into(), extent.index_size.into());
                base = extent.base;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extent(base: i64, size: u32) -> Extent {
        let time = 100 * base;
        let (first_timestamp, largest_timestamp) = (Some(time + 1), time + 99);
        Extent { base, next: base + 10, size, index_size: 8, first_timestamp, largest_timestamp }
    }

    fn extents() -> Vec<Extent> {
        vec![extent(0, 100), extent(10, 200), extent(20, 300), extent(30, 400)]
    }

    fn check(first_dirty: i64, limit: i64, young_ms: i64, segments: usize, dirty_bytes: u64) {
        let dirt = dirt(&extents(), first_dirty, limit, young_ms);
        assert_eq!((dirt.segments, dirt.dirty_bytes), (segments, dirty_bytes));
    }

    #[test]
    fn dirty_is_what_was_not_compacted_to_its_end_and_lies_below_the_limit() {
        check(0, 40, i64::MAX, 4, 1000);
        check(10, 40, i64::MAX, 4, 900);
        check(15, 40, i64::MAX, 4, 900);
        check(20, 39, i64::MAX, 3, 300);
        check(40, 40, i64::MAX, 4, 0);
        check(0, 9, i64::MAX, 0, 0);
    }

    #[test]
    fn young_records_wait_but_hold_up_no_clean_segment() {
        check(0, 40, 1099, 2, 300);
        check(20, 40, 0, 2, 0);
        check(20, 40, 2099, 3, 300);
    }

    #[test]
    fn a_pass_is_due_by_the_share_or_by_the_age_of_what_is_dirty() {
        let dirt = dirt(&extents(), 30, 40, i64::MAX);
        assert_eq!((dirt.ratio(), dirt.oldest_ms), (0.4, Some(3001)));
        assert!(dirt.is_due(0.39, 0) && !dirt.is_due(0.4, 0));
        assert!(dirt.is_due(0.9, 3002) && !dirt.is_due(0.9, 3001));
        let clean = super::dirt(&extents(), 40, 40, i64::MAX);
        assert!(!clean.is_due(0.0, i64::MAX));
        assert!(!Dirt::default().is_due(0.0, i64::MAX));
    }

    #[test]
    fn neighbours_are_merged_as_far_as_they_fit() {
        let limits = |bytes, index_bytes| SegmentLimits { bytes, index_bytes };
        assert_eq!(groups(&extents(), limits(600, 1000)), [0..3, 3..4]);
        assert_eq!(groups(&extents(), limits(50, 1000)), [0..1, 1..2, 2..3, 3..4]);
        assert_eq!(groups(&extents(), limits(5000, 16)), [0..2, 2..4]);
        let far = [extent(0, 1), extent(i64::from(i32::MAX) - 10, 1), extent(1 << 32, 1)];
        assert_eq!(groups(&far, limits(5000, 1000)), [0..2, 2..3]);
    }

    proptest! {
        #[test]
        fn each_segment_is_in_one_group_that_fits(
            sizes in prop::collection::vec(0u32..1000, 0..40), bytes in 1u32..3000,
        ) {
            let extents: Vec<_> =
                sizes.iter().enumerate().map(|(i, size)| extent(10 * i as i64, *size)).collect();
            let groups = groups(&extents, SegmentLimits { bytes, index_bytes: 64 });
            let all: Vec<usize> = groups.iter().cloned().flatten().collect();
            prop_assert_eq!(all, (0..sizes.len()).collect::<Vec<_>>());
            for group in groups {
                let size: u32 = sizes[group.clone()].iter().sum();
                prop_assert!(group.len() == 1 || (size <= bytes && group.len() <= 8));
            }
        }
    }
}
