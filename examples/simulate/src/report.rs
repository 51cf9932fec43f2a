//! Figures beside what is aimed for, and whether anything was lost.

use std::io::{self, Write as _};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Times in microseconds, up to a minute.
pub(crate) type Times = Histogram<u64>;

pub(crate) fn times() -> Times {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order")
}

/// Notes a time; what took longer than a minute took a minute.
pub(crate) fn note(times: &mut Times, time: Duration) {
    times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

/// What a run has to say.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    broken: Vec<String>,
}

impl Report {
    /// A figure with what is aimed for; to miss that is told, and breaks nothing.
    pub(crate) fn figure(&mut self, what: &str, got: String, aim: &str, reached: bool) {
        let mark = if reached { "reached" } else { "MISSED" };
        self.lines.push(format!("{what:<36} {got:>16}   aim {aim:<14} {mark}"));
    }

    /// A figure without an aim.
    pub(crate) fn fact(&mut self, what: &str, got: impl std::fmt::Display) {
        self.lines.push(format!("{what:<36} {got:>16}"));
    }

    /// The times at the middle and near the end. Without a single one the aim is missed.
    pub(crate) fn times(&mut self, what: &str, times: &Times, aim_p99: Duration) {
        let at = |quantile| Duration::from_micros(times.value_at_quantile(quantile));
        let shown = |time| if times.is_empty() { "none".to_owned() } else { millis(time) };
        self.fact(&format!("{what} p50"), shown(at(0.5)));
        let (what, p99) = (format!("{what} p99"), at(0.99));
        let reached = !times.is_empty() && p99 <= aim_p99;
        self.figure(&what, shown(p99), &format!("<= {}", millis(aim_p99)), reached);
    }

    /// A promise: any other number than none breaks it.
    pub(crate) fn none(&mut self, what: &str, count: u64) {
        self.lines.push(format!("{what:<36} {count:>16}   must be none"));
        if count > 0 {
            self.broken.push(format!("{count} {what}"));
        }
    }

    /// Prints everything.
    ///
    /// # Errors
    /// A promise was broken.
    pub(crate) fn print(self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        anyhow::ensure!(self.broken.is_empty(), "{}", self.broken.join(", "));
        Ok(())
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_missed_when_nothing_was_measured() {
        let (mut report, mut measured) = (Report::default(), times());
        let aim = Duration::from_millis(50);
        report.times("a", &measured, aim);
        note(&mut measured, Duration::from_millis(7));
        report.times("a", &measured, aim);
        let marks: Vec<_> = report.lines.iter().filter_map(|line| line.split_once("aim")).collect();
        assert!(marks[0].0.contains("none") && marks[0].1.ends_with("MISSED"), "{marks:?}");
        assert!(marks[1].0.contains("7.0 ms") && marks[1].1.ends_with("reached"), "{marks:?}");
    }
}
