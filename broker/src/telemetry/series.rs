//! What is kept of the metrics of one client, and how Prometheus is told.
//!
//! Kafka's names keep their words: `org.apache.kafka.producer.connection.creation.rate` becomes
//! `kafka_client_producer_connection_creation_rate`. Growth is summed up: what is told is a counter.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use klamm_protocol::wire::Uuid;

use super::otlp::{Attributes, Kind, Metric, Numbers};
use crate::http::escape;

/// Names and labels of a series, together; a longer one is left out.
const LINE_LEN_MAX: usize = 1024;
/// Points that are looked at of one push; what comes behind them is left out.
const POINTS_MAX: usize = 10_000;
/// Labels that say whose a series is; its own may not.
const CLIENT_LABELS: [&str; 2] = ["client_id", "client_instance_id"];
const PREFIX: &str = "org.apache.kafka.";

/// The series of one client.
#[derive(Clone, Debug, Default)]
pub(super) struct SeriesSet {
    /// Shared, so that a copy is made soon.
    values: BTreeMap<Arc<Series>, f64>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    name: String,
    is_counter: bool,
    /// As they are written, without the labels of the client.
    labels: String,
}

/// What the series of a client bear besides their own labels.
pub(super) fn of_client(client_id: &str, instance_id: Uuid) -> String {
    let values = [client_id.into(), instance_id.to_string().into()];
    Labels::new(CLIENT_LABELS.into_iter().zip(values)).beside(&Labels::default())
}

/// One number of a push, as it is kept.
#[derive(Debug)]
pub(super) struct Sample {
    series: Series,
    kind: Kind,
    value: f64,
}

/// What is kept of a push. Takes as long as the push is large: nothing is to be locked meanwhile.
pub(super) fn samples(told: &Numbers, wants: impl Fn(&str) -> bool) -> Vec<Sample> {
    samples_by(told, wants, Labels::of)
}

/// The same, with the labels as `render` has them: those of a resource once for all its points.
fn samples_by<'a>(
    told: &'a Numbers,
    wants: impl Fn(&str) -> bool,
    mut render: impl FnMut(Attributes<'a>) -> Option<Labels>,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut left = POINTS_MAX;
    for (resource, metrics) in told.resources() {
        let Some(of_resource) = render(resource) else { continue };
        let is_short = |metric: &&Metric| metric.name().len() <= 2 * LINE_LEN_MAX;
        for metric in metrics.filter(is_short).filter(|metric| wants(metric.name())) {
            let points = metric.points();
            let taken = points.len().min(left);
            left -= taken;
            let kind = metric.kind();
            let is_counter = kind != Kind::Gauge;
            let name = name(metric.name(), is_counter);
            samples.extend(points.iter().take(taken).filter_map(|point| {
                let value = point.value()?;
                let labels = render(point.attributes())?.beside(&of_resource);
                let is_short = name.len() + labels.len() <= LINE_LEN_MAX;
                let series = Series { name: name.clone(), is_counter, labels };
                is_short.then_some(Sample { series, kind, value })
            }));
        }
    }
    samples
}

