//! When a client heard of what, and for how long it has heard nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use klamm_protocol::wire::Str;

/// After so long without a question, a client was idle rather than in need.
const IDLE: Duration = Duration::from_secs(60);

/// What is known of metadata's age.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// When each topic was last heard of.
    topics: HashMap<Str, Instant>,
    /// Since when metadata have been asked for in vain, and when they were last.
    asking: Option<(Instant, Instant)>,
}

impl Heard {
    /// Whether a topic was heard of at `moment` or later.
    pub(crate) fn since(&self, topic: &str, moment: Instant) -> bool {
        self.topics.get(topic).is_some_and(|at| *at >= moment)
    }

    /// Notes that metadata are asked for, and tells whether that has been in vain for longer than
    /// `patience`. If so, the time counts anew.
    pub(crate) fn ask(&mut self, now: Instant, patience: Duration) -> bool {
        let (mut began, last) = self.asking.unwrap_or((now, now));
        if now.saturating_duration_since(last) > patience.max(IDLE) {
            began = now;
        }
        let in_vain = now.saturating_duration_since(began) > patience;
        self.asking = Some((if in_vain { now } else { began }, now));
        in_vain
    }

    /// Notes an answer to the question that was asked at `at`: about these topics.
    pub(crate) fn answered(&mut self, at: Instant, topics: impl Iterator<Item = Str>) {
        self.asking = None;
        self.topics.extend(topics.map(|name| (name, at)));
    }

    /// Notes that the answer to the last question does not know these topics.
    pub(crate) fn refused<'a>(&mut self, topics: impl Iterator<Item = &'a Str>) {
        for topic in topics {
            self.topics.remove(topic);
        }
    }

    /// Forgets when topics were heard of.
    pub(crate) fn forget(&mut self) {
        self.topics.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_utils::clock;

    #[test]
    fn patience_ends_where_nothing_is_heard() {
        let (start, patience) = (clock::now(), Duration::from_secs(300));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut heard = Heard::default();
        for (seconds, in_vain) in [
            (0, false),
            (100, false),
            (300, false),
            (301, true),
            (302, false),
            (601, false),
            (602, true),
            // Nobody asked for longer than the patience lasts.
            (1000, false),
            (1300, false),
            (1301, true),
        ] {
            assert_eq!(heard.ask(at(seconds), patience), in_vain, "after {seconds} s");
        }
        heard.answered(at(1302), ["a".into()].into_iter());
        assert!(!heard.ask(at(1602), patience));
        assert!(heard.since("a", at(1302)) && !heard.since("a", at(1303)));
        heard.answered(at(1303), ["a".into(), "gone".into()].into_iter());
        heard.refused([&"gone".into()].into_iter());
        assert!(heard.since("a", start) && !heard.since("gone", start));
        heard.forget();
        assert!(!heard.since("a", start));
    }

    #[test]
    fn without_patience_the_second_question_is_too_many() {
        let start = clock::now();
        let mut heard = Heard::default();
        assert!(!heard.ask(start, Duration::ZERO));
        assert!(heard.ask(start + Duration::from_millis(1), Duration::ZERO));
    }
}
