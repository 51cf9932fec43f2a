//! Whom the next sync of a log waits for.
//!
//! Clients with several requests under way fall into two halves: while the sync for one half runs,
//! the other is answered and comes again, so that each sync covers half of what it could and costs
//! nearly as much. So a sync waits for those whom the last one has just answered, for a part of the
//! time which that one took.
//!
//! That pays only with clients who wait for answers before they send more. If they don't come in
//! time, or if others come all the same while the sync runs, some syncs begin at once: the more of
//! them, the oftener it happens in a row. Nobody waits in a log that was idle, nor for one client
//! with one request under way.

use std::sync::MutexGuard;
use std::time::Duration;

use super::{LogInner, State};

/// How many syncs begin at once after one that waited in vain: the first time, and at most.
const ALONE: (u8, u8) = (4, 128);

/// What a log remembers of its last sync, and of whether waiting pays.
#[derive(Debug)]
pub(crate) struct Company {
    /// Appends that the last sync answered, and those that waited when it ended.
    expected: usize,
    /// When nobody is expected any more.
    until: Duration,
    phase: Phase,
    /// Syncs that are to begin at once.
    alone: u8,
    /// How many will, after the next one that waits in vain.
    alone_next: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No sync waits or has waited.
    Alone,
    /// A sync waits.
    Gathering,
    /// The sync has waited until all were there.
    Gathered,
}

impl Default for Company {
    fn default() -> Self {
        let (expected, until, phase) = (0, Duration::ZERO, Phase::Alone);
        Self { expected, until, phase, alone: 0, alone_next: ALONE.0 }
    }
}

impl Company {
    /// Whether a sync waits that need not any more, with so many appends there.
    pub(super) fn has_come(&self, appends: usize) -> bool {
        self.phase == Phase::Gathering && self.is_complete(appends)
    }

    fn is_complete(&self, appends: usize) -> bool {
        appends >= self.expected
    }

    /// How long a sync waits that is due at `now` with so many appends; `None`: not at all.
    fn begin(&mut self, now: Duration, appends: usize) -> Option<Duration> {
        let wait = self.until.checked_sub(now).filter(|wait| !wait.is_zero());
        let wait = wait.filter(|_| !self.is_complete(appends))?;
        if let Some(alone) = self.alone.checked_sub(1) {
            self.alone = alone;
            return None;
        }
        self.phase = Phase::Gathering;
        Some(wait)
    }

    /// The wait is over, with so many appends.
    fn end(&mut self, appends: usize) {
        let is_complete = self.is_complete(appends);
        self.phase = if is_complete { Phase::Gathered } else { Phase::Alone };
        if !is_complete {
            self.was_in_vain();
        }
    }

    /// A sync has answered so many appends, while others wait. The next may wait until then.
    pub(super) fn synced(&mut self, answered: usize, waiting: usize, until: Duration) {
        match std::mem::replace(&mut self.phase, Phase::Alone) {
            Phase::Gathered if waiting > 0 => self.was_in_vain(),
            Phase::Gathered => self.alone_next = ALONE.0,
            Phase::Alone | Phase::Gathering => {}
        }
        self.expected = answered + waiting;
        self.until = until;
    }

    fn was_in_vain(&mut self) {
        self.alone = self.alone_next;
        self.alone_next = self.alone_next.saturating_mul(2).min(ALONE.1);
    }
}

impl LogInner {
    /// Locks the log for a sync to begin, once those are there whom it waits for.
    pub(super) fn lock_gathered(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let appends = state.pending.len();
        let Some(wait) = state.company.begin(self.core.clock.elapsed(), appends) else {
            return state;
        };
        let is_short = |state: &mut State| !state.company.has_come(state.pending.len());
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

    /// After a sync that has answered three while two waited.
    fn after_a_sync() -> Company {
        let mut company = Company::default();
        company.synced(3, 2, LATER);
        company
    }

    #[test]
    fn a_sync_waits_for_those_whom_the_last_one_answered() {
        let mut company = after_a_sync();
        assert_eq!(company.begin(NOW, 2), Some(LATER - NOW));
        assert!(!company.has_come(4));
        assert!(company.has_come(5));
        company.end(5);
        assert!(!company.has_come(5), "nobody waits any more");
    }

    #[test]
    fn a_sync_begins_at_once_where_nobody_is_expected() {
        assert_eq!(Company::default().begin(NOW, 1), None);
        assert_eq!(after_a_sync().begin(NOW, 5), None, "all are there");
        assert_eq!(after_a_sync().begin(LATER, 2), None, "it was long ago");
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
}
