//! Whom the next sync of a log waits for.
//!
//! Clients fall into two halves where several appends are under way: while the sync for one half
//! runs, the other is answered and comes again, so that each sync covers half of what it could and
//! costs nearly as much. So a sync waits for as many appends as the last one has just committed
//! beside those that waited then, for a part of the time which that one took.
//!
//! That pays only with clients who wait for answers before they send more. If they don't come in
//! time, or if others come all the same while the sync runs, some syncs do not wait: the more of
//! them, the oftener it happens in a row. Nobody waits in a log that was idle, nor for one client
//! with one request under way.

use std::sync::MutexGuard;
use std::time::Duration;

use super::{LogInner, State};

/// A shorter wait ends later than it should: timers are that coarse.
const WAIT_MIN: Duration = Duration::from_micros(50);
/// How many syncs do not wait after one that did in vain: the first time, and at most.
const ALONE: (u8, u8) = (4, 128);

/// What a log remembers of its last sync, and of whether waiting pays.
#[derive(Debug)]
pub(crate) struct Company {
    /// Appends that the last sync committed, and those that waited when it ended.
    expected: usize,
    /// When nobody is expected any more.
    until: Duration,
    wait: Wait,
    /// Syncs that are not to wait though they could.
    alone: u8,
    /// How many there will be after the next wait in vain.
    alone_next: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// None, or one in vain.
    None,
    /// A sync waits.
    UnderWay,
    /// The sync that is due or runs has waited until all were there.
    Complete,
}

impl Default for Company {
    fn default() -> Self {
        let (expected, until, wait) = (0, Duration::ZERO, Wait::None);
        Self { expected, until, wait, alone: 0, alone_next: ALONE.0 }
    }
}

impl Company {
    /// Whether a sync waits.
    pub(crate) fn is_awaited(&self) -> bool {
        self.wait == Wait::UnderWay
    }

    /// Whether a sync waits that need not any more, now that the last of so many appends is there.
    pub(super) fn is_just_complete(&self, appends: usize) -> bool {
        self.is_awaited() && appends == self.expected
    }

    fn is_complete(&self, appends: usize) -> bool {
        appends >= self.expected
    }

    /// How long a sync waits that is due at `now` with so many appends; `None`: not at all.
    fn begin(&mut self, now: Duration, appends: usize) -> Option<Duration> {
        self.wait = Wait::None;
        let left = self.until.saturating_sub(now);
        if left < WAIT_MIN || self.is_complete(appends) {
            return None;
        }
        if let Some(alone) = self.alone.checked_sub(1) {
            self.alone = alone;
            return None;
        }
        self.wait = Wait::UnderWay;
        Some(left)
    }

    /// The wait is over, with so many appends.
    fn end(&mut self, appends: usize) {
        if self.is_complete(appends) {
            self.wait = Wait::Complete;
        } else {
            self.was_in_vain();
        }
    }

    /// A sync has committed so many appends, while others wait. The next may wait until then.
    pub(super) fn synced(&mut self, committed: usize, waiting: usize, until: Duration) {
        match self.wait {
            Wait::Complete if waiting > 0 => self.was_in_vain(),
            Wait::Complete => self.alone_next = ALONE.0,
            Wait::None | Wait::UnderWay => {}
        }
        self.wait = Wait::None;
        self.expected = committed + waiting;
        self.until = until;
    }

    fn was_in_vain(&mut self) {
        self.wait = Wait::None;
        self.alone = self.alone_next;
        self.alone_next = self.alone_next.saturating_mul(2).min(ALONE.1);
    }
}

impl LogInner {
    /// Locks the log for a sync to begin, once those are there whom it waits for.
    pub(super) fn lock_in_company(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let appends = state.pending.len();
        let wait = state.company.begin(self.core.clock.elapsed(), appends);
        let Some(wait) = wait else { return state };
        let is_short =
            |state: &mut State| !state.closed && !state.company.is_complete(state.pending.len());
        let waited = self.gathered.wait_timeout_while(state, wait, is_short);
        let (mut state, _) = waited.expect("no code panics while it holds the log");
        let appends = state.pending.len();
        state.company.end(appends);
        state
    }

    /// Until when the next sync may wait, after one that took so long.
    pub(super) fn gather_until(&self, took: Duration) -> Duration {
        self.core.clock.elapsed() + (took * 3 / 4).min(self.core.gather_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Duration = Duration::from_millis(3);
    const NOW: Duration = Duration::from_millis(2);

    /// After a sync that has committed three while two waited.
    fn after_a_sync() -> Company {
        let mut company = Company::default();
        company.synced(3, 2, LATER);
        company
    }

    #[test]
    fn a_sync_waits_for_as_many_as_the_last_one_committed() {
        let mut company = after_a_sync();
        assert_eq!(company.begin(NOW, 2), Some(LATER - NOW));
        assert_eq!([3, 4, 5].map(|there| company.is_just_complete(there)), [false, false, true]);
        company.end(5);
        assert!(!company.is_just_complete(5), "nobody waits any more");
    }

    #[test]
    fn a_sync_begins_at_once_where_nobody_is_expected() {
        assert_eq!(Company::default().begin(NOW, 1), None);
        assert_eq!(after_a_sync().begin(NOW, 5), None, "all are there");
        assert_eq!(after_a_sync().begin(LATER, 2), None, "it was long ago");
        assert_eq!(after_a_sync().begin(LATER - WAIT_MIN / 2, 2), None, "too short to be timed");
        let mut company = Company::default();
        company.synced(1, 0, LATER);
        assert_eq!(company.begin(NOW, 1), None, "one client with one request");
    }

    /// How many syncs begin at once before one waits.
    fn alone(company: &mut Company) -> usize {
        (0..1000).take_while(|_| company.begin(NOW, 2).is_none()).count()
    }

    #[test]
    fn the_oftener_a_sync_waits_in_vain_the_more_begin_at_once() {
        let mut company = after_a_sync();
        let mut counts = Vec::new();
        for _ in 0..8 {
            counts.push(alone(&mut company));
            company.end(4);
        }
        assert_eq!(counts, [0, 4, 8, 16, 32, 64, 128, 128]);
    }

    #[test]
    fn waiting_is_in_vain_if_others_come_while_the_sync_runs() {
        let mut company = after_a_sync();
        let mut gathered = |waiting| {
            let before = alone(&mut company);
            company.end(5);
            company.synced(5, waiting, LATER);
            company.synced(3, 2, LATER);
            before
        };
        assert_eq!([1, 1, 0, 0, 1, 0].map(&mut gathered), [0, 4, 8, 0, 0, 4]);
    }

    #[test]
    fn a_sync_that_failed_says_nothing_of_the_next_one() {
        let mut company = after_a_sync();
        company.begin(NOW, 2);
        company.end(5);
        assert_eq!(company.begin(LATER, 1), None);
        company.synced(3, 2, LATER);
        assert_eq!(alone(&mut company), 0, "the wait was not in vain");
    }
}
