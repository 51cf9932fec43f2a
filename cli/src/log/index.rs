//! The entries of `.index` and `.timeindex` files.

use serde::Serialize;

/// An entry, with the base offset of its segment added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Entry {
    Offset { offset: i64, position: u32 },
    Time { timestamp: i64, offset: i64 },
}

impl Entry {
    /// As `kafka-dump-log` prints it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Offset { offset, position } => format!("offset: {offset} position: {position}\n"),
            Self::Time { timestamp, offset } => {
                format!("timestamp: {timestamp} offset: {offset}\n")
            }
        }
    }
}

/// The entries of an `.index` file; bytes behind the last whole entry are left out, as are the
/// zeros of space that was reserved and not used.
pub(super) fn offsets(bytes: &[u8], base: i64) -> Vec<Entry> {
    let (entries, _) = bytes.as_chunks::<8>();
    let entries = entries.iter().map(|entry| u64::from_be_bytes(*entry));
    let mut entries: Vec<_> = entries
        .map(|entry| (entry >> 32, u32::try_from(entry & 0xffff_ffff).unwrap_or(0)))
        .collect();
    trim(&mut entries, |entry| *entry == (0, 0));
    let entry = |(relative, position): (u64, u32)| Entry::Offset {
        offset: base.saturating_add_unsigned(relative),
        position,
    };
    entries.into_iter().map(entry).collect()
}

/// The entries of a `.timeindex` file, with the same left out.
pub(super) fn times(bytes: &[u8], base: i64) -> Vec<Entry> {
    let (entries, _) = bytes.as_chunks::<12>();
    let mut entries: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let (timestamp, relative) = entry.split_first_chunk()?;
            let relative = u32::from_be_bytes(relative.try_into().ok()?);
            Some((i64::from_be_bytes(*timestamp), relative))
        })
        .collect();
    trim(&mut entries, |entry| *entry == (0, 0));
    let entry = |(timestamp, relative): (i64, u32)| Entry::Time {
        timestamp,
        offset: base.saturating_add_unsigned(relative.into()),
    };
    entries.into_iter().map(entry).collect()
}

fn trim<T>(entries: &mut Vec<T>, is_unused: impl Fn(&T) -> bool) {
    let used = entries.iter().rposition(|entry| !is_unused(entry)).map_or(0, |last| last + 1);
    entries.truncate(used);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_whole_and_used() {
        let bytes = [&[0, 0, 0, 5, 0, 0, 1, 0][..], &[0; 16], &[9; 3]].concat();
        assert_eq!(offsets(&bytes, 100), [Entry::Offset { offset: 105, position: 256 }]);
        let bytes = [&[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 5][..], &[0; 12]].concat();
        let entries = times(&bytes, 100);
        assert_eq!(entries, [Entry::Time { timestamp: 7, offset: 105 }]);
        assert_eq!(entries[0].text(), "timestamp: 7 offset: 105\n");
        assert_eq!(offsets(&[], 0), []);
    }
}
