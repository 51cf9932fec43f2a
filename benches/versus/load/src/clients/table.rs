//! The medians of both clients, and their ratios.

use std::fmt::{Display, Formatter};

use super::Client;
use super::cell::{Cell, Measured};
use crate::report::median;

/// What was measured, by cell in the order of the cells.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    measured: Vec<(Client, Measured)>,
}

impl Table {
    pub(super) fn add(&mut self, cell: &Cell, client: Client, measured: Measured) {
        let name = cell.name();
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            self.rows.push(Row { name, measured: Vec::new() });
            self.rows.len() - 1
        });
        self.rows[at].measured.push((client, measured));
    }
}

impl Row {
    /// Ours, theirs, and the ratio.
    fn pair(&self, figure: impl Fn(&Measured) -> f64) -> [f64; 3] {
        let of = |client| {
            let measured = self.measured.iter().filter(|(who, _)| *who == client);
            median(measured.map(|(_, measured)| figure(measured)))
        };
        let [ours, theirs] = Client::BOTH.map(of);
        [ours, theirs, ours / theirs]
    }

    fn latency(&self, share: f64) -> [f64; 3] {
        self.pair(|measured| {
            measured.latencies.as_ref().map_or(f64::NAN, |times| times.quantile_us(share))
        })
    }

    fn is_timed(&self) -> bool {
        self.measured.iter().any(|(_, measured)| measured.latencies.is_some())
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let (timed, moved): (Vec<&Row>, Vec<&Row>) =
            self.rows.iter().partition(|row| row.is_timed());
        if !moved.is_empty() {
            writeln!(
                f,
                "| records/s | klamm | librdkafka | ratio | per CPU second | librdkafka | ratio |"
            )?;
            writeln!(f, "|---|---:|---:|---:|---:|---:|---:|")?;
        }
        for row in moved {
            let [ours, theirs, ratio] = row.pair(Measured::records_per_second);
            write!(f, "| {} | {ours:.0} | {theirs:.0} | {ratio:.2} ", row.name)?;
            let [ours, theirs, ratio] = row.pair(Measured::records_per_cpu_second);
            writeln!(f, "| {ours:.0} | {theirs:.0} | {ratio:.2} |")?;
        }
        if !timed.is_empty() {
            writeln!(f, "\n| µs | p50 | librdkafka | ratio | p99 | librdkafka | ratio |")?;
            writeln!(f, "|---|---:|---:|---:|---:|---:|---:|")?;
        }
        for row in timed {
            write!(f, "| {} ", row.name)?;
            for share in [0.5, 0.99] {
                let [ours, theirs, ratio] = row.latency(share);
                write!(f, "| {ours:.0} | {theirs:.0} | {ratio:.2} ")?;
            }
            writeln!(f, "|")?;
        }
        Ok(())
    }
}
