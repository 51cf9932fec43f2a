//! Spans of a partition, as people say them.

use klamm_utils::clock::{Clock as _, SystemClock};

use crate::place::Place;

/// From one place to another, which is excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(super) from: Place,
    pub(super) until: Option<Place>,
}

impl Span {
    /// All that is there.
    pub(crate) const ALL: Self = Self { from: Place::Start, until: None };

    /// Reads a span, at the present time.
    pub(super) fn parse_now(text: &str) -> Result<Self, String> {
        Self::parse(text, SystemClock::new().now_ms())
    }

    fn parse(text: &str, now_ms: i64) -> Result<Self, String> {
        let place = |text: &str| Place::parse(text, now_ms).ok_or_else(|| expected(text));
        let Some((from, until)) = text.split_once("..") else {
            return Ok(Self { from: place(text)?, until: None });
        };
        let from = if from.is_empty() { Place::Start } else { place(from)? };
        let until = if until.is_empty() { None } else { Some(place(until)?) };
        Ok(Self { from, until })
    }

    /// Whether there is nothing in it but what is still to come.
    pub(super) fn begins_at_the_end(&self) -> bool {
        self.from == Place::End
    }
}

fn expected(text: &str) -> String {
    format!("`{text}` is no place: expected start, end, an offset, +N, -N or @TIME")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn check(text: &str, from: Place, until: Option<Place>) {
        assert_eq!(Span::parse(text, NOW), Ok(Span { from, until }), "{text}");
    }

    #[test]
    fn places_are_understood() {
        check("start", Place::Start, None);
        check("latest", Place::End, None);
        check("17", Place::Offset(17), None);
        check("+5", Place::AfterStart(5), None);
        check("-5", Place::BeforeEnd(5), None);
        check("@-1h", Place::Time(NOW - 3_600_000), None);
        check("-10..-5", Place::BeforeEnd(10), Some(Place::BeforeEnd(5)));
        check("..end", Place::Start, Some(Place::End));
        check("7..", Place::Offset(7), None);
        check("@1700000000..@-0s", Place::Time(NOW), Some(Place::Time(NOW)));
        for text in ["", "x", "--5", "+-5", "-+5", "++5", "1.5", "@", "@x", "5-", "ä"] {
            assert!(Span::parse(text, NOW).is_err(), "{text}");
        }
    }
}
