//! What a connection was sent, so that nothing comes twice without need.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::recent::Recent;
use crate::store::Place;

/// Messages that are remembered.
const REMEMBERED: usize = 4_096;
/// How often a message is sent at most, to a client that never says that it has it; and so many
/// looks in a row may send something, to one that says so of none.
const TIMES_MAX: u32 = 3;
/// How much later than others a message may be saved that has an earlier place.
const LATE: Duration = Duration::from_secs(60);

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
    /// The last message that a look has found.
    found: Place,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Sent { at: Instant, times: u32 },
    Acknowledged,
}

impl Seen {
    /// What was sent is sent again after this time.
    pub(super) fn new(again_after: Duration) -> Self {
        let (in_vain, has_sent, found) = (0, false, Place::FIRST);
        Self { messages: Recent::new(REMEMBERED), again_after, in_vain, has_sent, found }
    }

    /// Behind which place to look in the database for what is undelivered. Where more is than is
    /// remembered here, a client that acknowledges nothing would get all of it with every look: after
    /// a few it gets what is new.
    pub(super) fn begin_look(&mut self) -> Place {
        self.has_sent = false;
        if self.in_vain < TIMES_MAX { Place::FIRST } else { self.found.before(LATE) }
    }

    /// The look has found what stands up to here.
    pub(super) fn found(&mut self, place: Place) {
        self.found = self.found.max(place);
    }

    /// The look has come to its end.
    pub(super) fn end_look(&mut self) {
        if self.has_sent {
            self.in_vain += 1;
        } else if self.in_vain < TIMES_MAX {
            self.in_vain = 0;
        }
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

    /// The other side says that it has it. Whether that is news: of what it was not sent, or has
    /// acknowledged before, it could say so without end.
    #[must_use]
    pub(super) fn acknowledged(&mut self, id: Uuid) -> bool {
        if !matches!(self.messages.get(&id), Some(State::Sent { .. })) {
            return false;
        }
        (self.in_vain, self.has_sent) = (0, false);
        self.messages.put(id, State::Acknowledged);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Message;

    const AGAIN: Duration = Duration::from_secs(30);

    /// It was: a copy that came 15 s after the first was written again.
    #[test]
    fn a_late_copy_is_dropped_and_so_is_what_was_acknowledged() {
        let (mut seen, id, now) = (Seen::new(AGAIN), Uuid::now_v7(), Instant::now());
        assert!(seen.is_new(id));
        seen.sent(id, now);
        assert!(!seen.is_new(id));
        assert!(seen.acknowledged(id));
        assert!(!seen.is_new(id));
        assert!(!seen.is_due(id, now + 9 * AGAIN), "the database hears of it a little later");
    }

    /// It was: each of them was told to the database, however many there were.
    #[test]
    fn only_what_was_sent_is_acknowledged_and_only_once() {
        let (mut seen, id) = (Seen::new(AGAIN), Uuid::now_v7());
        assert!(!seen.acknowledged(id));
        assert!(seen.is_new(id));
        seen.sent(id, Instant::now());
        assert!(seen.acknowledged(id));
        assert!(!seen.acknowledged(id));
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

    /// Sends what is due of those behind the place; gives how many.
    fn look(seen: &mut Seen, all: &[Message], now: Instant) -> usize {
        let behind = seen.begin_look();
        let mut sent = 0;
        for message in all.iter().filter(|message| message.place() > behind) {
            if seen.is_due(message.message_id, now) {
                seen.sent(message.message_id, now);
                sent += 1;
            }
            seen.found(message.place());
        }
        seen.end_look();
        sent
    }

    fn message(placed_us: i64) -> Message {
        Message {
            message_id: Uuid::now_v7(),
            sender_id: "alice".into(),
            reciever_id: "bob".into(),
            payload: "hi".into(),
            status: 0,
            placed_us,
            sent_at: None,
            delivered_at: None,
        }
    }

    /// It was: of more than are remembered each was forgotten before it was asked for again, and a
    /// client that acknowledged nothing got all of them with every look.
    #[test]
    fn who_acknowledges_nothing_is_looked_for_a_few_times_however_much_waits() {
        let count = REMEMBERED + 1_000;
        let all: Vec<_> = (0..count).map(|n| message(n as i64 * 1_000_000)).collect();
        let (mut seen, mut now) = (Seen::new(AGAIN), Instant::now());
        let mut sent = |seen: &mut Seen, all: &[Message]| {
            now += AGAIN;
            look(seen, all, now)
        };
        for _ in 0..TIMES_MAX {
            assert_eq!(sent(&mut seen, &all), count);
        }
        // Those of the last minute: nobody knows yet whether all of it was there.
        for _ in 0..TIMES_MAX {
            assert!(sent(&mut seen, &all) <= 61);
        }
        assert_eq!(sent(&mut seen, &all), 0);
        assert!(seen.acknowledged(all.last().unwrap().message_id));
        assert!(sent(&mut seen, &all) > 1_000, "somebody is there");
    }

    /// It was: after three looks in vain nothing was looked for, what came later neither.
    #[test]
    fn what_is_new_is_sent_to_who_acknowledges_nothing() {
        let (mut seen, mut now, mut all) = (Seen::new(AGAIN), Instant::now(), vec![message(0)]);
        for n in 1..9 {
            now += AGAIN;
            let new = all.last().map(|message| message.message_id);
            assert!(look(&mut seen, &all, now) > 0);
            assert!(!seen.is_new(new.unwrap()));
            all.push(message(n * 90_000_000));
        }
    }

    #[test]
    fn looks_that_find_nothing_go_on() {
        let mut seen = Seen::new(AGAIN);
        for _ in 0..9 {
            assert_eq!(seen.begin_look(), Place::FIRST);
            seen.end_look();
        }
    }
}
