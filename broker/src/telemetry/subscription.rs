//! What a client is asked for: all that the subscriptions it matches name.

use std::time::Duration;

use klamm_protocol::wire::Str;
use klamm_utils::hash::fnv1a_32;

use super::{Facts, Pattern};
use crate::catalog::Image;
use crate::catalog::resource::{CLIENT_METRICS, Resource};
use crate::config::Values;

/// How often a client pushes unless it is told otherwise.
const INTERVAL: Duration = Duration::from_secs(300);
/// Stands for all metrics.
const ALL: &str = "*";

/// What one client is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Of this choice of metrics; another choice has another.
    pub(crate) id: i32,
    /// Prefixes of names, in order.
    pub(crate) metrics: Vec<Str>,
    pub(crate) interval: Duration,
}

impl Default for Subscription {
    fn default() -> Self {
        Self { id: 0, metrics: Vec::new(), interval: INTERVAL }
    }
}

impl Subscription {
    /// What the settings ask this client for.
    pub(super) fn of(image: &Image, facts: &Facts) -> Self {
        let mut metrics: Vec<Str> = Vec::new();
        let mut interval: Option<Duration> = None;
        for name in image.names_with_settings(CLIENT_METRICS) {
            let values = image.settings(&Resource::ClientMetrics(name.clone()));
            if !matches(values, facts) {
                continue;
            }
            metrics.extend(list(values, "metrics").map(Str::from));
            let wanted = values.get("interval.ms").and_then(|text| text.trim().parse().ok());
            let wanted = wanted.map_or(INTERVAL, Duration::from_millis);
            interval = Some(interval.map_or(wanted, |least| least.min(wanted)));
        }
        if metrics.iter().any(|prefix| prefix == ALL) {
            metrics = vec![ALL.into()];
        }
        metrics.sort();
        metrics.dedup();
        let interval = interval.unwrap_or(INTERVAL);
        Self { id: id(&metrics, interval), metrics, interval }
    }

    /// Whether a metric was asked for.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.metrics.iter().any(|prefix| prefix == ALL || name.starts_with(prefix.as_str()))
    }
}

fn list<'a>(values: &'a Values, key: &str) -> impl Iterator<Item = &'a str> {
    let texts = values.get(key).map_or("", String::as_str).split(',');
    texts.map(str::trim).filter(|text| !text.is_empty())
}

/// Whether a client matches every pattern of a subscription.
fn matches(values: &Values, facts: &Facts) -> bool {
    list(values, "match")
        .all(|text| Pattern::parse(text).is_some_and(|pattern| pattern.matches(facts)))
}

/// A number that tells choices apart, and is never zero.
fn id(metrics: &[Str], interval: Duration) -> i32 {
    let mut text = metrics.iter().map(Str::as_str).collect::<Vec<_>>().join(",");
    text.push_str(&format!(";{}", interval.as_millis()));
    fnv1a_32(text.as_bytes()).max(1).cast_signed()
}
