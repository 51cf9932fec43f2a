//! What a push says: OpenTelemetry's `MetricsData` (version 1), as far as clients of Kafka use it:
//! gauges and sums of numbers. Histograms are passed over.
//!
//! Source: `opentelemetry/proto/metrics/v1/metrics.proto`.

use std::borrow::Cow;

use prost::{DecodeError, Message};

/// One number of one series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) value: f64,
    resource: &'a [KeyValue],
    point: &'a [KeyValue],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A value as it is now.
    Gauge,
    /// A sum since the client began.
    Sum,
    /// The growth of a sum since the last push.
    Growth,
}

/// All that was pushed at once.
#[derive(Debug)]
pub(super) struct Numbers(MetricsData);

impl Numbers {
    /// # Errors
    /// The bytes are no `MetricsData`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        MetricsData::decode(bytes).map(Self)
    }

    /// One after the other, so that what many have in common is never there more than once.
    pub(super) fn samples(&self) -> impl Iterator<Item = Sample<'_>> {
        self.0.resource_metrics.iter().flat_map(|of_resource| {
            let resource = of_resource.resource.as_ref().map_or(&[][..], |it| &it.attributes);
            let metrics = of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
            metrics.flat_map(move |metric| metric.samples(resource))
        })
    }
}

impl Metric {
    fn samples<'a>(&'a self, resource: &'a [KeyValue]) -> impl Iterator<Item = Sample<'a>> {
        let (kind, points) = match &self.data {
            Some(Data::Gauge(gauge)) => (Kind::Gauge, &gauge.data_points[..]),
            Some(Data::Sum(sum)) if sum.aggregation_temporality == DELTA => {
                (Kind::Growth, &sum.data_points[..])
            }
            Some(Data::Sum(sum)) => (Kind::Sum, &sum.data_points[..]),
            None => (Kind::Gauge, &[][..]),
        };
        points.iter().filter_map(move |Point { attributes: point, value }| {
            let value = match (*value)? {
                Value::Double(value) => value,
                Value::Int(value) => value as f64,
            };
            Some(Sample { name: &self.name, kind, value, resource, point })
        })
    }
}

impl<'a> Sample<'a> {
    /// Names and values, of the resource and of the point.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + use<'a> {
        self.attributes().filter_map(KeyValue::label)
    }

    /// Whether its name and labels are longer than this, together. Looks no further than that.
    pub(super) fn is_longer_than(&self, max: usize) -> bool {
        let left = max.checked_sub(self.name.len());
        let rest = |left: usize, it: &KeyValue| left.checked_sub(it.least_len());
        left.and_then(|left| self.attributes().try_fold(left, rest)).is_none()
    }

    fn attributes(&self) -> impl Iterator<Item = &'a KeyValue> + use<'a> {
        self.resource.iter().chain(self.point)
    }
}

/// The temporality of sums that tell their growth.
const DELTA: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct MetricsData {
    #[prost(message, repeated, tag = "1")]
    resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(oneof = "Data", tags = "5, 7")]
    data: Option<Data>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Data {
    #[prost(message, tag = "5")]
    Gauge(Gauge),
    #[prost(message, tag = "7")]
    Sum(Sum),
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<Point>,
}

#[derive(Clone, PartialEq, Message)]
struct Sum {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<Point>,
    #[prost(int32, tag = "2")]
    aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
    #[prost(oneof = "Value", tags = "4, 6")]
    value: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, prost::Oneof)]
enum Value {
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(sfixed64, tag = "6")]
    Int(i64),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
}

impl KeyValue {
    fn label(&self) -> Option<(&str, Cow<'_, str>)> {
        let value = match self.value.as_ref()?.value.as_ref()? {
            Any::Text(text) => Cow::Borrowed(text.as_str()),
            Any::Bool(value) => value.to_string().into(),
            Any::Int(value) => value.to_string().into(),
            Any::Double(value) => value.to_string().into(),
        };
        Some((&self.key, value))
    }

    /// Less than this it does not take as a label.
    fn least_len(&self) -> usize {
        let value = match self.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Any::Text(text)) => text.len(),
            _ => 0,
        };
        self.key.len() + value + r#"="""#.len()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn attribute(key: &str, value: &str) -> KeyValue {
        let value = AnyValue { value: Some(Any::Text(value.into())) };
        KeyValue { key: key.into(), value: Some(value) }
    }

    /// A number of a client that tells nothing of itself.
    pub(in super::super) fn sample<'a>(
        name: &'a str,
        kind: Kind,
        value: f64,
        point: &'a [KeyValue],
    ) -> Sample<'a> {
        Sample { name, kind, value, resource: &[], point }
    }

    #[test]
    fn gauges_and_sums_are_told_with_the_labels_of_both() {
        let point = |value| Point { attributes: vec![attribute("node", "1")], value: Some(value) };
        let gauge = Gauge { data_points: vec![point(Value::Double(0.5))] };
        let sum = |aggregation_temporality| Sum {
            data_points: vec![point(Value::Int(7))],
            aggregation_temporality,
        };
        let metric = |name: &str, data| Metric { name: name.into(), data: Some(data) };
        let metrics = vec![
            metric("a", Data::Gauge(gauge)),
            metric("b", Data::Sum(sum(DELTA))),
            metric("c", Data::Sum(sum(2))),
            Metric { name: "histogram".into(), data: None },
        ];
        let resource = Resource { attributes: vec![attribute("rack", "r")] };
        let of_resource = ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics { metrics }],
        };
        let data = MetricsData { resource_metrics: vec![of_resource] };
        let told = Numbers::read(&data.encode_to_vec()).unwrap();
        let told: Vec<_> = told.samples().collect();
        let kinds: Vec<_> = told.iter().map(|it| (it.name, it.kind, it.value)).collect();
        let all = [("a", Kind::Gauge, 0.5), ("b", Kind::Growth, 7.0), ("c", Kind::Sum, 7.0)];
        assert_eq!(kinds, all);
        let labels: Vec<_> = told[0].labels().collect();
        assert_eq!(labels, [("rack", "r".into()), ("node", "1".into())]);
        let len = r#"a{rack="r",node="1"}"#.len() - "{,}".len();
        assert_eq!([len - 1, len].map(|max| told[0].is_longer_than(max)), [true, false]);
        assert!(Numbers::read(b"noise").is_err());
    }
}
