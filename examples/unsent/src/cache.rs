//! What waits for pairs of users, as far as it is at hand.

use lru::LruCache;

use crate::waiting::Waiting;

/// Whom a message is for, and who wrote it.
pub(crate) type Pair = (String, String);

/// The texts of a partition that are at hand, about, whose ids take some hundred bytes each; a pair
/// counts for a few.
const WEIGHT_MAX: usize = 60_000;
const PAIR_WEIGHT: usize = 4;

/// The pairs that were looked at last. None goes before it is told to.
#[derive(Debug)]
pub(crate) struct Cache {
    pairs: LruCache<Pair, Waiting>,
    weight: usize,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { pairs: LruCache::unbounded(), weight: 0 }
    }

    /// Whether the pair is at hand; it is looked at.
    pub(crate) fn has(&mut self, pair: &Pair) -> bool {
        self.pairs.get(pair).is_some()
    }

    pub(crate) fn peek(&self, pair: &Pair) -> Option<&Waiting> {
        self.pairs.peek(pair)
    }

    pub(crate) fn put(&mut self, pair: Pair, waiting: Waiting) {
        self.weight += weight(&waiting);
        if let Some(before) = self.pairs.put(pair, waiting) {
            self.weight -= weight(&before);
        }
    }

    /// Changes a pair; one that is not there has nothing waiting.
    pub(crate) fn change<R>(&mut self, pair: &Pair, change: impl FnOnce(&mut Waiting) -> R) -> R {
        if !self.has(pair) {
            self.put(pair.clone(), Waiting::default());
        }
        let waiting = self.pairs.get_or_insert_mut_ref(pair, Waiting::default);
        let before = weight(waiting);
        let result = change(waiting);
        self.weight = self.weight + weight(waiting) - before;
        result
    }

    /// Lets those go that were looked at longest ago, if there are too many.
    pub(crate) fn shrink(&mut self) {
        while self.weight > WEIGHT_MAX
            && let Some((_, waiting)) = self.pairs.pop_lru()
        {
            self.weight -= weight(&waiting);
        }
    }
}

fn weight(waiting: &Waiting) -> usize {
    PAIR_WEIGHT + waiting.texts()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Event, Message};

    fn write(cache: &mut Cache, pair: &Pair, offset: i64) {
        let event = Event::Message(Message {
            touser: pair.0.clone(),
            fromuser: pair.1.clone(),
            message: "hi".into(),
            message_id: offset.to_string(),
        });
        cache.change(pair, |waiting| waiting.apply(&event, offset, 0, &mut Vec::new()));
    }

    #[test]
    fn a_cache_is_as_large_as_the_texts_in_it() {
        let mut cache = Cache::new();
        let pair = |n: usize| (n.to_string(), "alice".to_owned());
        for n in 0..2_000 {
            for offset in 0..50 {
                write(&mut cache, &pair(n), offset);
            }
        }
        assert_eq!(cache.weight, 2_000 * (PAIR_WEIGHT + 50));
        assert!(cache.has(&pair(0)), "the oldest is looked at, and so is not the oldest");
        cache.shrink();
        assert!(cache.weight <= WEIGHT_MAX && cache.weight > WEIGHT_MAX - 2 * (PAIR_WEIGHT + 50));
        assert!(cache.peek(&pair(0)).is_some() && cache.peek(&pair(1)).is_none());
        assert_eq!(cache.pairs.len() * (PAIR_WEIGHT + 50), cache.weight);
    }
}
