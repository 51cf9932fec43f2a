//! Where a consumer goes on that has no offset, or one that is not in the log.

use std::time::Duration;

use super::value::Value;

/// Before the text of a duration.
const BY_DURATION: &str = "by_duration:";

/// Where to go on when a partition has no such offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OffsetReset {
    /// At the end: only what comes from now on.
    #[default]
    Latest,
    /// At the start.
    Earliest,
    /// At the first record that is no older than this; at the end if there is none (KIP-1106).
    ByDuration(Duration),
    /// Nowhere: it is an error.
    None,
}

/// A duration is one of ISO 8601, as Java has it.
impl Value for OffsetReset {
    const EXPECTED: &'static str =
        "earliest, latest, none or by_duration:<duration>, such as by_duration:PT1H30M";

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "latest" | "largest" | "end" => Some(Self::Latest),
            "earliest" | "smallest" | "beginning" => Some(Self::Earliest),
            "none" | "error" => Some(Self::None),
            text => parse_duration(text.strip_prefix(BY_DURATION)?).map(Self::ByDuration),
        }
    }

    fn print(&self) -> String {
        match self {
            Self::Latest => "latest".to_owned(),
            Self::Earliest => "earliest".to_owned(),
            Self::ByDuration(back) => format!("{BY_DURATION}PT{}S", seconds(*back)),
            Self::None => "none".to_owned(),
        }
    }
}

/// Reads a duration of days and less, such as `p2dt3h4m5.6s`.
fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('p')?;
    let (mut days, mut time) = match text.split_once('t') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None if text.is_empty() => return None,
        None => (text, ""),
    };
    let whole = take(&mut days, 'd', 86_400)?
        .checked_add(take(&mut time, 'h', 3_600)?)?
        .checked_add(take(&mut time, 'm', 60)?)?;
    let rest = match time.strip_suffix('s') {
        Some(time) => parse_seconds(time)?,
        None if time.is_empty() => Duration::ZERO,
        None => return None,
    };
    if days.is_empty() { Duration::from_secs(whole).checked_add(rest) } else { None }
}

/// Takes what stands before this unit off the text, in seconds; 0 where the unit is not there.
fn take(text: &mut &str, unit: char, seconds: u64) -> Option<u64> {
    let Some((amount, rest)) = text.split_once(unit) else { return Some(0) };
    *text = rest;
    number(amount)?.checked_mul(seconds)
}

/// Reads seconds with up to nine places after the point.
fn parse_seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.len() > 9 {
        return None;
    }
    let nanoseconds = number(&format!("{fraction:0<9}"))?;
    Some(Duration::new(number(whole)?, u32::try_from(nanoseconds).ok()?))
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    digits.parse().ok()
}

fn seconds(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => duration.as_secs().to_string(),
        nanos => format!("{}.{}", duration.as_secs(), format!("{nanos:09}").trim_end_matches('0')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_those_of_iso_8601() {
        let check = |text: &str, seconds: f64| {
            let expected = OffsetReset::ByDuration(Duration::from_secs_f64(seconds));
            assert_eq!(OffsetReset::parse(text), Some(expected), "{text}");
        };
        check("by_duration:PT1H", 3_600.0);
        check("by_duration:P2DT3H4M5.25S", 183_845.25);
        check("by_duration:P1D", 86_400.0);
        check("BY_DURATION:pt30m", 1_800.0);
        check("by_duration:PT0S", 0.0);
        for wrong in [
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:1H",
            "by_duration:P1H",
            "by_duration:PT1M1H",
            "by_duration:-PT1H",
            "by_duration:PT-1H",
            "by_duration:PT1",
            "by_duration:PT.5S",
            "by_duration:PT1.0000000001S",
            "by_duration:P1Y",
            "duration:PT1H",
            "by_duration:PT99999999999999999999S",
            "by_duration:P999999999999999D",
            "yesterday",
        ] {
            assert_eq!(OffsetReset::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(back: Duration) {
            let policy = OffsetReset::ByDuration(back);
            prop_assert_eq!(OffsetReset::parse(&policy.print()), Some(policy));
        }
    }
}
