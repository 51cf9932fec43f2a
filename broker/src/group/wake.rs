//! When a group is to be looked at.

use std::time::Duration;

/// The earliest deadline of a group, or a moment before: heartbeats move deadlines without a look
/// at it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Wake(Duration);

impl Default for Wake {
    /// Nothing is ever due.
    fn default() -> Self {
        Self(Duration::MAX)
    }
}

impl Wake {
    /// At the first of these.
    pub(crate) fn at_first(deadlines: impl Iterator<Item = Duration>) -> Self {
        deadlines.min().map_or_else(Self::default, Self)
    }

    /// There is another deadline.
    pub(crate) fn by(&mut self, deadline: Duration) {
        self.0 = self.0.min(deadline);
    }

    /// Whether something may be due.
    pub(crate) fn is_due(self, now: Duration) -> bool {
        self.0 <= now
    }

    /// When something may be due; none if nothing ever is.
    pub(crate) fn deadline(self) -> Option<Duration> {
        (self.0 != Duration::MAX).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_deadline_counts() {
        let mut wake = Wake::default();
        assert!(wake.deadline().is_none() && !wake.is_due(Duration::from_hours(1)));
        for (deadline, first) in [(7, 7), (9, 7), (5, 5)] {
            wake.by(Duration::from_secs(deadline));
            assert_eq!(wake.deadline(), Some(Duration::from_secs(first)));
        }
        assert!(!wake.is_due(Duration::from_millis(4_999)) && wake.is_due(Duration::from_secs(5)));
        assert_eq!(Wake::at_first(std::iter::empty()).deadline(), None);
        let all = [3, 2].map(Duration::from_secs);
        assert_eq!(Wake::at_first(all.into_iter()).deadline(), Some(Duration::from_secs(2)));
    }
}
