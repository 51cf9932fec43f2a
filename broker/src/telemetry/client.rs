//! When a client may ask for its subscription and when it may push. Pure: times in, codes out.
//!
//! The rules are those of Kafka's `ClientMetricsInstance`: a push or a question is allowed once the
//! interval is over; the first of each is; a question after a push that was refused for its
//! subscription or its compression is; and so is the last push, once.

use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;

use super::Subscription;

/// What is wrong with a push, whenever it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Id,
    Compression,
    Size,
}

#[derive(Clone, Debug)]
pub(super) struct Client {
    subscription: Arc<Subscription>,
    asked: Option<Duration>,
    pushed: Option<Duration>,
    /// Whether it was told something by which it must ask anew.
    must_ask: bool,
    has_ended: bool,
}

impl Client {
    pub(super) fn new(subscription: Subscription) -> Self {
        Self {
            subscription: Arc::new(subscription),
            asked: None,
            pushed: None,
            must_ask: false,
            has_ended: false,
        }
    }

    /// The same client, asked for something else: it begins anew.
    pub(super) fn asked_for(&self, subscription: Subscription) -> Self {
        Self { has_ended: self.has_ended, ..Self::new(subscription) }
    }

    pub(super) fn subscription(&self) -> &Arc<Subscription> {
        &self.subscription
    }

    /// It asks for its subscription.
    pub(super) fn ask(&mut self, now: Duration) -> Result<(), ErrorCode> {
        let last = self.asked.max(self.pushed);
        if !self.must_ask && self.is_early(last, now) {
            return Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED);
        }
        (self.asked, self.must_ask) = (Some(now), false);
        Ok(())
    }

    /// It pushes, for the last time or not.
    pub(super) fn push(
        &mut self,
        now: Duration,
        is_last: bool,
        wrong: Option<Wrong>,
    ) -> Result<(), ErrorCode> {
        if self.has_ended {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        self.must_ask = false;
        if !is_last && self.is_early(self.pushed, now) {
            return Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED);
        }
        self.pushed = Some(now);
        self.has_ended = is_last;
        self.must_ask = matches!(wrong, Some(Wrong::Id | Wrong::Compression));
        match wrong {
            None => Ok(()),
            Some(Wrong::Id) => Err(ErrorCode::UNKNOWN_SUBSCRIPTION_ID),
            Some(Wrong::Compression) => Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),
            Some(Wrong::Size) => Err(ErrorCode::TELEMETRY_TOO_LARGE),
        }
    }

    fn is_early(&self, last: Option<Duration>, now: Duration) -> bool {
        last.is_some_and(|last| now.saturating_sub(last) < self.subscription.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: i16 = 89;

    /// Plays steps against a client with an interval of 100 ms: `ask`, `push`, `last`, `wrong` (its
    /// subscription) or `large`, each with its time; gives the codes.
    fn play(steps: &str) -> Vec<i16> {
        let interval = Duration::from_millis(100);
        let mut client = Client::new(Subscription { interval, ..Subscription::default() });
        let mut step = |step: &str| {
            let (what, at) = step.split_once('@').unwrap();
            let now = Duration::from_millis(at.parse().unwrap());
            let told = match what {
                "ask" => client.ask(now),
                "push" => client.push(now, false, None),
                "last" => client.push(now, true, None),
                "wrong" => client.push(now, false, Some(Wrong::Id)),
                "large" => client.push(now, false, Some(Wrong::Size)),
                other => panic!("{other}"),
            };
            told.err().map_or(0, |code| code.0)
        };
        steps.split(' ').map(&mut step).collect()
    }

    #[test]
    fn the_first_of_each_comes_at_once_and_the_next_an_interval_later() {
        assert_eq!(play("ask@0 push@1 push@50 push@101 push@102"), [0, 0, EARLY, 0, EARLY]);
        assert_eq!(play("ask@0 ask@1 push@90 ask@150 ask@190"), [0, EARLY, 0, EARLY, 0]);
    }

    #[test]
    fn who_is_told_of_another_subscription_asks_at_once_and_pushes_in_time() {
        assert_eq!(play("ask@0 wrong@1 ask@2 push@3 ask@4"), [0, 117, 0, EARLY, EARLY]);
        assert_eq!(play("ask@0 wrong@1 push@2 ask@3"), [0, 117, EARLY, EARLY]);
        assert_eq!(play("ask@0 large@1 ask@2"), [0, 118, EARLY]);
    }

    #[test]
    fn the_last_push_comes_when_it_comes_and_nothing_behind_it() {
        assert_eq!(play("ask@0 push@1 last@2 last@3 push@500"), [0, 0, 0, 42, 42]);
    }
}
