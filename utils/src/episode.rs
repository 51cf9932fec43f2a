//! Failures that last: said once when they begin, and once when they are over.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something fails at present. Says to one caller each time that it begins, and to one that
/// it has ended.
#[derive(Debug, Default)]
pub struct Episode(AtomicBool);

impl Episode {
    /// Takes note of a failure: whether it is the first.
    pub fn fails(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// Takes note of a success: whether there were failures before it.
    pub fn succeeds(&self) -> bool {
        // Nearly always there were none, and nothing is written.
        self.is_on() && self.0.swap(false, Ordering::Relaxed)
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_begin_and_each_end_is_told_once() {
        let episode = Episode::default();
        assert!(!episode.succeeds() && !episode.is_on());
        for _ in 0..2 {
            assert!(episode.fails() && !episode.fails() && episode.is_on());
            assert!(episode.succeeds() && !episode.succeeds() && !episode.is_on());
        }
    }
}
