//! Places in a partition, as people say them.

use klamm_client::admin::OffsetSpec;
use klamm_utils::clock::{Clock as _, SystemClock};

use super::time;

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    End,
    Offset(i64),
    AfterStart(i64),
    BeforeEnd(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

/// From one place to another, which is excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(super) from: Place,
    pub(super) until: Option<Place>,
}

/// The bounds of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The first offset that is there.
    pub(super) start: i64,
    /// The offset behind the last one.
    pub(super) end: i64,
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

impl Place {
    fn parse(text: &str, now_ms: i64) -> Option<Self> {
        let count = |text: &str| text.parse().ok().filter(|count: &i64| *count >= 0);
        Some(match text {
            "start" | "beginning" | "earliest" => Self::Start,
            "end" | "latest" => Self::End,
            _ => match text.split_at_checked(1)? {
                ("@", moment) => Self::Time(time::parse(moment, now_ms)?),
                ("+", rest) if !rest.starts_with('+') => Self::AfterStart(count(rest)?),
                ("-", rest) if !rest.starts_with('+') => Self::BeforeEnd(count(rest)?),
                _ => Self::Offset(count(text)?),
            },
        })
    }

    /// What a broker must be asked to find the place, besides the bounds.
    pub(super) fn question(self) -> Option<OffsetSpec> {
        match self {
            Self::Time(ms) => Some(OffsetSpec::Timestamp(ms)),
            _ => None,
        }
    }

    /// The offset, never before the first that is there. `found` is the answer to the
    /// [`question`](Self::question): none where nothing is that late.
    pub(super) fn offset(self, bounds: Bounds, found: Option<i64>) -> i64 {
        let offset = match self {
            Self::Start => bounds.start,
            Self::End => bounds.end,
            Self::Offset(offset) => offset,
            Self::AfterStart(count) => bounds.start.saturating_add(count),
            Self::BeforeEnd(count) => bounds.end.saturating_sub(count),
            Self::Time(_) => found.unwrap_or(bounds.end),
        };
        offset.max(bounds.start)
    }
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

    #[test]
    fn places_become_offsets() {
        let bounds = Bounds { start: 10, end: 20 };
        let check = |place: Place, found, offset| {
            assert_eq!(place.offset(bounds, found), offset, "{place:?}");
        };
        check(Place::Start, None, 10);
        check(Place::End, None, 20);
        check(Place::Offset(3), None, 10);
        check(Place::Offset(30), None, 30);
        check(Place::AfterStart(2), None, 12);
        check(Place::BeforeEnd(2), None, 18);
        check(Place::BeforeEnd(200), None, 10);
        check(Place::Time(1), Some(15), 15);
        check(Place::Time(1), None, 20);
    }
}
