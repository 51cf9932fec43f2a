//! What a connection was sent, so that nothing comes twice without need.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::recent::Recent;

/// Messages that are remembered.
const REMEMBERED: usize = 4_096;
/// How often a message is sent at most, to a client that never says that it has it; and so many
/// looks in a row may send something, to one that says so of none.
const TIMES_MAX: u32 = 3;

/// What a connection was sent.
#[derive(Debug)]
pub(super) struct Seen {
    /// Most connections have little.
    messages: Recent<Uuid, State>,
    again_after: Duration,
    /// Looks into the database that have sent something, since something was acknowledged.
    in_vain: u32,
    /// Whether the look that is under way has sent something.
    has_sent: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Sent { at: Instant, times: u32 },
    Acknowledged,
}

impl Seen {
    /// What was sent is sent again after this time.
    pub(super) fn new(again_after: Duration) -> Self {
        Self { messages: Recent::new(REMEMBERED), again_after, in_vain: 0, has_sent: false }
    }

    /// Whether to look into the database for what is undelivered. Where more is than is remembered
    /// here, a client that acknowledges nothing would get all of it with every look.
    pub(super) fn begin_look(&mut self) -> bool {
        self.has_sent = false;
        self.in_vain < TIMES_MAX
    }

    /// The look has come to its end.
    pub(super) fn end_look(&mut self) {
        self.in_vain = if self.has_sent { self.in_vain + 1 } else { 0 };
    }

    /// There may be something new: one look more.
    pub(super) fn allow_look(&mut self) {
        self.in_vain = self.in_vain.min(TIMES_MAX - 1);
    }

    /// Whether a message that comes live is to be sent: any other copy of it was enough.
    pub(super) fn is_new(&mut self, id: Uuid) -> bool {
        self.messages.get(&id).is_none()
    }

    /// Whether one that the database has as undelivered is to be sent, perhaps again.
    pub(super) fn is_due(&mut self, id: Uuid, now: Instant) -> bool {
        let is_due = match self.messages.get(&id) {
            None => true,
            Some(State::Acknowledged) => false,
            Some(State::Sent { at, times }) => {
                // Half of it: what was sent between two looks is due at the second, if not before.
                *times < TIMES_MAX && now.duration_since(*at) >= self.again_after / 2
            }
        };
        self.has_sent |= is_due;
        is_due
    }

    /// It was sent.
    pub(super) fn sent(&mut self, id: Uuid, now: Instant) {
        let times = match self.messages.get(&id) {
            Some(State::Sent { times, .. }) => times + 1,
            _ => 1,
        };
        self.messages.put(id, State::Sent { at: now, times });
    }

    /// The other side has it.
    pub(super) fn acknowledged(&mut self, id: Uuid) {
        (self.in_vain, self.has_sent) = (0, false);
        self.messages.put(id, State::Acknowledged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGAIN: Duration = Duration::from_secs(30);

    /// It was: a copy that came 15 s after the first was written again.
    #[test]
    fn a_late_copy_is_dropped_and_so_is_what_was_acknowledged() {
        let (mut seen, id, now) = (Seen::new(AGAIN), Uuid::now_v7(), Instant::now());
        assert!(seen.is_new(id));
        seen.sent(id, now);
        assert!(!seen.is_new(id));
        seen.acknowledged(id);
        assert!(!seen.is_new(id));
        assert!(!seen.is_due(id, now + 9 * AGAIN), "the database hears of it a little later");
    }

    /// It was: the original's client, which acknowledges nothing, got everything every 30 s.
    #[test]
    fn what_is_never_acknowledged_comes_a_few_times() {
        let (mut seen, id, mut now) = (Seen::new(AGAIN), Uuid::now_v7(), Instant::now());
        let mut times = 0;
        for _ in 0..9 {
            if seen.is_due(id, now) {
                seen.sent(id, now);
                times += 1;
                assert!(!seen.is_due(id, now + AGAIN / 3), "not at once");
            }
            now += AGAIN;
        }
        assert_eq!(times, TIMES_MAX);
    }

    /// It was: of more than are remembered each was forgotten before it was asked for again, and a
    /// client that acknowledged nothing got all of them with every look.
    #[test]
    fn who_acknowledges_nothing_is_looked_for_a_few_times_however_much_waits() {
        let ids: Vec<_> = (0..REMEMBERED + 1_000).map(|_| Uuid::now_v7()).collect();
        let (mut seen, mut now) = (Seen::new(AGAIN), Instant::now());
        let mut look = |seen: &mut Seen| {
            let looks = seen.begin_look();
            if looks {
                for id in &ids {
                    if seen.is_due(*id, now) {
                        seen.sent(*id, now);
                    }
                }
                seen.end_look();
            }
            now += AGAIN;
            looks
        };
        assert_eq!((0..9).filter(|_| look(&mut seen)).count(), TIMES_MAX as usize);
        seen.allow_look();
        assert!(look(&mut seen) && !look(&mut seen), "once more when a pod has died");
        seen.acknowledged(ids[0]);
        assert!(look(&mut seen), "somebody is there");
    }

    #[test]
    fn looks_that_find_nothing_go_on() {
        let mut seen = Seen::new(AGAIN);
        for _ in 0..9 {
            assert!(seen.begin_look());
            seen.end_look();
        }
    }
}
