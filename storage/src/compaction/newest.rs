//! The newest offset of each key, in bounded memory.

use twox_hash::XxHash3_128;

/// Slots of the smallest table.
const SLOTS_MIN: usize = 16;
/// Marks a slot without a key: no record has this offset.
const EMPTY: i64 = -1;

/// One key, by its 128-bit hash, and the newest offset it was seen at.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: [u64; 2],
    offset: i64,
}

/// The newest offset of each key in a range of a log.
///
/// An open-addressed table which doubles as it fills, up to a number of bytes. Keys are told apart
/// by their 128-bit hash alone: among a billion of them the chance that two meet is below 10^-20.
#[derive(Debug)]
pub(crate) struct NewestOffsets {
    slots: Vec<Slot>,
    keys: usize,
    bytes_max: usize,
    end: i64,
}

impl NewestOffsets {
    /// An empty table that covers all before `end` and takes no more than about `bytes_max`, unless
    /// it is asked to.
    pub(crate) fn new(bytes_max: usize, end: i64) -> Self {
        let slots = vec![Slot { hash: [0; 2], offset: EMPTY }; SLOTS_MIN];
        Self { slots, keys: 0, bytes_max, end }
    }

    /// Takes note of a record. Offsets of one key come in rising order. `false` when the key is
    /// new and there is no room for it.
    pub(crate) fn note(&mut self, key: &[u8], offset: i64) -> bool {
        self.note_within(self.bytes_max, key, offset)
    }

    /// Takes note of a record, whatever room that takes.
    pub(crate) fn note_at_any_size(&mut self, key: &[u8], offset: i64) {
        self.note_within(usize::MAX, key, offset);
    }

    fn note_within(&mut self, bytes_max: usize, key: &[u8], offset: i64) -> bool {
        let hash = hash(key);
        let at = self.find(hash);
        if self.slots.get(at).is_none_or(|slot| slot.offset == EMPTY) {
            if self.is_full() && !self.grow(bytes_max) {
                return false;
            }
            self.keys += 1;
        }
        let at = self.find(hash);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot { hash, offset: offset.max(slot.offset).max(0) };
        }
        true
    }

    /// The newest offset at which a key was noted.
    pub(crate) fn get(&self, key: &[u8]) -> Option<i64> {
        let slot = self.slots.get(self.find(hash(key)))?;
        (slot.offset != EMPTY).then_some(slot.offset)
    }

    /// All records before this offset were noted, or lie before the range.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// All records before `end` were noted.
    pub(crate) fn cover(&mut self, end: i64) {
        self.end = self.end.max(end);
    }

    /// How many keys were noted.
    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// Beyond three quarters searches become long.
    fn is_full(&self) -> bool {
        self.keys >= self.slots.len() / 4 * 3
    }

    fn grow(&mut self, bytes_max: usize) -> bool {
        let len = self.slots.len() * 2;
        if len * size_of::<Slot>() > bytes_max {
            return false;
        }
        let before = std::mem::take(&mut self.slots);
        self.slots = vec![Slot { hash: [0; 2], offset: EMPTY }; len];
        for slot in before.into_iter().filter(|slot| slot.offset != EMPTY) {
            let at = self.find(slot.hash);
            if let Some(free) = self.slots.get_mut(at) {
                *free = slot;
            }
        }
        true
    }

    /// Where a hash is, or the free slot where it would be. There is always a free one.
    fn find(&self, hash: [u64; 2]) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = usize::try_from(hash[0] & mask as u64).unwrap_or(0);
        while self.slots.get(at).is_some_and(|slot| slot.offset != EMPTY && slot.hash != hash) {
            at = (at + 1) & mask;
        }
        at
    }
}

fn hash(key: &[u8]) -> [u64; 2] {
    let hash = XxHash3_128::oneshot(key);
    [hash as u64, (hash >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_table_takes_no_new_key_and_goes_on_with_the_old_ones() {
        let mut newest = NewestOffsets::new(4096 * size_of::<Slot>(), 0);
        let taken = (0..10_000i64).take_while(|i| newest.note(&i.to_be_bytes(), *i)).count();
        assert_eq!((taken, newest.keys()), (3072, 3072));
        assert!(newest.note(&5i64.to_be_bytes(), 20_000));
        assert_eq!(newest.get(&5i64.to_be_bytes()), Some(20_000));
        assert_eq!(newest.get(&9_999i64.to_be_bytes()), None);
        newest.note_at_any_size(&9_999i64.to_be_bytes(), 30_000);
        assert_eq!(newest.get(&9_999i64.to_be_bytes()), Some(30_000));
        assert_eq!((newest.get(&5i64.to_be_bytes()), newest.keys()), (Some(20_000), 3073));
    }

    proptest! {
        #[test]
        fn it_is_a_map(keys in prop::collection::vec(0u32..4000, 0..6000)) {
            let mut newest = NewestOffsets::new(1 << 20, 0);
            let mut model = HashMap::new();
            for (offset, key) in keys.iter().enumerate() {
                prop_assert!(newest.note(&key.to_be_bytes(), offset as i64));
                model.insert(*key, offset as i64);
            }
            prop_assert_eq!(newest.keys(), model.len());
            for key in 0..4000u32 {
                prop_assert_eq!(newest.get(&key.to_be_bytes()), model.get(&key).copied());
            }
        }
    }
}