impl SeriesSet {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Takes samples in, and at most `room` series that were not there.
    pub(super) fn take_in(&mut self, samples: Vec<Sample>, room: usize) {
        let len_max = self.values.len().saturating_add(room);
        for Sample { series, kind, value } in samples {
            let is_full = self.values.len() >= len_max;
            match self.values.entry(Arc::new(series)) {
                Entry::Occupied(mut kept) if kind == Kind::Growth => *kept.get_mut() += value,
                Entry::Occupied(mut kept) => *kept.get_mut() = value,
                Entry::Vacant(free) if !is_full => {
                    free.insert(value);
                }
                Entry::Vacant(_) => {}
            }
        }
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
    clients: &[(String, Arc<SeriesSet>)],
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

/// Labels as they are written, each with its key, in order.
#[derive(Debug, Default)]
struct Labels(Vec<(String, String)>);

impl Labels {
    /// Those of a series, of which some may be left out: labels of its client, and those that
    /// Prometheus keeps to itself. `None` if they are too long.
    fn of(attributes: Attributes<'_>) -> Option<Self> {
        // Some of it may be left out.
        if attributes.is_longer_than(2 * LINE_LEN_MAX) {
            return None;
        }
        let mut labels = Self::new(attributes.labels());
        labels.0.retain(|(key, _)| !key.starts_with("__") && !CLIENT_LABELS.contains(&&**key));
        let len: usize = labels.0.iter().map(|(_, label)| label.len()).sum();
        (len <= LINE_LEN_MAX).then_some(labels)
    }

    /// All but what has no key.
    fn new<'a>(pairs: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> Self {
        let label = |(key, value): (&str, Cow<'_, str>)| {
            let key = word(key);
            let label = format!("{key}=\"{}\"", escape(&value));
            (key, label)
        };
        let mut labels: Vec<_> = pairs.filter(|(key, _)| !key.is_empty()).map(label).collect();
        labels.sort();
        Self(labels)
    }

    /// Both between commas, each key once.
    fn beside(&self, others: &Self) -> String {
        let mut labels: Vec<_> = self.0.iter().chain(&others.0).collect();
        labels.sort();
        labels.dedup_by(|next, before| next.0 == before.0);
        labels.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>().join(",")
    }
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
    use super::super::otlp::KeyValue;
    use super::super::otlp::tests::{attribute, metric, number, numbers};
    use super::*;

    const ALL: fn(&str) -> bool = |_| true;

    /// What is kept of metrics of a client that tells nothing of itself.
    fn kept(metrics: Vec<Metric>) -> Vec<Sample> {
        samples(&numbers(&[], metrics), ALL)
    }

    #[test]
    fn growth_is_summed_up_and_a_gauge_is_what_was_told_last() {
        let mut set = SeriesSet::default();
        let rate = "org.apache.kafka.producer.connection.creation.rate";
        let total = "org.apache.kafka.producer.connection.creation.total";
        let labels = [attribute("node-id", "1\"")];
        for value in [2.0, 3.0] {
            let both = [(rate, Kind::Gauge), (total, Kind::Growth)];
            let both = both.map(|(name, kind)| metric(name, kind, value, &[&labels]));
            set.take_in(kept(both.into()), 10);
        }
        let mut text = String::new();
        write_all(&[("client_id=\"c\"".to_owned(), Arc::new(set))], &mut text).unwrap();
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
        let samples = |value| kept(names.map(|name| metric(name, Kind::Sum, value, &[&[]])).into());
        set.take_in(samples(1.0), 3);
        assert_eq!(set.len(), 3);
        set.take_in(samples(2.0), 0);
        assert_eq!(set.len(), 3);
        assert!(set.values.values().all(|value| *value == 2.0));
    }

    #[test]
    fn what_takes_a_long_line_is_left_out() {
        let long = "x".repeat(2000);
        let text = [attribute("a", &long)];
        let large: Vec<_> = (0..400).map(|at| number(&format!("a{at}"), f64::MAX)).collect();
        let check = |name: &str, attributes: &[KeyValue]| {
            assert!(kept(vec![metric(name, Kind::Sum, 1.0, &[attributes])]).is_empty());
            let told = numbers(attributes, vec![metric(name, Kind::Sum, 1.0, &[&[]])]);
            assert!(samples(&told, ALL).is_empty());
        };
        check(&long, &[]);
        check("short", &text);
        check("short", &large);
    }

    /// A push of two kilobytes had them rendered a hundred thousand times.
    #[test]
    fn labels_of_a_resource_are_rendered_once() {
        let of_resource: Vec<_> = (0..100).map(|at| attribute(&format!("a{at}"), "")).collect();
        let node = [attribute("node", "1")];
        let metrics = vec![metric("m", Kind::Gauge, 1.0, &[&node, &[], &[]]); 10];
        let told = numbers(&of_resource, metrics);
        let mut rendered = 0;
        let samples = samples_by(&told, ALL, |attributes| {
            rendered += attributes.labels().count();
            Labels::of(attributes)
        });
        assert_eq!(samples.len(), 30);
        assert_eq!(rendered, of_resource.len() + 10);
        let lens: Vec<_> = samples.iter().take(2).map(|it| it.series.labels.len()).collect();
        assert_eq!(lens[0], lens[1] + r#",node="1""#.len());
    }

    #[test]
    fn so_many_points_are_taken_of_a_push() {
        let points = vec![&[][..]; POINTS_MAX - 1];
        let metrics = ["a", "b"].map(|name| metric(name, Kind::Gauge, 1.0, &points));
        let samples = kept(metrics.into());
        assert_eq!(samples.len(), POINTS_MAX);
        assert_eq!(samples.last().map(|it| it.series.name.as_str()), Some("kafka_client_b"));
    }

    /// One such label, and Prometheus takes nothing of what the broker tells.
    #[test]
    fn labels_are_such_as_prometheus_takes() {
        let keys = ["1x", "", "client_id", "client-instance-id", "a.b", "a-b", "é"];
        let reserved = ["__name__", "__x", "--x", "é_", "_-"];
        let labels: Vec<_> = keys.iter().chain(&reserved).map(|key| attribute(key, "v")).collect();
        let samples = kept(vec![metric("1m", Kind::Gauge, 1.0, &[&labels])]);
        let series = &samples[0].series;
        assert_eq!(series.labels, r#"_="v",_1x="v",a_b="v""#);
        assert_eq!(series.name, "kafka_client_1m");
    }
}
