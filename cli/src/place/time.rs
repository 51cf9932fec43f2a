//! Moments, as people say them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Eleven digits as seconds are the year 5138; fewer are seconds, more are milliseconds.
const SECONDS_DIGITS_MAX: usize = 11;

/// Milliseconds since 1970 of a moment: RFC 3339, a date or a date and time in UTC, seconds or
/// milliseconds since 1970, or `-` and a duration before `now_ms`.
pub(super) fn parse(text: &str, now_ms: i64) -> Option<i64> {
    if let Some(ago) = text.strip_prefix('-') {
        let ago = ago.parse::<SignedDuration>().ok().filter(|ago| !ago.is_negative())?;
        return now_ms.checked_sub(i64::try_from(ago.as_millis()).ok()?);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse::<i64>().ok()?;
        let is_seconds = text.len() <= SECONDS_DIGITS_MAX;
        return if is_seconds { number.checked_mul(1_000) } else { Some(number) };
    }
    let timestamp = text.parse::<Timestamp>().ok().or_else(|| {
        let date_time = text.parse::<DateTime>();
        let date_time = date_time.or_else(|_| text.parse::<Date>().map(DateTime::from));
        Some(date_time.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    Some(timestamp.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_understood() {
        let now = 1_700_000_000_000;
        for (text, ms) in [
            ("1700000000", now),
            ("1700000000000", now),
            ("0", 0),
            ("2023-11-14T22:13:20Z", now),
            ("2023-11-14T23:13:20.5+01:00", now + 500),
            ("2023-11-14T22:13:20", now),
            ("2023-11-14 22:13", now - 20_000),
            ("2023-11-14", now - (22 * 3_600 + 13 * 60 + 20) * 1_000),
            ("-90m", now - 5_400_000),
            ("-1h30m", now - 5_400_000),
            ("-250ms", now - 250),
        ] {
            assert_eq!(parse(text, now), Some(ms), "{text}");
        }
        for text in ["", "-", "--1h", "tomorrow", "99999999999999999999", "2023-13-01", "-1"] {
            assert_eq!(parse(text, now), None, "{text}");
        }
    }
}
