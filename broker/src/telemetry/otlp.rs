//! What a push says: OpenTelemetry's `MetricsData` (version 1), as far as clients of Kafka use it:
//! gauges and sums of numbers. Histograms are passed over.
//!
//! Source: `opentelemetry/proto/metrics/v1/metrics.proto`.

use std::borrow::Cow;

use prost::{DecodeError, Message};

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

    /// The metrics of each resource, beside what it says of itself.
    pub(super) fn resources(
        &self,
    ) -> impl Iterator<Item = (Attributes<'_>, impl Iterator<Item = &Metric>)> {
        self.0.resource_metrics.iter().map(|of_resource| {
            let resource = of_resource.resource.as_ref().map_or(&[][..], |it| &it.attributes);
            let metrics = of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
            (Attributes(resource), metrics)
        })
    }
}

/// What a resource or a point says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a>(&'a [KeyValue]);

impl<'a> Attributes<'a> {
    /// Names and values.
    pub(super) fn labels(self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        self.0.iter().filter_map(KeyValue::label)
    }

    /// Whether its labels are longer than this, together. Looks no further than that.
    pub(super) fn is_longer_than(self, max: usize) -> bool {
        let rest = |left: usize, it: &KeyValue| left.checked_sub(it.label_len());
        self.0.iter().try_fold(max, rest).is_none()
    }
}

impl Metric {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn kind(&self) -> Kind {
        match &self.data {
            Some(Data::Sum(sum)) if sum.aggregation_temporality == DELTA => Kind::Growth,
            Some(Data::Sum(_)) => Kind::Sum,
            Some(Data::Gauge(_)) | None => Kind::Gauge,
        }
    }

    pub(super) fn points(&self) -> &[Point] {
        match &self.data {
            Some(Data::Gauge(gauge)) => &gauge.data_points,
            Some(Data::Sum(sum)) => &sum.data_points,
            None => &[],
        }
    }
}

impl Point {
    pub(super) fn attributes(&self) -> Attributes<'_> {
        Attributes(&self.attributes)
    }

    pub(super) fn value(&self) -> Option<f64> {
        Some(match self.value? {
            Value::Double(value) => value,
            Value::Int(value) => value as f64,
        })
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
pub(super) struct Metric {
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
pub(super) struct Point {
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

    /// How long it is as a label, but for what is escaped; at least as much without a value.
    fn label_len(&self) -> usize {
        let value = self.label().map_or(0, |(_, value)| value.len());
        self.key.len() + value + r#"="""#.len()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;

    use super::*;

    pub(in super::super) fn attribute(key: &str, value: &str) -> KeyValue {
        let value = AnyValue { value: Some(Any::Text(value.into())) };
        KeyValue { key: key.into(), value: Some(value) }
    }

    pub(in super::super) fn number(key: &str, value: f64) -> KeyValue {
        let value = AnyValue { value: Some(Any::Double(value)) };
        KeyValue { key: key.into(), value: Some(value) }
    }

    /// A metric of points with these attributes, which all have this value.
    pub(in super::super) fn metric(
        name: &str,
        kind: Kind,
        value: f64,
        points: &[&[KeyValue]],
    ) -> Metric {
        let point = |attributes: &&[KeyValue]| Point {
            attributes: attributes.to_vec(),
            value: Some(Value::Double(value)),
        };
        let data_points = points.iter().map(point).collect();
        let sum = |data_points, aggregation_temporality| {
            Data::Sum(Sum { data_points, aggregation_temporality })
        };
        let data = match kind {
            Kind::Gauge => Data::Gauge(Gauge { data_points }),
            Kind::Growth => sum(data_points, DELTA),
            Kind::Sum => sum(data_points, 2),
        };
        Metric { name: name.into(), data: Some(data) }
    }

    /// What a client pushes of one resource.
    pub(in super::super) fn numbers(attributes: &[KeyValue], metrics: Vec<Metric>) -> Numbers {
        let of_resource = ResourceMetrics {
            resource: Some(Resource { attributes: attributes.to_vec() }),
            scope_metrics: vec![ScopeMetrics { metrics }],
        };
        Numbers(MetricsData { resource_metrics: vec![of_resource] })
    }

    /// The same as it is pushed.
    pub(in super::super) fn bytes(attributes: &[KeyValue], metrics: Vec<Metric>) -> Bytes {
        numbers(attributes, metrics).0.encode_to_vec().into()
    }

    #[test]
    fn gauges_and_sums_are_told_with_what_they_say_of_themselves() {
        let node = [attribute("node", "1")];
        let mut metrics: Vec<_> = [("a", Kind::Gauge), ("b", Kind::Growth), ("c", Kind::Sum)]
            .map(|(name, kind)| metric(name, kind, 0.5, &[&node]))
            .into();
        metrics.push(Metric { name: "histogram".into(), data: None });
        let rack = [attribute("rack", "r"), number("weight", 1.5)];
        let told = Numbers::read(&bytes(&rack, metrics)).unwrap();
        let (resource, metrics) = told.resources().next().unwrap();
        let labels: Vec<_> = resource.labels().collect();
        assert_eq!(labels, [("rack", "r".into()), ("weight", "1.5".into())]);
        let told = metrics.flat_map(|metric| {
            let of_point = |point: &Point| (metric.name().to_owned(), metric.kind(), point.value());
            metric.points().iter().map(of_point)
        });
        let expected = [("a", Kind::Gauge), ("b", Kind::Growth), ("c", Kind::Sum)];
        let expected = expected.map(|(name, kind)| (name.to_owned(), kind, Some(0.5)));
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert!(Numbers::read(b"noise").is_err());
    }

    /// A number of nine bytes prints hundreds.
    #[test]
    fn labels_are_as_long_as_they_print() {
        let attributes = [attribute("rack", "r"), number("weight", f64::MAX)];
        let len = format!(r#"rack="r"weight="{}""#, f64::MAX).len();
        let is_longer = |max| Attributes(&attributes).is_longer_than(max);
        assert_eq!([len - 1, len].map(is_longer), [true, false]);
        let many = vec![number("", f64::MAX); 400];
        assert!(Attributes(&many).is_longer_than(400 * 300));
    }
}
