//! What is kept of the metrics of one client, and how Prometheus is told.
//!
//! Kafka's names keep their words: `org.apache.kafka.producer.connection.creation.rate` becomes
//! `kafka_client_producer_connection_creation_rate`. Growth is summed up: what is told is a counter.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::otlp::{Kind, Sample};
use crate::http::escape;

/// Names and labels of a series, together; a longer one is left out.
const LINE_LEN_MAX: usize = 1024;
/// What the series of each client bear besides their own labels.
pub(super) const CLIENT_LABELS: [&str; 2] = ["client_id", "client_instance_id"];
const PREFIX: &str = "org.apache.kafka.";

/// The series of one client.
#[derive(Debug, Default)]
pub(super) struct SeriesSet {
    values: BTreeMap<Series, f64>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    name: String,
    is_counter: bool,
    /// As they are written, without the labels of the client.
    labels: String,
}

impl SeriesSet {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Takes samples in, and at most `room` series that were not there. How many came.
    pub(super) fn take_in<'a>(
        &mut self,
        samples: impl Iterator<Item = Sample<'a>>,
        room: usize,
    ) -> usize {
        let before = self.values.len();
        // Some of it may be left out.
        for sample in samples.filter(|sample| !sample.is_longer_than(2 * LINE_LEN_MAX)) {
            let of_client = |key: &str| CLIENT_LABELS.contains(&word(key).as_str());
            let series = Series {
                name: name(sample.name, sample.kind != Kind::Gauge),
                is_counter: sample.kind != Kind::Gauge,
                labels: labels(sample.labels().filter(|(key, _)| !of_client(key))),
            };
            if series.name.len() + series.labels.len() > LINE_LEN_MAX {
                continue;
            }
            let is_full = self.values.len() - before >= room;
            match self.values.entry(series) {
                Entry::Occupied(mut kept) if sample.kind == Kind::Growth => {
                    *kept.get_mut() += sample.value;
                }
                Entry::Occupied(mut kept) => *kept.get_mut() = sample.value,
                Entry::Vacant(free) if !is_full => {
                    free.insert(sample.value);
                }
                Entry::Vacant(_) => {}
            }
        }
        self.values.len() - before
    }
}

/// One number, with the labels of its client and its own.
struct Line<'a> {
    client: &'a str,
    labels: &'a str,
    value: f64,
}

/// Writes the series of all clients, each client with labels of its own, metric by metric.
pub(super) fn write_all(
    clients: &[(String, &SeriesSet)],
    out: &mut impl fmt::Write,
) -> fmt::Result {
    let mut metrics: BTreeMap<(&str, bool), Vec<Line<'_>>> = BTreeMap::new();
    for (client, set) in clients {
        for (series, value) in &set.values {
            let lines = metrics.entry((&series.name, series.is_counter)).or_default();
            lines.push(Line { client, labels: &series.labels, value: *value });
        }
    }
    let mut told = None;
    for ((name, is_counter), lines) in metrics {
        if told == Some(name) {
            // Two clients do not agree on what it is: the first one is believed.
            continue;
        }
        told = Some(name);
        let (kind, suffix) = if is_counter { ("counter", "_total") } else { ("gauge", "") };
        writeln!(out, "# HELP {name} As clients tell it (KIP-714).\n# TYPE {name} {kind}")?;
        for Line { client, labels, value } in lines {
            let comma = if labels.is_empty() { "" } else { "," };
            writeln!(out, "{name}{suffix}{{{client}{comma}{labels}}} {value}")?;
        }
    }
    Ok(())
}

/// The name of a metric; the word `total` at the end of a counter's is added when it is written.
fn name(told: &str, is_counter: bool) -> String {
    let told = told.strip_prefix(PREFIX).unwrap_or(told);
    let told = if is_counter { told.strip_suffix(".total").unwrap_or(told) } else { told };
    format!("kafka_client_{}", legal(told))
}

/// `key="value"` between commas, without what has no key.
pub(super) fn labels<'a>(pairs: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> String {
    let named = pairs.filter(|(key, _)| !key.is_empty());
    let mut pairs: Vec<_> = named.map(|(key, value)| (word(key), value)).collect();
    pairs.sort();
    pairs.dedup_by(|next, before| next.0 == before.0);
    let pair = |(key, value): (String, Cow<'_, str>)| format!("{key}=\"{}\"", escape(&value));
    pairs.into_iter().map(pair).collect::<Vec<_>>().join(",")
}

/// What Prometheus takes for the name of a label.
fn word(text: &str) -> String {
    let begins = text.starts_with(|first: char| first.is_ascii_digit());
    if begins { format!("_{}", legal(text)) } else { legal(text) }
}

/// What Prometheus takes in a name.
fn legal(text: &str) -> String {
    let legal = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    text.chars().map(legal).collect()
}

#[cfg(test)]
mod tests {
    use super::super::otlp::tests::{attribute, sample};
    use super::*;

    #[test]
    fn growth_is_summed_up_and_a_gauge_is_what_was_told_last() {
        let mut set = SeriesSet::default();
        let rate = "org.apache.kafka.producer.connection.creation.rate";
        let total = "org.apache.kafka.producer.connection.creation.total";
        let labels = [attribute("node-id", "1\"")];
        for value in [2.0, 3.0] {
            let (rate, total) = ((rate, Kind::Gauge), (total, Kind::Growth));
            let samples = [rate, total].map(|(name, kind)| sample(name, kind, value, &labels));
            set.take_in(samples.into_iter(), 10);
        }
        let mut text = String::new();
        write_all(&[("client_id=\"c\"".to_owned(), &set)], &mut text).unwrap();
        let expected = r#"# HELP kafka_client_producer_connection_creation As clients tell it (KIP-714).
# TYPE kafka_client_producer_connection_creation counter
kafka_client_producer_connection_creation_total{client_id="c",node_id="1\""} 5
# HELP kafka_client_producer_connection_creation_rate As clients tell it (KIP-714).
# TYPE kafka_client_producer_connection_creation_rate gauge
kafka_client_producer_connection_creation_rate{client_id="c",node_id="1\""} 3
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn there_is_room_for_so_many_series_and_known_ones_go_on() {
        let mut set = SeriesSet::default();
        let names = ["m0", "m1", "m2", "m3", "m4"];
        let samples = |value| names.iter().map(move |name| sample(name, Kind::Sum, value, &[]));
        assert_eq!(set.take_in(samples(1.0), 3), 3);
        assert_eq!(set.take_in(samples(2.0), 0), 0);
        assert!(set.values.values().all(|value| *value == 2.0));
        let long = "x".repeat(2000);
        let label = [attribute("a", &long)];
        let long = [sample(&long, Kind::Sum, 1.0, &[]), sample("short", Kind::Sum, 1.0, &label)];
        assert_eq!(set.take_in(long.into_iter(), 3), 0);
    }

    /// One such label, and Prometheus takes nothing of what the broker tells.
    #[test]
    fn labels_are_such_as_prometheus_takes() {
        let keys = ["1x", "", "client_id", "client-instance-id", "a.b", "a-b", "é"];
        let labels = keys.map(|key| attribute(key, "v"));
        let mut set = SeriesSet::default();
        set.take_in([sample("1m", Kind::Gauge, 1.0, &labels)].into_iter(), 1);
        let series = set.values.keys().next().unwrap();
        assert_eq!(series.labels, r#"_="v",_1x="v",a_b="v""#);
        assert_eq!(series.name, "kafka_client_1m");
    }
}
