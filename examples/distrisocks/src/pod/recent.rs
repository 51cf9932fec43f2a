//! What was looked at last, up to a number.

use std::hash::Hash;

use lru::LruCache;

/// Values by their keys. One too many has the one go that was looked at longest ago.
#[derive(Debug)]
pub(super) struct Recent<K: Hash + Eq, V> {
    /// It grows as it is used: one with a bound of its own would take all of its room at once.
    values: LruCache<K, V>,
    max: usize,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    /// At most so many.
    pub(super) fn new(max: usize) -> Self {
        Self { values: LruCache::unbounded(), max }
    }

    /// The value of a key, which is looked at by that.
    pub(super) fn get(&mut self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    /// The key has this value.
    pub(super) fn put(&mut self, key: K, value: V) {
        self.values.put(key, value);
        if self.values.len() > self.max {
            self.values.pop_lru();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_was_looked_at_longest_ago_goes() {
        let mut recent = Recent::new(2);
        recent.put("a", 1);
        recent.put("b", 2);
        assert_eq!(recent.get(&"a"), Some(&1));
        recent.put("c", 3);
        assert_eq!(recent.get(&"b"), None);
        assert_eq!(recent.get(&"a"), Some(&1));
    }
}
